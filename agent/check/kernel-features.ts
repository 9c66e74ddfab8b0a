import { readFile } from "node:fs/promises";
import { CommandError, type CommandRunner } from "../network/command.ts";
import type { KernelFeature } from "./facts.ts";

interface Trial {
  readonly name: string;
  readonly weight: KernelFeature["weight"];
  readonly purpose: string;
  readonly module: string | undefined;
  /** Commands run inside a network namespace that ends with them. */
  readonly commands: readonly (readonly string[])[];
}

const nat = (...rule: string[]): string[] => ["iptables", "-w", "5", "-t", "nat", "-A", "OUTPUT", ...rule];
const filter = (...rule: string[]): string[] => ["iptables", "-w", "5", "-A", "OUTPUT", ...rule];

/** Rules of the sort that the service proxy and the pod network write, and the links that they need. */
const trials: readonly Trial[] = [
  {
    name: "iptables nat",
    weight: "needed",
    purpose: "Services",
    module: "iptable_nat",
    commands: [nat("-p", "tcp", "-d", "192.0.2.1", "-j", "DNAT", "--to-destination", "192.0.2.2:80")],
  },
  {
    name: "iptables MASQUERADE",
    weight: "needed",
    purpose: "pods reaching the outside",
    module: "xt_MASQUERADE",
    commands: [["iptables", "-w", "5", "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE", "--random-fully"]],
  },
  {
    name: "iptables comment",
    weight: "needed",
    purpose: "Services",
    module: "xt_comment",
    commands: [filter("-m", "comment", "--comment", "x", "-j", "ACCEPT")],
  },
  {
    name: "iptables conntrack",
    weight: "needed",
    purpose: "Services",
    module: "xt_conntrack",
    commands: [filter("-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT")],
  },
  {
    name: "iptables mark",
    weight: "needed",
    purpose: "Services",
    module: "xt_mark",
    commands: [
      nat("-j", "MARK", "--or-mark", "0x4000"),
      filter("-m", "mark", "--mark", "0x4000/0x4000", "-j", "ACCEPT"),
    ],
  },
  {
    name: "iptables addrtype",
    weight: "needed",
    purpose: "NodePort Services",
    module: "xt_addrtype",
    commands: [nat("-m", "addrtype", "--dst-type", "LOCAL", "-j", "RETURN")],
  },
  {
    name: "iptables statistic",
    weight: "needed",
    purpose: "Services with several pods",
    module: "xt_statistic",
    commands: [nat("-m", "statistic", "--mode", "random", "--probability", "0.5", "-j", "RETURN")],
  },
  {
    name: "iptables recent",
    weight: "useful",
    purpose: "Services with session affinity",
    module: "xt_recent",
    commands: [nat("-m", "recent", "--name", "x", "--set", "-j", "RETURN")],
  },
  {
    name: "iptables mangle and ipset",
    weight: "useful",
    purpose: "network policies",
    module: "iptable_mangle xt_set ip_set_hash_ip ip_set_hash_net ip_set_hash_ipport",
    commands: [
      ["ipset", "create", "check", "hash:net"],
      [
        "iptables",
        "-w",
        "5",
        "-t",
        "mangle",
        "-A",
        "FORWARD",
        "-m",
        "set",
        "--match-set",
        "check",
        "src",
        "-j",
        "DROP",
      ],
    ],
  },
  {
    name: "veth and bridge",
    weight: "needed",
    purpose: "pod networks",
    module: "veth bridge",
    commands: [
      ["ip", "link", "add", "check0", "type", "bridge"],
      ["ip", "link", "add", "check1", "type", "veth", "peer", "name", "check2"],
    ],
  },
  {
    name: "VXLAN",
    weight: "useful",
    purpose: "boards in different subnets",
    module: "vxlan",
    commands: [["ip", "link", "add", "check3", "type", "vxlan", "id", "4242", "dstport", "8472", "dev", "lo"]],
  },
];

/**
 * Tries each feature for real, in a network namespace that ends with the trial; the kernel loads modules by itself
 * then. `run` runs programs on this machine.
 */
export async function tryKernelFeatures(
  run: CommandRunner,
  { isRoot }: { readonly isRoot: boolean },
): Promise<KernelFeature[]> {
  const features = await Promise.all(trials.map((trial) => tryOne(run, trial, isRoot)));
  return [...features, await overlay(run), await bridgeFilter(run)];
}

async function tryOne(run: CommandRunner, { commands, ...feature }: Trial, isRoot: boolean): Promise<KernelFeature> {
  if (!isRoot) return { ...feature, state: "unknown", detail: "only root can" };
  // Without -e a later command would hide that an earlier one failed.
  const script = commands.map((words) => words.map((word) => `'${word}'`).join(" ")).join("\n");
  try {
    await run("unshare", ["--net", "sh", "-ec", script]);
    return { ...feature, state: "present", detail: "" };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const isMissingProgram = /not found/.test(error.stderr);
    const detail = error.stderr.trim().split("\n").at(0) ?? "no reason given";
    return { ...feature, state: isMissingProgram || error.exitCode === null ? "unknown" : "absent", detail };
  }
}

async function overlay(run: CommandRunner): Promise<KernelFeature> {
  const feature = { name: "overlay", weight: "needed", purpose: "images", module: "overlay" } as const;
  const isThere = async (): Promise<boolean> =>
    /\boverlay$/m.test(await readFile("/proc/filesystems", "utf8").catch(() => ""));
  if (!(await isThere())) await load(run, "overlay");
  return (await isThere())
    ? { ...feature, state: "present", detail: "" }
    : { ...feature, state: "absent", detail: "/proc/filesystems does not list it" };
}

async function bridgeFilter(run: CommandRunner): Promise<KernelFeature> {
  const purpose = "Services between pods of one board";
  const feature = { name: "br_netfilter", weight: "needed", purpose, module: "br_netfilter" } as const;
  const path = "/proc/sys/net/bridge/bridge-nf-call-iptables";
  const isThere = (): Promise<boolean> =>
    readFile(path).then(
      () => true,
      () => false,
    );
  if (!(await isThere())) await load(run, "br_netfilter");
  return (await isThere())
    ? { ...feature, state: "present", detail: "" }
    : { ...feature, state: "absent", detail: `${path} is missing` };
}

/** Some kernels have it built in, and have no module to load: whether it worked is seen elsewhere. */
async function load(run: CommandRunner, module: string): Promise<void> {
  await run("modprobe", [module]).catch(() => undefined);
}
