import { hasReason, isNotFound } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { isTerminal } from "#shared/api/pod-phase.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { pods } from "#shared/api/resources.ts";
import type { Client, ListOptions, Page } from "#shared/client/client.ts";
import type { DiscoveredResource, Discovery } from "#shared/client/discovery.ts";
import { listUrl } from "#shared/client/request-url.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
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
  const options = { propagationPolicy: "Background" };
  // Asked for before they are deleted: then each has the time that was left to it by whoever did.
  const isInGrace = isPods(ref) && since_ms < (await longestGrace_ms(client, namespace));
  if (verbs.has("deletecollection")) {
    // Also where a list would show nothing: what cannot be read is in no list, and keeps the namespace.
    await client.deleteCollection(ref, { namespace }, options);
  } else if (verbs.has("list")) {
    for await (const { metadata } of remaining(client, namespace, ref))
      await unlessGone(client.delete(ref, { namespace, name: metadata.name ?? "" }, options));
  }
  if (verbs.has("list")) await countRemaining(client, namespace, ref, tally, isInGrace);
}

async function countRemaining(
  client: Client,
  namespace: string,
  ref: ResourceRef<KubeObject>,
  tally: Tally,
  isInGrace: boolean,
): Promise<void> {
  let count = 0;
  let isHeld = false;
  for await (const { metadata } of remaining(client, namespace, ref)) {
    count++;
    for (const finalizer of metadata.finalizers ?? []) {
      isHeld = true;
      tally.finalizers.set(finalizer, (tally.finalizers.get(finalizer) ?? 0) + 1);
    }
  }
  if (count === 0) return;
  tally.remaining.set(`${ref.plural}.${ref.group}`, count);
  if (isInGrace || isHeld) return;
  // Nothing explains why they are still there.
  const kind = `${ref.group}/${ref.version}, Resource=${ref.plural}`;
  tally.deletionErrors.push(new Error(`unexpected items still remain in namespace: ${namespace} for gvr: ${kind}`));
}

/** How long the pods may take to end. */
async function longestGrace_ms(client: Client, namespace: string): Promise<number> {
  let longest_s = 0;
  for await (const page of pages((options) => client.list(pods, options), namespace))
    for (const pod of page)
      if (!isTerminal(pod)) longest_s = Math.max(longest_s, pod.spec?.terminationGracePeriodSeconds ?? 0);
  return longest_s * 1000;
}

/** What else is taken from a server that knows no such form. */
const metadataAlone = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/** What there is of a resource, as far as its metadata: a namespace may hold very many objects, and big ones. */
async function* remaining(
  client: Client,
  namespace: string,
  ref: ResourceRef<KubeObject>,
): AsyncIterable<Pick<KubeObject, "metadata">> {
  const list = async (options: ListOptions): Promise<Page<KubeObject>> =>
    (await client.raw({ method: "GET", path: listUrl(ref, options), accept: metadataAlone })) as Page<KubeObject>;
  for await (const page of pages(list, namespace)) yield* page;
}

/** Of all pages one after the other, so that no more than one is held. */
async function* pages<T>(
  list: (options: ListOptions) => Promise<Page<T>>,
  namespace: string,
): AsyncIterable<readonly T[]> {
  let continueToken: string | undefined;
  do {
    const { items, metadata } = await list({ namespace, limit: pageSize, continue: continueToken });
    yield items;
    continueToken = metadata.continue || undefined;
  } while (continueToken);
}
