import { nodes, pods } from "#shared/api/resources.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import { version } from "#shared/version.ts";
import { knownMembers } from "../etcd/files.ts";
import { boards as boardsRef } from "../metrics/board-resource.ts";
import { describeWear } from "../metrics/disk-wear.ts";
import { adminAccess } from "./admin-client.ts";

/** `bramble status`: the fleet at a glance. */
export async function printStatus(options: { readonly kubeconfig: string; readonly dataDir: string }): Promise<void> {
  const { client, server } = adminAccess(options.kubeconfig);
  console.log(`Bramble ${version}, API server ${server}, data in ${options.dataDir}`);
  if (knownMembers(options.dataDir).length > 0) {
    const members = await (await import("./etcd.ts")).describeMembers(options.dataDir);
    console.log(`\n${counted(members, "member")} of etcd:`);
    for (const member of members) console.log(`  ${member}`);
  }
  const [boards, workloads] = [(await client.list(nodes)).items, (await client.list(pods)).items];
  console.log(`\n${counted(boards, "board")}:`);
  // Without the boards' own resource (it can be disabled) the rest is told all the same.
  const hardware = new Map(
    (await client.list(boardsRef).catch(() => ({ items: [] }))).items.map((board) => [board.metadata.name, board]),
  );
  for (const node of boards) {
    console.log(`  ${describeNode(node, workloads)}`);
    const wear = hardware.get(node.metadata.name)?.status.wear;
    if (wear) console.log(`    ${describeWear(wear)}`);
  }
  const troubled = workloads.filter(isTroubled);
  console.log(`\n${counted(workloads, "pod")}, ${troubled.length} of them not well`);
  for (const pod of troubled) console.log(`  ${describePod(pod)}`);
}

const counted = ({ length }: readonly unknown[], what: string): string => `${length} ${what}${length === 1 ? "" : "s"}`;

function describeNode(node: Node, workloads: readonly Pod[]): string {
  const ready = node.status?.conditions?.find((condition) => condition.type === "Ready");
  const state = ready?.status === "True" ? "Ready" : `NotReady since ${ready?.lastTransitionTime ?? "it joined"}`;
  const trouble = (node.status?.conditions ?? []).filter(
    (condition) => condition.type !== "Ready" && condition.status === "True",
  );
  const own = workloads.filter((pod) => pod.spec?.nodeName === node.metadata.name);
  return [node.metadata.name, state, counted(own, "pod"), ...trouble.map((condition) => condition.type)].join(", ");
}

function isTroubled(pod: Pod): boolean {
  const { phase, conditions = [] } = pod.status ?? {};
  if (phase === "Succeeded") return false;
  return (
    phase !== "Running" || conditions.some((condition) => condition.type === "Ready" && condition.status !== "True")
  );
}

function describePod(pod: Pod): string {
  const { phase, reason, containerStatuses = [] } = pod.status ?? {};
  const waiting = containerStatuses.flatMap(({ state }) => state?.waiting?.reason ?? []);
  return `${pod.metadata.namespace}/${pod.metadata.name}: ${[...new Set([reason ?? phase ?? "Unknown", ...waiting])].join(", ")}`;
}
