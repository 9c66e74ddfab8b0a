import { join } from "node:path";
import { nodes, pods } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import {
  previousVersionAnnotation,
  upgradeFailedAnnotation,
  upgradeToAnnotation,
  versionOfKubelet,
} from "#shared/board/upgrade.ts";
import type { Client } from "#shared/client/client.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { checkSignature, parseSums, signatureFile, sumsFile, versionFile } from "#shared/release/sums.ts";
import { isPodReady } from "../controllers/pod-condition.ts";
import { controlPlaneRole } from "../own-board.ts";
import { adminAccess, UserError } from "./admin-client.ts";

export interface UpgradeOptions {
  readonly kubeconfig: string;
  /** The folder that this master hands out. */
  readonly dist: string;
  /** Only these; all boards that are not masters where it is empty. */
  readonly node: readonly string[];
  /** Boards. */
  readonly atOnce: number;
  /** Seconds for each. */
  readonly timeout: number;
  /** Back to what each board ran before. */
  readonly revert?: boolean;
}

const look_ms = 1_000;

/**
 * `bramble upgrade`: brings the boards to the version that this master hands out, some at a time. A board counts when it
 * is Ready with the new version and the pods that were Ready on it are so again; the first that fails ends the roll-out,
 * and boards that were not begun stay as they are. May be interrupted and run again.
 */
export async function upgradeFleet(options: UpgradeOptions): Promise<void> {
  const { atOnce, timeout: timeout_s } = options;
  const { client } = adminAccess(options.kubeconfig);
  const fleet = (await client.list(nodes)).items.filter((node) => isChosen(node, options.node));
  const unknown = options.node.filter((name) => !fleet.some(({ metadata }) => metadata.name === name));
  if (unknown.length > 0) throw new UserError(`there is no board ${unknown.join(", ")}; \`bramble status\` lists them`);
  const offered = options.revert ? undefined : await offeredVersion(options.dist);
  if (offered) console.log(`this master hands out ${offered}`);

  const orders = fleet.flatMap((node) => orderFor(node, offered));
  if (orders.length === 0) {
    console.log("nothing is to be done");
    return;
  }
  console.log(`${orders.length} boards, ${atOnce} at a time: ${orders.map(({ name }) => name).join(", ")}`);
  const waiting = [...orders];
  const problems: string[] = [];
  const roll = async (): Promise<void> => {
    for (let order = waiting.shift(); order && problems.length === 0; order = waiting.shift()) {
      const problem = await upgradeBoard(client, order, timeout_s);
      if (problem !== undefined) problems.push(`${order.name}: ${problem}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, orders.length) }, roll));
  if (problems.length === 0) return console.log("all are upgraded");
  const left = waiting.map(({ name }) => name);
  throw new UserError(
    [
      ...problems,
      left.length > 0 ? `not begun: ${left.join(", ")}` : "no other board was left",
      "look at the board's log, then run this again; `bramble upgrade --revert --node NAME` takes a board back",
    ].join("\n  "),
  );
}

interface Order {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

function isChosen({ metadata, status }: Node, names: readonly string[]): boolean {
  if (names.length > 0) return names.includes(metadata.name ?? "");
  // Others than Bramble's agents are not ours to upgrade, and a master brings its own board along.
  const isMaster = metadata.labels?.[controlPlaneRole] !== undefined;
  return !isMaster && versionOfKubelet(status?.nodeInfo?.kubeletVersion ?? "") !== undefined;
}

/** What is asked of a board; none where it has that already, or cannot be asked now. Says why. */
function orderFor(node: Node, offered: string | undefined): Order[] {
  const name = node.metadata.name ?? "";
  const from = versionOfKubelet(node.status?.nodeInfo?.kubeletVersion ?? "");
  const to = offered ?? node.metadata.annotations?.[previousVersionAnnotation];
  if (from === undefined) console.log(`${name}: is not run by Bramble`);
  else if (to === undefined) console.log(`${name}: has ${from} and nothing to go back to`);
  else if (to === from) console.log(`${name}: has ${from} already`);
  else if (!isReady(node)) console.log(`${name}: is not Ready; left out`);
  else return [{ name, from, to }];
  return [];
}

/** @returns what went wrong. */
async function upgradeBoard(client: Client, { name, from, to }: Order, timeout_s: number): Promise<string | undefined> {
  const end_ms = performance.now() + timeout_s * 1000;
  const isLate = (): boolean => performance.now() > end_ms;
  const before = await readyPods(client, name);
  if (!(await forgetFailure(client, name, isLate))) return `did not answer within ${timeout_s} s`;
  console.log(`${name}: ${from} to ${to}`);
  await annotate(client, name, to);
  let told = "";
  const say = (text: string): void => {
    if (text !== told) console.log(`${name}: ${text}`);
    told = text;
  };
  for (;;) {
    const node = await client.get(nodes, { name });
    const { annotations = {} } = node.metadata;
    const failure = annotations[upgradeFailedAnnotation];
    const isThere = versionOfKubelet(node.status?.nodeInfo?.kubeletVersion ?? "") === to;
    const missing = isThere ? await notReadyAgain(client, name, before) : [];
    if (failure?.startsWith(`${to}: `)) return failure;
    if (isThere && isReady(node) && annotations[upgradeToAnnotation] === undefined && missing.length === 0) {
      console.log(`${name}: runs ${to}`);
      return undefined;
    }
    if (failure !== undefined) say(failure);
    else if (isThere)
      say(missing.length > 0 ? `waits for pods: ${missing.join(", ")}` : "has it, and shows that it is well");
    if (isLate()) return `not done within ${timeout_s} s${failure === undefined ? "" : ` (${failure})`}`;
    await Bun.sleep(look_ms);
  }
}

/** A board keeps what failed until nobody asks for it. @returns whether it has let go of that before it was too late. */
async function forgetFailure(client: Client, name: string, isLate: () => boolean): Promise<boolean> {
  await annotate(client, name, null);
  for (;;) {
    const { annotations } = (await client.get(nodes, { name })).metadata;
    if (annotations?.[upgradeFailedAnnotation] === undefined) return true;
    if (isLate()) return false;
    await Bun.sleep(look_ms);
  }
}

async function annotate(client: Client, name: string, to: string | null): Promise<void> {
  const body = { metadata: { annotations: { [upgradeToAnnotation]: to } } };
  await client.patch(nodes, { name }, { type: "merge", body });
}

/** UIDs of the board's pods that serve. */
async function readyPods(client: Client, node: string): Promise<ReadonlySet<string>> {
  const { items } = await client.list(pods, { fieldSelector: `spec.nodeName=${node}` });
  return new Set(items.filter(isPodReady).map(({ metadata }) => metadata.uid ?? ""));
}

/** Names of those that are still on the board and do not serve as they did. */
async function notReadyAgain(client: Client, node: string, before: ReadonlySet<string>): Promise<string[]> {
  const { items } = await client.list(pods, { fieldSelector: `spec.nodeName=${node}` });
  return items
    .filter((pod) => before.has(pod.metadata.uid ?? "") && pod.metadata.deletionTimestamp === undefined)
    .filter((pod) => !isPodReady(pod) && pod.status?.phase === "Running")
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

const isReady = ({ status }: Node): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;

async function offeredVersion(dist: string): Promise<string> {
  const [sums, signature, version] = await Promise.all(
    [sumsFile, signatureFile, versionFile].map((name) => readIfPresent(join(dist, name))),
  );
  if (sums === undefined || version === undefined || !parseSums(sums).has(versionFile))
    throw new UserError(`${dist} holds no release with a version: run a newer install.sh on this master first`);
  checkSignature(sums, signature);
  return version.trim();
}
