import { rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { hasReason, isNotFound, StatusError } from "#shared/api/errors.ts";
import { nodes, pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { ConfigError } from "#shared/config/option.ts";
import { BoardIdentity } from "#shared/pki/board-identity.ts";
import { boardSerial } from "#shared/pki/board-serial.ts";
import { hasIdentity } from "#shared/pki/identity-files.ts";
import { endProgram } from "#shared/process/end-program.ts";
import type { BoardProgram } from "#shared/process/process-note.ts";
import { foundMastersFile, readList } from "./masters.ts";

/** What a person ran cannot go on; the message says what to do. */
class LeaveError extends Error {
  override readonly name = "UserError";
}

const look_ms = 1_000;

/**
 * Takes a board out of its cluster: takes new pods off its plan, moves its pods away as their disruption budgets allow,
 * ends the agent, deletes the Node, and forgets the board's identity.
 */
export async function leave(options: {
  readonly dataDir: string;
  readonly runDir: string;
  readonly servers: readonly string[];
  readonly timeout_s: number;
  /** What runs the agent. It must be gone before its Node is, or it registers it again. */
  readonly program: BoardProgram;
}): Promise<void> {
  const { dataDir, timeout_s } = options;
  const folder = join(dataDir, "agent", "identity");
  if (!hasIdentity(folder))
    throw new LeaveError(
      `this board is in no cluster: ${folder} holds no identity. Run this as root, on the board itself`,
    );
  const servers = [...options.servers, ...readList(join(dataDir, "agent", foundMastersFile))];
  if (servers.length === 0)
    throw new ConfigError("no master is named: give --server https://ADDRESS:6443, as `bramble worker` has it");
  const identity = await BoardIdentity.ensure({
    folder,
    servers,
    hostName: hostname(),
    boardSerial: await boardSerial(dataDir),
  });
  const { nodeName } = identity;
  const client = new HttpClient({ servers, credentials: identity.credentials });
  await client.patch(nodes, { name: nodeName }, { type: "merge", body: { spec: { unschedulable: true } } });
  console.log(`${nodeName}: no new pods come here`);

  const deadline_ms = performance.now() + timeout_s * 1000;
  let told = "";
  for (let left = await movable(client, nodeName); left.length > 0; left = await movable(client, nodeName)) {
    const refusals = new Map<string, string>();
    for (const pod of left) {
      const refusal = await evict(client, pod);
      if (refusal !== undefined) refusals.set(nameOf(pod), refusal);
    }
    const waiting = waitingText(left.map(nameOf), refusals);
    if (performance.now() > deadline_ms)
      throw new LeaveError(
        `after ${timeout_s} s still ${waiting}. Run the command again, with a longer --timeout, or delete them; ` +
          `\`kubectl uncordon ${nodeName}\` lets the board stay`,
      );
    if (waiting !== told) console.log(`${nodeName}: ${waiting}`);
    told = waiting;
    await Bun.sleep(look_ms);
  }
  await endProgram(options.program, options.runDir);
  try {
    await client.delete(nodes, { name: nodeName });
  } catch (error) {
    // A board may not be rid in this way of what others have put on it.
    if (hasReason(error, "Forbidden"))
      console.log(
        `${nodeName}: its Node has taints, or labels that are not its own to set, and stays until an administrator runs \`kubectl delete node ${nodeName}\``,
      );
    else if (!isNotFound(error)) throw error;
  }
  rmSync(folder, { recursive: true, force: true });
  console.log(`${nodeName} has left the cluster. \`bramble-uninstall.sh\` removes Bramble from this board.`);
}

const nameOf = ({ metadata }: Pod): string => `${metadata.namespace}/${metadata.name}`;

/** Names of pods that have not left, with why the API server refused to evict one, where it did. */
export function waitingText(names: readonly string[], refusals: ReadonlyMap<string, string>): string {
  const told = names.map((name) => (refusals.has(name) ? `${name} (${refusals.get(name)})` : name));
  return `waiting for ${names.length} ${names.length === 1 ? "pod" : "pods"} to move: ${told.join(", ")}`;
}

/** Pods that run elsewhere when they are evicted: not those of DaemonSets, nor mirrors of static pods, nor ended ones. */
async function movable(client: HttpClient, nodeName: string): Promise<Pod[]> {
  const { items } = await client.list(pods, { fieldSelector: `spec.nodeName=${nodeName}` });
  return items.filter(({ metadata, status }) => {
    const isDaemon = metadata.ownerReferences?.some(({ kind, controller }) => kind === "DaemonSet" && controller);
    const isMirror = metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined;
    const hasEnded = status?.phase === "Succeeded" || status?.phase === "Failed";
    return !isDaemon && !isMirror && !hasEnded;
  });
}

/** @returns why the pod may not go yet. */
async function evict(
  client: HttpClient,
  { metadata: { namespace, name = "", deletionTimestamp } }: Pod,
): Promise<string | undefined> {
  if (deletionTimestamp) return undefined;
  try {
    await client.post(pods, { namespace, name }, "eviction", {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { namespace, name },
    });
  } catch (error) {
    // A disruption budget says "not yet"; the next round asks again.
    if (error instanceof StatusError && error.reason === "TooManyRequests") return error.message;
    if (!isNotFound(error)) throw error;
  }
  return undefined;
}
