#!/usr/bin/env bun
/**
 * The command line. Each command loads only what it needs, so that a worker's memory holds no master.
 */
// First: the X.509 library looks for it when it is loaded, in whatever order a bundle loads things.
import "reflect-metadata";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Command, Option as Flag } from "commander";
import type { LowMemory } from "#shared/board/cache-bounds.ts";
import { asPodsFolder } from "#shared/board/component-pod.ts";
import type { Level } from "#shared/client/log.ts";
import { dnsOptions, kubeletOptions, proxyOptions } from "#shared/config/board-component-settings.ts";
import {
  type ComponentForm,
  kubeletConfiguration,
  kubeProxyConfiguration,
  readComponentConfiguration,
} from "#shared/config/component-configuration.ts";
import { apiServerOptions, controllerManagerOptions, schedulerOptions } from "#shared/config/component-settings.ts";
import { kindOfDocument, loadSettings } from "#shared/config/load.ts";
import type { Option, Options, ValuesOf } from "#shared/config/option.ts";
import { type MasterSettings, masterOptions, workerOptions } from "#shared/config/settings.ts";
import { version } from "#shared/version.ts";

const configFile = "/etc/bramble/config.yaml";
const kubeconfigFile = "/etc/bramble/kubeconfig.yaml";

const program = new Command("bramble")
  .description("Kubernetes v1.35 for fleets of Raspberry Pis, in one binary.")
  .version(version, "-V, --version")
  .enablePositionalOptions()
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

const master = withSettings(
  program.command("master").description("run the control plane, and an agent on this board unless --no-agent"),
  masterOptions,
  async (settings) => {
    await prepare(settings);
    await runMaster(settings);
    // All parts have stopped and the store is closed: timers for later work must not keep the process.
    process.exit();
  },
);
withSettings(
  master
    .command("leave")
    .description("take this master, its board and its member of the etcd that Bramble runs out of the cluster")
    .option("--timeout <SECONDS>", "how long pods may take to leave", "120"),
  masterOptions,
  async (settings, given) => {
    const { dataDir, runDir, noAgent } = settings;
    const timeout_s = Number(given["timeout"]);
    const leaveBoard = async (servers: readonly string[]): Promise<void> =>
      (await import("./agent/leave.ts")).leave({ dataDir, runDir, servers, timeout_s, program: "master" });
    const { leaveMasters } = await import("./master/cli/etcd.ts");
    await leaveMasters({ settings, leaveBoard: noAgent ? undefined : leaveBoard });
    process.exit();
  },
);
const worker = withSettings(
  program.command("worker").description("run this board's agent: kubelet and service proxy"),
  workerOptions,
  async (settings) => {
    await prepare(settings);
    await (await import("./agent/upgrade/count-start.ts")).countStart(settings.dataDir);
    await (await import("./agent/worker.ts")).runWorker(settings);
    // As a master: a wait for a broker that is away must not keep the process.
    process.exit();
  },
);
withSettings(
  worker
    .command("leave")
    .description("take this board out of its cluster: move its pods away, delete its Node, forget its identity")
    .option("--timeout <SECONDS>", "how long pods may take to leave", "120"),
  workerOptions,
  async (settings, given) =>
    (await import("./agent/leave.ts")).leave({
      dataDir: settings.dataDir,
      runDir: settings.runDir,
      servers: settings.server,
      timeout_s: Number(given["timeout"]),
      program: "worker",
    }),
);

withSettings(
  program.command("apiserver").description("run the API server alone, with the broker and the store behind it"),
  apiServerOptions,
  async (settings) => {
    await prepare(settings);
    await (await import("./master/components/api-server.ts")).runApiServer(settings);
    process.exit();
  },
);
withSettings(
  program.command("scheduler").description("run the scheduler alone"),
  schedulerOptions,
  async (settings) => {
    await (await import("./master/components/scheduler.ts")).runScheduler(settings);
    process.exit();
  },
  // As upstream's --config.
  { kind: "KubeSchedulerConfiguration", read: (path) => ({ "scheduler-config": path }) },
);
withSettings(
  program.command("controller-manager").description("run the controllers alone"),
  controllerManagerOptions,
  async (settings) => {
    await (await import("./master/components/controller-manager.ts")).runControllerManager(settings);
    process.exit();
  },
);
withSettings(
  program
    .command("kubelet")
    .description("run the node agent alone: pods of this board, without Services, names and Ingresses"),
  kubeletOptions,
  async (settings) => {
    await prepare({ dataDir: settings.rootDir, logLevel: settings.logLevel, lowMemory: "auto" });
    await (await import("./agent/kubelet-component.ts")).runKubelet(settings);
    process.exit();
  },
  documentOf(kubeletConfiguration),
);
withSettings(
  program.command("proxy").description("run this board's service proxy alone"),
  proxyOptions,
  async (settings) => {
    await (await import("./agent/proxy-component.ts")).runProxy(settings);
    process.exit();
  },
  documentOf(kubeProxyConfiguration),
);
withSettings(program.command("dns").description("run this board's cluster DNS alone"), dnsOptions, async (settings) => {
  await (await import("./agent/dns-component.ts")).runDns(settings);
  process.exit();
});

const token = program
  .command("token")
  .description("tokens with which boards join, and people sign in at the dashboard");
token
  .command("create")
  .description("make a token and print it")
  .addOption(kubeconfigFlag())
  .option("--ttl <SECONDS>", "life of the token; 0 is for ever", "86400")
  .option("--description <TEXT>", "what it is for", "")
  .option("--print-join", "print the whole line to run on the joining board")
  .option("--board <NAME>", "for one board alone, which becomes the node of that name")
  .option("--master", "for a further master: whoever holds it gets all keys of the cluster")
  .option("--data-dir <DIR>", "where Bramble keeps its state", masterOptions.dataDir.fallback)
  .action(async (options) => (await import("./master/cli/token.ts")).createToken(options));
token
  .command("dashboard")
  .description("print a token to sign in at the dashboard with, and its address")
  .addOption(kubeconfigFlag())
  .option("--role <CLUSTERROLE>", "what whoever has it may do", "cluster-admin")
  .option("--ttl <SECONDS>", "life of the token", "43200")
  .action(async (options) => (await import("./master/cli/dashboard-token.ts")).createDashboardToken(options));
token
  .command("list")
  .description("list the tokens, without their secrets")
  .addOption(kubeconfigFlag())
  .action(async (options) => (await import("./master/cli/token.ts")).listTokens(options));
token
  .command("delete")
  .alias("revoke")
  .description("end a token; boards that joined with it stay")
  .argument("<id>")
  .addOption(kubeconfigFlag())
  .action(async (id: string, options) => (await import("./master/cli/token.ts")).deleteToken(id, options));

token
  .command("rotate")
  .description(
    "change the permanent token in this master's data folder; the former ends, boards that joined with it stay",
  )
  .addOption(kubeconfigFlag())
  .addOption(dataDirFlag())
  .action(async (options) => (await import("./master/cli/token.ts")).rotateToken(options));
token
  .command("rotate-signing-key")
  .description(
    "change the key that signs service accounts' tokens, in steps that shut nobody out; run again, it goes on",
  )
  .addOption(kubeconfigFlag())
  .addOption(dataDirFlag())
  .addOption(rotationTimeoutFlag())
  .option("--finish", "the last step: tokens by the former key are refused")
  .option("--force", "with --finish: also where Secrets hold tokens by the former key")
  .action(async (options) => (await import("./master/cli/key-rotation.ts")).rotateSigningKey(options));

const certificate = program.command("certificate").description("certificates of this board, and the cluster's CA");
withSettings(
  certificate.command("list").description("list the certificates that lie on this board: names, issuer, end"),
  masterOptions,
  async (settings) => (await import("./master/cli/certificates.ts")).listCertificates(settings),
);
withSettings(
  certificate
    .command("renew")
    .description("have the running master and agent of this board make their certificates anew, before their time"),
  masterOptions,
  async (settings) => (await import("./master/cli/certificates.ts")).renewCertificates(settings),
);
certificate
  .command("rotate-ca")
  .description("change the cluster's CA, in steps that shut nobody out; run again, it goes on (on a master)")
  .addOption(kubeconfigFlag())
  .addOption(dataDirFlag())
  .addOption(rotationTimeoutFlag())
  .option("--finish", "the last step: certificates by the former CA are taken no more")
  .option("--join-anew", "with --finish, where the former CA's key was stolen: boards that are away need a join token")
  .action(async (options) => (await import("./master/cli/key-rotation.ts")).rotateCa(options));

program
  .command("encryption")
  .description("the key under which Secrets rest in the store")
  .command("rotate")
  .description(
    "change it: all masters learn the new key, all Secrets are written once more; run again, it goes on (on a master)",
  )
  .addOption(kubeconfigFlag())
  .addOption(dataDirFlag())
  .option("--run-dir <DIR>", "where the running master's admin socket is", masterOptions.runDir.fallback)
  .action(async (options) => (await import("./master/cli/encryption.ts")).rotateEncryption(options));

program
  .command("status")
  .description("what runs on this board and how the cluster is")
  .addOption(kubeconfigFlag())
  .option("--data-dir <DIR>", "where Bramble keeps its state", masterOptions.dataDir.fallback)
  .action(async (options) => (await import("./master/cli/status.ts")).printStatus(options));

program
  .command("check")
  .description("see whether this machine can run Bramble, and how to mend what is missing")
  .option("--role <ROLE>", "master or worker", "master")
  .option("--fix", "switch the memory cgroup on in a Raspberry Pi's boot arguments, if it is off")
  .action(async (options) => {
    process.exitCode = await (await import("./agent/check/check.ts")).runCheck(options);
  });

program
  .command("kubectl")
  .description("run kubectl with the administrator's kubeconfig")
  .argument("[arguments...]")
  .allowUnknownOption()
  .helpOption(false)
  .passThroughOptions()
  .action(async (args: string[]) => {
    process.exitCode = await (await import("./master/cli/kubectl.ts")).runKubectl(kubeconfigFile, args);
  });

withSettings(
  program
    .command("backup")
    .description("put the whole cluster, objects and keys, into one file; the master may go on")
    .argument("[file]", "where to (default: a name with the time, in --backup-dir)"),
  masterOptions,
  async (settings, _, [file]) => (await import("./master/cli/backup.ts")).backup(settings, file),
);
withSettings(
  program
    .command("restore")
    .description("make a cluster of a backup again, on this machine or a new one, while the master is stopped")
    .argument("<file>", "made by `bramble backup`"),
  masterOptions,
  async (settings, _, [file = ""]) => (await import("./master/cli/backup.ts")).restore(settings, file),
);

const etcd = withSettings(
  program
    .command("etcd")
    .description(
      "run this board's member of the etcd that belongs to --store etcd; a further master's joins the others",
    ),
  masterOptions,
  async (settings) => (await import("./master/cli/etcd.ts")).runEtcd(settings),
);
withSettings(
  etcd
    .command("ready")
    .description("fail unless this board's member votes")
    .option("--wait <SECONDS>", "how long it may take", "0"),
  masterOptions,
  async (settings, given) => (await import("./master/cli/etcd.ts")).awaitMember(settings, Number(given["wait"])),
);
withSettings(
  etcd.command("members").description("list the members and how they are"),
  masterOptions,
  async (settings) => (await import("./master/cli/etcd.ts")).printMembers(settings),
);
withSettings(
  etcd.command("remove").description("take out a member whose board is lost").argument("<name>", "as `members` has it"),
  masterOptions,
  async (settings, _, [name = ""]) => (await import("./master/cli/etcd.ts")).removeMember(settings, name),
);

const store = program.command("store").description("look into the store of this master, or move it");
withSettings(
  store
    .command("move")
    .description(
      "move the cluster's state from sqlite to etcd or back; the master is stopped meanwhile, and pods go on",
    )
    .argument(
      "<to>",
      "sqlite; etcd, which `bramble etcd` runs; or etcd=https://HOST:2379,… with --etcd-cafile, --etcd-certfile and --etcd-keyfile",
    ),
  masterOptions,
  async (settings, given, [to = ""]) => {
    const file = (given["config"] as string | undefined) ?? configFile;
    await (await import("./master/cli/move-store.ts")).moveStore(settings, to, file);
  },
);
store
  .command("get")
  .description("print the JSON at a key, or the keys below it")
  .argument("<key>", "such as /registry/pods/default/nginx")
  .option("--prefix", "all keys that begin with it")
  .option("--keys-only", "no values")
  .option("--data-dir <DIR>", "where Bramble keeps its state", masterOptions.dataDir.fallback)
  .option("--run-dir <DIR>", "where the running master's admin socket is", masterOptions.runDir.fallback)
  .action(async (key: string, options) => {
    process.exitCode = await (await import("./master/cli/store-get.ts")).storeGet(key, options);
  });

program
  .command("upgrade")
  .description("bring the boards to the version that this master has (install.sh brings the master itself there)")
  .addOption(kubeconfigFlag())
  .option("--node <NAME>", "only this board; repeatable", (value: string, list: string[]) => [...list, value], [])
  .option("--at-once <N>", "boards at a time", "1")
  .option("--timeout <SECONDS>", "how long a board may take", "900")
  .option("--revert", "back to the version that each board had before")
  .option("--dist <DIR>", "the folder that this master hands out", masterOptions.dist.fallback)
  .action(async (options) => (await import("./master/cli/upgrade.ts")).upgradeFleet(options));

program
  .command("images")
  .description("container images of the fleet")
  .command("load")
  .description("put image archives (docker save) on every board")
  .argument("<archive...>")
  .addOption(kubeconfigFlag())
  .option("--node <NAME>", "only this board; repeatable", (value: string, list: string[]) => [...list, value], [])
  .action(async (archives: string[], options) =>
    (await import("./master/cli/images.ts")).loadImages(archives, options),
  );

program
  .command("self-test", { hidden: true })
  .description("exercise what differs between processors: sqlite, TLS, a Worker, MQTT, JSON")
  .action(async () => {
    process.exitCode = await (await import("./master/cli/self-test.ts")).selfTest();
  });

/** Errors whose message tells a person what to do. Of any other its stack is shown, to be reported. */
const forPeople =
  /^(Config|Kubeconfig|Status|Connection|JoinToken|BoardIdentity|CertificateOrder|Pki|Release|User)Error$/;

/** Errors may name the status that service managers know (StateLostError). */
const statusOf = (error: unknown): number =>
  error instanceof Error && "exitStatus" in error && typeof error.exitStatus === "number" ? error.exitStatus : 1;

await program.parseAsync().catch((error: unknown) => {
  // Never the error itself: Bun would print the lines of the bundle around it.
  if (!(error instanceof Error)) console.error(`bramble: ${String(error)}`);
  else console.error(forPeople.test(error.name) ? `bramble: ${error.message}` : (error.stack ?? error.message));
  process.exit(statusOf(error));
});

function kubeconfigFlag(): Flag {
  return new Flag("--kubeconfig <FILE>", "the administrator's kubeconfig").default(kubeconfigFile);
}

function dataDirFlag(): Flag {
  return new Flag("--data-dir <DIR>", "where Bramble keeps its state").default(masterOptions.dataDir.fallback);
}

function rotationTimeoutFlag(): Flag {
  return new Flag("--timeout <SECONDS>", "how long to wait for masters and boards at each step").default("600");
}

/** Before anything speaks TLS, or keeps anything. */
async function prepare(settings: {
  readonly dataDir: string;
  readonly logLevel: Level;
  readonly lowMemory: LowMemory;
}): Promise<void> {
  const { stderrLog } = await import("#shared/client/log.ts");
  const log = stderrLog(settings.logLevel);
  (await import("#shared/board/clock-floor.ts")).liftClock(settings.dataDir, log.named("clock"));
  if ((await import("#shared/board/cache-bounds.ts")).boundCaches(settings.lowMemory))
    log.info("little memory: less is kept only to be faster");
}

/** Gives a command the flags of `options` and runs it with the settings of file and flags. */
function withSettings<O extends Options>(
  command: Command,
  options: O,
  run: (
    settings: ValuesOf<O>,
    given: Readonly<Record<string, unknown>>,
    args: readonly (string | undefined)[],
  ) => Promise<void>,
  /** A document of upstream's that `--config` may name instead of a file of settings. */
  document?: UpstreamDocument,
): Command {
  const orDocument = document ? `, or a ${document.kind}` : "";
  command.option("--config <FILE>", `file of settings (default: ${configFile}, where it is there)${orDocument}`);
  for (const option of Object.values(options)) {
    const flag = new Flag(usageOf(option), describe(option.description, option.fallback));
    if (option.repeatable) flag.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
    command.addOption(flag);
  }
  return command.action(async () => {
    const given = command.opts();
    const flags = Object.fromEntries(
      Object.values(options).map((option) => [option.name, givenValue(given, option.name)]),
    );
    let named = given["config"] as string | undefined;
    if (document && named !== undefined && kindOfDocument(named) === document.kind) {
      for (const [name, value] of Object.entries(document.read(named))) flags[name] ??= value;
      named = undefined;
    }
    // One file serves both roles, so a key of the other one is no mistake.
    const otherNames = Object.values({ ...masterOptions, ...workerOptions }).map(({ name }) => name);
    await run(
      loadSettings(options, flags, { path: named ?? configFile, required: named !== undefined, otherNames }),
      given,
      command.args,
    );
  });
}

interface UpstreamDocument {
  readonly kind: string;
  /** The settings that it stands for, by their names; flags win. Throws ConfigError. */
  readonly read: (path: string) => Readonly<Record<string, unknown>>;
}

function documentOf(form: ComponentForm): UpstreamDocument {
  const read = (path: string): Readonly<Record<string, unknown>> => {
    const { settings, withoutEffect } = readComponentConfiguration(path, form);
    if (withoutEffect.length > 0) console.error(`bramble: ${path}: without effect here: ${withoutEffect.join(", ")}`);
    return settings;
  };
  return { kind: form.kind, read };
}

function usageOf({ name, placeholder, isValueOptional }: Option<unknown>): string {
  if (placeholder === undefined) return `--${name}`;
  return isValueOptional ? `--${name} [${placeholder}]` : `--${name} <${placeholder}>`;
}

function describe(description: string, fallback: unknown): string {
  const shown = Array.isArray(fallback) ? fallback.join(",") : String(fallback);
  return shown === "" || shown === "false" ? description : `${description} (default: ${shown})`;
}

/** commander keeps `--data-dir` as dataDir, and takes `--no-agent` for a negation: as agent, true unless it was given. */
function givenValue(given: Record<string, unknown>, name: string): unknown {
  const camelCase = (text: string): string => text.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  if (name.startsWith("no-")) return given[camelCase(name.slice(3))] === false ? true : undefined;
  return given[camelCase(name)];
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
