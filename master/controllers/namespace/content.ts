import { hasReason, isNotFound } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { DiscoveredResource, Discovery } from "#shared/client/discovery.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { isTerminal } from "../../scheduler/pod-phase.ts";
import type { DeletionReport } from "./conditions.ts";

interface Tally {
  readonly deletionErrors: Error[];
  readonly remaining: Map<string, number>;
  readonly finalizers: Map<string, number>;
}

const pageSize = 500;
/** Resources worked on at the same time. */
const atOnce = 8;

const isPods = ({ group, plural }: ResourceRef<KubeObject>): boolean => group === "" && plural === "pods";

/** The namespace, and how long ago it was deleted. */
export interface Deletion {
  readonly namespace: string;
  readonly since_ms: number;
}

/**
 * One pass: deletes what is in the namespace, of every resource that can be deleted, and counts what is still there. Pods
 * go first and everything else waits for them, so that nothing is taken from under a running pod (KEP-5080). Errors of one
 * resource do not keep from the others.
 */
export async function deleteContent(client: Client, deletion: Deletion, discovery: Discovery): Promise<DeletionReport> {
  const tally: Tally = { deletionErrors: [], remaining: new Map(), finalizers: new Map() };
  const deletable = discovery.resources.filter(({ ref, verbs }) => ref.namespaced && verbs.has("delete"));
  await empty(
    client,
    deletion,
    deletable.filter(({ ref }) => isPods(ref)),
    tally,
  );
  if (tally.remaining.size === 0 && tally.deletionErrors.length === 0)
    await empty(
      client,
      deletion,
      deletable.filter(({ ref }) => !isPods(ref)),
      tally,
    );
  return { ...tally, discoveryFailures: discovery.failures };
}

async function empty(
  client: Client,
  deletion: Deletion,
  resources: readonly DiscoveredResource[],
  tally: Tally,
): Promise<void> {
  const queue = [...resources];
  const worker = async (): Promise<void> => {
    for (let resource = queue.shift(); resource; resource = queue.shift()) {
      try {
        await emptyOne(client, deletion, resource, tally);
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
  { namespace, since_ms }: Deletion,
  { ref, verbs }: DiscoveredResource,
  tally: Tally,
): Promise<void> {
  const listable = verbs.has("list");
  let left = listable ? await listAll(client, namespace, ref) : [];
  const isInGrace = isPods(ref) && since_ms < longestGrace_ms(left as unknown as readonly Pod[]);
  const options = { propagationPolicy: "Background" };
  if (verbs.has("deletecollection")) {
    // Also where the list shows nothing: what cannot be read is in no list, and keeps the namespace.
    await client.deleteCollection(ref, { namespace }, options);
  } else {
    for (const { metadata } of left) {
      await unlessGone(client.delete(ref, { namespace, name: metadata.name ?? "" }, options));
    }
  }
  if (!listable) return;
  left = await listAll(client, namespace, ref);
  if (left.length === 0) return;
  tally.remaining.set(`${ref.plural}.${ref.group}`, left.length);
  for (const { metadata } of left)
    for (const finalizer of metadata.finalizers ?? [])
      tally.finalizers.set(finalizer, (tally.finalizers.get(finalizer) ?? 0) + 1);
  if (isInGrace || left.some(({ metadata }) => metadata.finalizers?.length)) return;
  // Nothing explains why they are still there.
  const kind = `${ref.group}/${ref.version}, Resource=${ref.plural}`;
  tally.deletionErrors.push(new Error(`unexpected items still remain in namespace: ${namespace} for gvr: ${kind}`));
}

/** How long the pods may take to end. */
const longestGrace_ms = (pods: readonly Pod[]): number =>
  Math.max(
    0,
    ...pods.filter((pod) => !isTerminal(pod)).map(({ spec }) => (spec?.terminationGracePeriodSeconds ?? 0) * 1000),
  );

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
