import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { wholeNumberFlag } from "#shared/config/command.ts";
import type { Board } from "./board.ts";
import { Cluster } from "./cluster.ts";
import { masterBoards } from "./master-boards.ts";
import { run } from "./run.ts";
import { vmCommand } from "./vm-commands.ts";

const root = resolve(import.meta.dir, "../..");
const say = (line: string): void => console.log(line);
const directory = (name: string): string => join(process.env["BRAMBLE_CLUSTERS"] ?? "/var/tmp/bramble-clusters", name);

const nameOption = new Option("--name <NAME>", "the cluster's name, if there are several").default("bramble");
const program = new Command("tools/cluster").description(
  "A real cluster on this machine: each board is a set of Linux namespaces with a container runtime and the compiled binary. Needs root.",
);

program
  .command("up")
  .description("start a cluster and wait for its API server; boards are named master-1, worker-1, …")
  .addOption(nameOption)
  .addOption(
    wholeNumberFlag("--masters <N>", "masters; several share Bramble's own etcd, with a member on each", {
      fallback: 1,
      min: 1,
    }),
  )
  .option("--etcd", "a single master keeps its state in Bramble's own etcd too")
  .addOption(wholeNumberFlag("--workers <N>", "workers", { fallback: 2, min: 0 }))
  .option("--prefix <A.B.C>", "the boards' network, a /24", "10.199.0")
  .option("--kubeconfig <FILE>", "where to copy the administrator's kubeconfig")
  .option("--binary <FILE>", "the binary to run", join(root, "dist/bramble-linux-x64"))
  .option("--hostname <NAME>", "what every worker calls itself (default: its board's name)")
  .option("--apart", "every worker in a subnet of its own, the /24s that follow the prefix")
  .option("--no-master-agent", "run no pods on masters")
  .option("--guests", "workers are emulated Debian machines with systemd, and Bramble is installed on them; slow")
  .option("--containerd", "boards of namespaces run containerd instead of Docker, and Bramble speaks CRI to it")
  .option("--master-arg <ARG>", "further argument for masters, repeatable", collect, [])
  .option("--worker-arg <ARG>", "further argument for workers, repeatable", collect, [])
  .action(async (options) => {
    const cluster = await Cluster.up(
      { name: options.name, prefix: options.prefix, binary: resolve(options.binary), boards: planBoards(options) },
      directory(options.name),
      say,
    );
    if (options.kubeconfig) cluster.copyKubeconfig(options.kubeconfig);
  });

program
  .command("down")
  .description("end it and remove everything it left")
  .addOption(nameOption)
  .action(async (options) => Cluster.open(directory(options.name)).down(say));

program
  .command("load")
  .description("load image archives into every board's container runtime")
  .argument("<tar...>")
  .addOption(nameOption)
  .action(async (archives: string[], options) => {
    for (const archive of archives) await Cluster.open(directory(options.name)).load(archive, say);
  });

program
  .command("exec")
  .description("run a command on a board: exec worker-1 -- docker ps")
  .argument("<board>")
  .argument("<command...>")
  .addOption(nameOption)
  .action((board: string, command: string[], options) => {
    const host = Cluster.open(directory(options.name)).host(board);
    process.exitCode =
      Bun.spawnSync({ cmd: host.inside(command), stdio: ["inherit", "inherit", "inherit"] }).exitCode ?? 1;
  });

program
  .command("cut")
  .description("cut a board's power: everything on it dies, its link goes dark")
  .argument("<board>")
  .addOption(nameOption)
  .action(async (board: string, options) => Cluster.open(directory(options.name)).host(board).cut());

program
  .command("start")
  .description("power a board on again, with Bramble")
  .argument("<board>")
  .addOption(nameOption)
  .action(async (board: string, options) => {
    const cluster = Cluster.open(directory(options.name));
    const host = cluster.host(board);
    await host.powerOn();
    if (cluster.hasEtcd && host.board.role === "master") cluster.startEtcd(board);
    host.startBramble();
  });

program
  .command("restart")
  .description("restart Bramble on a board, containers going on")
  .argument("<board>")
  .addOption(nameOption)
  .addOption(new Option("--signal <SIGNAL>", "how to end it").choices(["SIGTERM", "SIGKILL"]).default("SIGTERM"))
  .action(async (board: string, options) => {
    const host = Cluster.open(directory(options.name)).host(board);
    await host.stopBramble(options.signal);
    host.startBramble();
  });

program
  .command("link")
  .description("take a board's network cable out or put it in")
  .argument("<board>")
  .addArgument(program.createArgument("<state>").choices(["up", "down"]))
  .addOption(nameOption)
  .action((board: string, state: "up" | "down", options) =>
    Cluster.open(directory(options.name)).host(board).link(state),
  );

program
  .command("status")
  .description("the boards, whether they have power, and their Bramble's process id")
  .addOption(nameOption)
  .action((options) => {
    for (const host of Cluster.open(directory(options.name)).hosts) {
      say(
        `${host.board.name}\t${host.board.address}\t${host.powered ? "on" : "off"}\t${host.bramblePid ?? "-"}\t${host.dir}/bramble.log`,
      );
    }
  });

program.addCommand(vmCommand(directory, say));

await program.parseAsync().catch((error: Error) => {
  console.error(`cluster: ${error.message}`);
  process.exit(1);
});

function collect(value: string, list: string[]): string[] {
  return [...list, value];
}

function planBoards(options: Record<string, unknown>): Board[] {
  if (run(["id", "-u"]).trim() !== "0") throw new Error("must run as root: it makes namespaces");
  const prefix = String(options["prefix"]);
  const masters = masterBoards(prefix, {
    count: options["masters"] as number,
    etcd: options["etcd"] === true,
    args: [...(options["masterAgent"] === false ? ["--no-agent"] : []), ...(options["masterArg"] as string[])],
  });
  const [a = 10, b = 0, c = 0] = prefix.split(".").map(Number);
  const subnetOf = (index: number): string => (options["apart"] ? `${a}.${b}.${(c + 1 + index) % 256}` : prefix);
  const workers = Array.from(
    { length: options["workers"] as number },
    (_, index): Board => ({
      name: `worker-${index + 1}`,
      role: "worker",
      address: `${subnetOf(index)}.${101 + index}`,
      hostname: String(options["hostname"] ?? `worker-${index + 1}`),
      machine: options["guests"] ? "guest" : "namespaces",
      args: ["worker", "--server", `https://${prefix}.11:6443`, ...(options["workerArg"] as string[])],
    }),
  );
  const runtime = options["containerd"] ? ("containerd" as const) : undefined;
  return [...masters, ...workers].map((board) => ({ ...board, runtime }));
}
