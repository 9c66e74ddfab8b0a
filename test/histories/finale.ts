/** What must become true once clients and faults have ended, asked as often as it takes. */
import type { KubeObject } from "#shared/api/object.ts";
import { readLines } from "#shared/client/line-stream.ts";
import { until } from "#shared/testing/until.ts";
import { newObject } from "./bodies.ts";
import type { Surroundings } from "./client.ts";
import type { Call } from "./history.ts";
import { collectionPath, requestOf } from "./requests.ts";
import { type Plural, plainNamespace, quotaCounts, quotaHard, quotaNamespace, resources } from "./resources.ts";
import { type Address, callServer, openStream, type ServerRequest } from "./server-call.ts";

const lastName = "last";

/** Rejects where a quota's usage does not come to what there is, or where a write is not told by a watch at each server. Gives
 *  lists of all at each server. */
export async function finish(surroundings: Surroundings): Promise<Call[]> {
  const addresses: Address[] = [];
  for (let server = 0; server < surroundings.servers; server += 1) addresses.push(await surroundings.addressOf(server));
  const [first] = addresses;
  if (!first) throw new Error("there are servers");
  for (const { plural } of resources) await tellsLast(plural, addresses);
  await recount(first);
  await until("the quota's usage is what there is", () => isUsageTrue(first));
  const lists: Call[] = [];
  for (const [server] of addresses.entries())
    for (const { plural } of resources) lists.push(await listAll(server, plural, surroundings));
  return lists;
}

const never = new AbortController().signal;

/** Asks again where a server is busy or the answer was lost; what is there already was made by an answer that was lost. */
export function ask<T>(address: Address, request: ServerRequest): Promise<T> {
  return until(`${request.method} ${request.path}`, async () => {
    const answer = await callServer(address, request, never);
    if (answer.kind === "answered" && (answer.code < 300 || answer.code === 409)) return answer.body as T;
    throw new Error(JSON.stringify(answer));
  });
}

/** Written by way of the first server, an object comes to a watch at each. */
async function tellsLast(plural: Plural, addresses: readonly Address[]): Promise<void> {
  const path = collectionPath(plural, plainNamespace);
  const writer = addresses[0] as Address;
  const { metadata } = await ask<{ metadata: { resourceVersion: string } }>(writer, { method: "GET", path });
  const { resourceVersion } = metadata;
  const target = { plural, namespace: plainNamespace, name: lastName };
  const shape = { target, group: "a", isHeld: false, hasGeneratedName: false, hasNodePort: false } as const;
  await ask(writer, { method: "POST", path, body: newObject({ verb: "create", ...shape }, lastName) });
  for (const address of addresses)
    await until(`a watch of ${plural} at ${address.url} tells the last write`, () =>
      isTold(address, `${path}?watch=true&timeoutSeconds=20&resourceVersion=${resourceVersion}`),
    );
}

async function isTold(address: Address, path: string): Promise<boolean> {
  const end = new AbortController();
  try {
    const { body } = await openStream(address, { method: "GET", path }, end.signal);
    if (!body) return false;
    for await (const line of readLines(body))
      if ((JSON.parse(line) as { object: KubeObject }).object.metadata.name === lastName) return true;
    return false;
  } finally {
    end.abort();
  }
}

/** What was charged for writes that failed stays until all is counted anew: every five minutes, or for a changed spec. */
function recount(address: Address): Promise<unknown> {
  return ask(address, {
    method: "PATCH",
    path: `/api/v1/namespaces/${quotaNamespace}/resourcequotas/quota`,
    body: { spec: { hard: { secrets: "100" } } },
    contentType: "application/merge-patch+json",
  });
}

async function isUsageTrue(address: Address): Promise<boolean> {
  const path = `/api/v1/namespaces/${quotaNamespace}/resourcequotas/quota`;
  const { status } = await ask<{ status?: { used?: Record<string, string> } }>(address, { method: "GET", path });
  const counts = await Promise.all(
    quotaCounts.map(async ({ plural, counts: isCounted, name }) => {
      const list = { method: "GET", path: collectionPath(plural, quotaNamespace) } as const;
      const { items } = await ask<{ items: KubeObject[] }>(address, list);
      return [name, String(items.filter(isCounted).length)] as const;
    }),
  );
  const used = Object.keys(quotaHard).map((name) => [name, status?.used?.[name]] as const);
  return Bun.deepEquals(new Map(used), new Map(counts));
}

async function listAll(server: number, plural: Plural, { addressOf, moment }: Surroundings): Promise<Call> {
  const operation = { verb: "list", plural, namespace: undefined, group: undefined, at: "newest", limit: 0 } as const;
  const request = requestOf(operation, { seen: undefined, newest: "", manager: "", tag: "" });
  if (!request) throw new Error("a list needs nothing that was seen");
  const address = await addressOf(server);
  const invoked = moment();
  const answer = await callServer(address, request, never);
  return { tag: "", server, operation, version: undefined, uid: undefined, invoked, answered: moment(), answer };
}
