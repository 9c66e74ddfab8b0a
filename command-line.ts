/** What `bramble` can be told. Each command loads only what it needs, so that a worker's memory holds no master. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Command, Option as Flag, Help } from "commander";
import { asPodsFolder } from "#shared/board/component-pod.ts";
import type { Level } from "#shared/client/log.ts";
import { dnsOptions, kubeletOptions, proxyOptions } from "#shared/config/board-component-settings.ts";
import { configFile, documentOf, wholeNumberFlag, withSettings } from "#shared/config/command.ts";
import { apiServerOptions, controllerManagerOptions, schedulerOptions } from "#shared/config/component-settings.ts";
import { kubeProxyConfiguration } from "#shared/config/kube-proxy-configuration.ts";
import { kubeletConfiguration } from "#shared/config/kubelet-configuration.ts";
import { type MasterSettings, masterOptions, workerOptions } from "#shared/config/settings.ts";
import { withVersionFlag } from "#shared/config/version-flag.ts";
import type { LowMemory } from "#shared/process/cache-bounds.ts";
import { version } from "#shared/version.ts";
import { addCredentialCommands, addFleetCommands, addStateCommands } from "./master/cli/commands.ts";

export { runAsked } from "#shared/config/command.ts";

/** All commands; `parseAsync` of what comes back runs the one that is given, or leaves it to `runAsked` if it has settings. */
export function commandLine(): Command {
  const program = new Command("bramble")
    .description("Kubernetes v1.35 for fleets of Raspberry Pis, in one binary.")
    .version(version, "-V, --version")
    .enablePositionalOptions()
    .helpCommand(false)
    .configureHelp(narrowHelp)
    .showHelpAfterError("(`bramble help` lists the commands, `bramble help COMMAND` its flags)")
    .addHelpText(
      "after",
      `
Every flag of master and worker is also a key of the same name in ${configFile}, for instance \`data-dir: /data\`;
a flag on the command line wins.

Start here:
  bramble master                              a cluster on this board
  bramble token create --print-join           the line to run on another board to make it join
  bramble kubectl get nodes                   kubectl with the administrator's rights`,
    );
  addBoardCommands(program);
  addComponentCommands(program);
  addMachineCommands(program);
  addCredentialCommands(program);
  addFleetCommands(program);
  addStateCommands(program);
  program
    .commandsGroup("Help:")
    .command("help")
    .description("show what a command does, and its flags")
    .argument("[COMMAND...]", "such as: token create")
    .action((words: string[]) => helpOf(program, words));
  return program;
}

/** Where descriptions begin in the help; what is longer than this has its own behind it in the next line. */
const termColumns = 30;

/** One long flag must not move the descriptions of all out of a terminal of 80 columns. */
const narrowHelp: Partial<Help> = {
  padWidth: (command, helper) => Math.min(termColumns, Help.prototype.padWidth.call(helper, command, helper)),
  formatItem(term, width, description, helper) {
    const format = (shown: string): string => Help.prototype.formatItem.call(helper, shown, width, description, helper);
    return helper.displayWidth(term) > width && description !== "" ? `  ${term}\n${format("")}` : format(term);
  },
};

function helpOf(program: Command, words: readonly string[]): void {
  const named = words.reduce<Command | undefined>(
    (command, word) => command?.commands.find((each) => each.name() === word || each.aliases().includes(word)),
    program,
  );
  if (named) named.outputHelp();
  else program.error(`error: unknown command '${words.join(" ")}'`);
}

/** A whole master and a whole worker. */
function addBoardCommands(program: Command): void {
  program.commandsGroup("A cluster:");
  const master = withSettings(
    program.command("master").description("run the control plane, and an agent on this board unless --no-agent"),
    masterOptions,
    async (settings) => {
      await prepare(settings, settings.noAgent ? undefined : "a master with an agent on its board");
      await runMaster(settings);
      // All parts have stopped and the store is closed: timers for later work must not keep the process.
      process.exit();
    },
  );
  withSettings(
    master
      .command("leave")
      .description("take this master, its board and its member of the etcd that Bramble runs out of the cluster")
      .addOption(leaveTimeoutFlag()),
    masterOptions,
    async (settings, given) => {
      const { dataDir, runDir, noAgent } = settings;
      const timeout_s = given["timeout"] as number;
      const leaveBoard = async (servers: readonly string[]): Promise<void> =>
        (await import("./agent/leave.ts")).leave({ dataDir, runDir, servers, timeout_s, program: "master" });
      const { leaveMasters } = await import("./master/cli/etcd.ts");
      await leaveMasters({ settings, leaveBoard: noAgent ? undefined : leaveBoard });
      process.exit();
    },
    { listedBy: "bramble master" },
  );
  const worker = withSettings(
    program.command("worker").description("run this board's agent: kubelet and service proxy"),
    workerOptions,
    async (settings, given) => {
      await prepare(settings, "a worker");
      await (await import("./agent/upgrade/count-start.ts")).countStart(settings.dataDir);
      await (await import("./agent/worker.ts")).runWorker(
        settings,
        (given["config"] as string | undefined) ?? configFile,
      );
      // As a master: a wait for a broker that is away must not keep the process.
      process.exit();
    },
  );
  withSettings(
    worker
      .command("leave")
      .description("take this board out of its cluster: move its pods away, delete its Node, forget its identity")
      .addOption(leaveTimeoutFlag()),
    workerOptions,
    async (settings, given) =>
      (await import("./agent/leave.ts")).leave({
        dataDir: settings.dataDir,
        runDir: settings.runDir,
        servers: settings.server,
        timeout_s: given["timeout"] as number,
        program: "worker",
      }),
    { listedBy: "bramble worker" },
  );
}

/** Each component in a process of its own, as upstream has them. */
function addComponentCommands(program: Command): void {
  program.commandsGroup("Its components, each alone:");
  withSettings(
    withVersionFlag(
      program.command("apiserver").description("run the API server alone, with the broker and the store behind it"),
    ),
    apiServerOptions,
    async (settings) => {
      await prepare(settings);
      await (await import("./master/components/api-server.ts")).runApiServer(settings);
      process.exit();
    },
  );
  withSettings(
    withVersionFlag(program.command("scheduler").description("run the scheduler alone")),
    schedulerOptions,
    async (settings) => {
      await (await import("./master/components/scheduler.ts")).runScheduler(settings);
      process.exit();
    },
    // As upstream's --config.
    { document: { kind: "KubeSchedulerConfiguration", read: (path) => ({ "scheduler-config": path }) } },
  );
  withSettings(
    withVersionFlag(program.command("controller-manager").description("run the controllers alone")),
    controllerManagerOptions,
    async (settings) => {
      await (await import("./master/components/controller-manager.ts")).runControllerManager(settings);
      process.exit();
    },
  );
  withSettings(
    withVersionFlag(
      program
        .command("kubelet")
        .description("run the node agent alone: pods of this board, without Services, names and Ingresses"),
    ),
    kubeletOptions,
    async (settings) => {
      const { rootDir: dataDir, runDir, logLevel } = settings;
      await prepare({ dataDir, runDir, logLevel, lowMemory: "auto" }, "a kubelet");
      await (await import("./agent/kubelet-component.ts")).runKubelet(settings);
      process.exit();
    },
    { document: documentOf(kubeletConfiguration, { hasDropIns: true }) },
  );
  withSettings(
    withVersionFlag(program.command("proxy").description("run this board's service proxy alone")),
    proxyOptions,
    async (settings) => {
      await (await import("./agent/proxy-component.ts")).runProxy(settings);
      process.exit();
    },
    { document: documentOf(kubeProxyConfiguration) },
  );
  withSettings(
    program.command("dns").description("run this board's cluster DNS alone"),
    dnsOptions,
    async (settings) => {
      await (await import("./agent/dns-component.ts")).runDns(settings);
      process.exit();
    },
  );
}

/** What is asked of a machine before it belongs to a cluster. */
function addMachineCommands(program: Command): void {
  program.commandsGroup("This machine:");
  withSettings(
    program
      .command("check")
      .description("see whether this machine can run Bramble with these settings, and how to mend what is missing")
      .addOption(new Flag("--role <ROLE>", "what it is to be").choices(["master", "worker"]).default("master"))
      .option(
        "--fix [WHAT]",
        "write what can be: cgroups (a Raspberry Pi's boot arguments), docker (log bounds and live-restore in daemon.json), journal (its bound); all, or those named with commas between",
      ),
    // install.sh gives it the flags of what the board is to be.
    { ...workerOptions, ...masterOptions },
    async (settings, given) => {
      const { runCheck } = await import("./agent/check/check.ts");
      process.exitCode = await runCheck(settings, {
        role: given["role"] as "master" | "worker",
        fix: given["fix"] as boolean | string | undefined,
      });
    },
    { listedBy: "bramble master" },
  );

  program
    .command("verify-release")
    .description(
      "see whether the lists of a release folder, or of a bundle, are signed by who signed this program; install.sh asks",
    )
    .argument("<FOLDER>", "folder with SHA256SUMS, and with images.sha256 where there are images")
    .action(async (folder: string) => {
      process.exitCode = await (await import("./agent/upgrade/release-folder.ts")).verifyReleaseFolder(folder);
    });

  program
    .command("discover")
    .description("list the masters that announce themselves on this network by mDNS")
    .option("--token <TOKEN>", "only those that prove to be of this join token's cluster: their URLs, one a line")
    .action(async (options) => {
      process.exitCode = await (await import("./agent/discover.ts")).discover(options);
    });
}

/** Before anything speaks TLS, or keeps anything. Rejects with UserError where this process cannot keep what it has to.
 *  @param rootsWork what takes root; undefined where nothing does. */
async function prepare(
  settings: {
    readonly dataDir: string;
    readonly runDir: string;
    readonly logLevel: Level;
    readonly lowMemory: LowMemory;
  },
  rootsWork?: string,
): Promise<void> {
  const { assertRoot, ensureOwnFolder } = await import("#shared/process/own-folder.ts");
  if (rootsWork !== undefined) assertRoot(rootsWork);
  ensureOwnFolder(settings.dataDir, "data-dir");
  ensureOwnFolder(settings.runDir, "run-dir", 0o755);
  const { stderrLog } = await import("#shared/client/log.ts");
  const log = stderrLog(settings.logLevel);
  (await import("#shared/process/prompt-thread.ts")).promptThread();
  (await import("#shared/board/clock-floor.ts")).liftClock(settings.dataDir, log.named("clock"));
  if ((await import("#shared/process/cache-bounds.ts")).boundCaches(settings.lowMemory))
    log.info("little memory: less is kept only to be faster");
}

async function runMaster(settings: MasterSettings): Promise<void> {
  const startAgent = await boardAgent(settings.noAgent);
  if (settings.asPods) {
    await (await import("./master/as-pods/master-as-pods.ts")).runMasterAsPods(settings, startAgent);
    return;
  }
  // Only then: it loads much that a master without an agent has no use for.
  const asPods = join(settings.dataDir, asPodsFolder);
  if (existsSync(asPods)) {
    await (await import("./agent/component-pods/former-pods.ts")).endFormerPods(settings);
    rmSync(asPods, { recursive: true });
  }
  await (await import("./master/master.ts")).runMaster(settings, startAgent);
}

async function boardAgent(none: boolean): Promise<typeof import("./agent/agent.ts").startAgent | undefined> {
  return none ? undefined : (await import("./agent/agent.ts")).startAgent;
}

function leaveTimeoutFlag(): Flag {
  return wholeNumberFlag("--timeout <SECONDS>", "how long pods may take to leave", { fallback: 120, min: 1 });
}
