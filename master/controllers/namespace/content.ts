import { hasReason, isNotFound } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { Client } from "#shared/client/client.ts";
import type { DiscoveredResource, Discovery } from "#shared/client/discovery.ts";
import type { DeletionReport } from "./conditions.ts";

interface Tally {
  readonly deletionErrors: Error[];
  readonly remaining: Map<string, number>;
  readonly finalizers: Map<string, number>;
}

const pageSize = 500;
/** Resources worked on at the same time. */
const atOnce = 8;

/**
 * One pass: deletes what is in the namespace, of every resource that can be deleted, and counts what is still there. Pods
 * go first and everything else waits for them, so that nothing is taken from under a running pod (KEP-5080). Errors of one
 * resource do not keep from the others.
 */
export async function deleteContent(client: Client, namespace: string, discovery: Discovery): Promise<DeletionReport> {
  const tally: Tally = { deletionErrors: [], remaining: new Map(), finalizers: new Map() };
  const deletable = discovery.resources.filter(({ ref, verbs }) => ref.namespaced && verbs.has("delete"));
  const isPods = ({ ref }: DiscoveredResource): boolean => ref.group === "" && ref.plural === "pods";
  await empty(client, namespace, deletable.filter(isPods), tally);
  if (tally.remaining.size === 0 && tally.deletionErrors.length === 0)
    await empty(
      client,
      namespace,
      deletable.filter((resource) => !isPods(resource)),
      tally,
    );
  return { ...tally, discoveryFailures: discovery.failures };
}

async function empty(
  client: Client,
  namespace: string,
  resources: readonly DiscoveredResource[],
  tally: Tally,
): Promise<void> {
  const queue = [...resources];
  const worker = async (): Promise<void> => {
    for (let resource = queue.shift(); resource; resource = queue.shift()) {
      try {
        await emptyOne(client, namespace, resource, tally);
      } catch (error) {
        if (isNotFound(error) || hasReason(error, "MethodNotAllowed")) continue;
        tally.deletionErrors.push(error instanceof Error ? error : new Error(String(error)));
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function emptyOne(
  client: Client,
  namespace: string,
  { ref, verbs }: DiscoveredResource,
  tally: Tally,
): Promise<void> {
  const listable = verbs.has("list");
  // Most resources hold nothing: a read is cheaper than a write.
  let left = listable ? await listAll(client, namespace, ref) : [];
  if (listable && left.length === 0) return;
  const options = { propagationPolicy: "Background" };
  if (verbs.has("deletecollection")) {
    await client.deleteCollection(ref, { namespace }, options);
  } else {
    for (const { metadata } of left) {
      try {
        await client.delete(ref, { namespace, name: metadata.name ?? "" }, options);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  }
  if (!listable) return;
  left = await listAll(client, namespace, ref);
  if (left.length === 0) return;
  tally.remaining.set(`${ref.plural}.${ref.group}`, left.length);
  for (const { metadata } of left)
    for (const finalizer of metadata.finalizers ?? [])
      tally.finalizers.set(finalizer, (tally.finalizers.get(finalizer) ?? 0) + 1);
}

async function listAll(client: Client, namespace: string, ref: ResourceRef<KubeObject>): Promise<KubeObject[]> {
  const items: KubeObject[] = [];
  let continueToken: string | undefined;
  do {
    const page = await client.list(ref, { namespace, limit: pageSize, continue: continueToken });
    items.push(...page.items);
    continueToken = page.metadata.continue || undefined;
  } while (continueToken);
  return items;
}
