import { familyOf, type IpFamily } from "#shared/net/ip-family.ts";
import { CommandError, type CommandRunner } from "./command.ts";

/**
 * The board's own rules for pod traffic, in chains of our own:
 * - what comes from or goes to pods is forwarded, also where Docker has set the FORWARD policy to DROP;
 * - what leaves the cluster's pod network carries the board's address.
 * NetworkPolicies forbid in the table mangle, which every packet passes before.
 */
const forwardChain = "BRAMBLE-FORWARD";
const postroutingChain = "BRAMBLE-POSTROUTING";

interface Jump {
  readonly table: string;
  readonly from: string;
  readonly to: string;
  /** First: before whatever else may drop. Last: after the service proxy's own marks. */
  readonly position: "first" | "last";
}

const jumps: readonly Jump[] = [
  { table: "filter", from: "FORWARD", to: forwardChain, position: "first" },
  { table: "nat", from: "POSTROUTING", to: postroutingChain, position: "last" },
];

const multicast: Readonly<Record<IpFamily, string>> = { IPv4: "224.0.0.0/4", IPv6: "ff00::/8" };

/** Text for `iptables-restore --noflush`: replaces our chains whole and touches no other. */
function renderForwarding(family: IpFamily, podNetworks: readonly string[]): string {
  const networks = podNetworks.filter((cidr) => familyOf(cidr) === family);
  const comment = (text: string) => `-m comment --comment "${text}"`;
  const forward = networks.flatMap((cidr) => [
    `-A ${forwardChain} -s ${cidr} ${comment("bramble: from pods")} -j ACCEPT`,
    `-A ${forwardChain} -d ${cidr} ${comment("bramble: to pods")} -j ACCEPT`,
  ]);
  const within = networks.flatMap((from) =>
    networks.map((to) => `-A ${postroutingChain} -s ${from} -d ${to} ${comment("bramble: pod to pod")} -j RETURN`),
  );
  const leaving = networks.map(
    (cidr) =>
      `-A ${postroutingChain} -s ${cidr} ! -d ${multicast[family]} ${comment("bramble: out of the cluster")} -j MASQUERADE --random-fully`,
  );
  return [
    "*filter",
    `:${forwardChain} - [0:0]`,
    ...forward,
    "COMMIT",
    "*nat",
    `:${postroutingChain} - [0:0]`,
    ...within,
    ...leaving,
    "COMMIT",
    "",
  ].join("\n");
}

/** Brings both families' rules to what the cluster's pod networks ask for. Idempotent; rejects with CommandError. */
export async function applyForwarding(podNetworks: readonly string[], run: CommandRunner): Promise<void> {
  for (const family of familiesOf(podNetworks)) {
    await run(tool(family, "-restore"), ["--noflush", "-w", "10"], renderForwarding(family, podNetworks));
    for (const { table, from, to, position } of jumps) {
      const rule = jumpRule(from, to);
      if (await exists(run, tool(family), table, rule)) continue;
      await run(tool(family), ["-w", "10", "-t", table, position === "first" ? "-I" : "-A", ...rule]);
    }
  }
}

/** Has nobody taken our chains out of the kernel's? Costs a program for each. Rejects with CommandError. */
export async function forwardingStands(podNetworks: readonly string[], run: CommandRunner): Promise<boolean> {
  for (const family of familiesOf(podNetworks)) {
    for (const { table, from, to } of jumps) {
      if (!(await exists(run, tool(family), table, jumpRule(from, to)))) return false;
    }
  }
  return true;
}

function jumpRule(from: string, to: string): string[] {
  return [from, "-m", "comment", "--comment", "bramble: pod network", "-j", to];
}

function familiesOf(cidrs: readonly string[]): IpFamily[] {
  return [...new Set(cidrs.map(familyOf))];
}

function tool(family: IpFamily, suffix: "" | "-restore" = ""): string {
  return `${family === "IPv4" ? "iptables" : "ip6tables"}${suffix}`;
}

async function exists(
  run: CommandRunner,
  program: string,
  table: string,
  rule: readonly string[] | undefined,
  chain?: string,
): Promise<boolean> {
  try {
    await run(program, ["-w", "10", "-t", table, ...(rule === undefined ? ["-S", chain ?? ""] : ["-C", ...rule])]);
    return true;
  } catch (error) {
    // 1: no such rule or chain. 2 is nft's way to say that the chain in `-j` is not there. Others are real failures.
    if (error instanceof CommandError && (error.exitCode === 1 || error.exitCode === 2)) return false;
    throw error;
  }
}
