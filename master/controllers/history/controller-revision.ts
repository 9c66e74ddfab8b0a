import { isAlreadyExists } from "#shared/api/errors.ts";
import { byAge, type KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { controllerRevisions } from "#shared/api/resources.ts";
import type { LabelSelector } from "#shared/api/selector/label-selector.ts";
import type { ControllerRevision } from "#shared/api/types/apps-v1.generated.ts";
import type { PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import type { ControllerContext } from "#shared/client/controller.ts";
import { claimChildren, controllerReference, controllerReferenceOf } from "#shared/client/controller-ref.ts";
import { canonicalText } from "../canonical-text.ts";
import { candidates } from "../pod-control/pod-control.ts";
import { shortHash } from "../pod-control/template-hash.ts";

/** On pods: the revision of the template that they were made from. */
export const podRevisionLabel = "controller-revision-hash";

/** Other values with the same hash that a new revision may meet before it gives up. */
const mostCollisions = 20;

/** The template as a patch of its owner, which is how a revision keeps it and `kubectl rollout undo` applies it. Keys are
 *  sorted, as Go writes maps: clients compare the bytes with those that they make of the owner. */
export const revisionData = (template: PodTemplateSpec): object =>
  JSON.parse(canonicalText({ spec: { template: { ...template, $patch: "replace" } } })) as object;

/** The template that a revision keeps. */
export function templateOf({ data }: ControllerRevision): PodTemplateSpec {
  const { $patch: _, ...template } = (data as { spec: { template: PodTemplateSpec & { $patch?: string } } }).spec
    .template;
  return template;
}

export const sameData = (a: object | undefined, b: object | undefined): boolean =>
  canonicalText(a) === canonicalText(b);

/** Oldest first. */
const byRevision = (a: ControllerRevision, b: ControllerRevision): number => a.revision - b.revision || byAge(a, b);

/** The owner's revisions, oldest first, after adopting and releasing. An owner on its way out adopts none, but still goes
 *  by those that are nobody's: they were its own, and it must not make them anew. */
export async function claimRevisions<O extends KubeObject>(
  context: ControllerContext,
  ref: ResourceRef<O>,
  owner: O,
  selector: LabelSelector,
): Promise<ControllerRevision[]> {
  const children = candidates(context, controllerRevisions, owner, selector);
  const claimed = await claimChildren<ControllerRevision, O>({
    client: context.client,
    ownerRef: ref,
    owner,
    childRef: controllerRevisions,
    children,
    matches: ({ metadata }) => selector.matches(metadata.labels),
  });
  const left = owner.metadata.deletionTimestamp ? children.filter((one) => !controllerReferenceOf(one)) : [];
  return [...claimed, ...left].sort(byRevision);
}

export interface NewRevision<O extends KubeObject> {
  readonly ref: ResourceRef<O>;
  readonly owner: O;
  readonly template: PodTemplateSpec;
  readonly revision: number;
  readonly collisionCount: number;
  /** What is hashed, as upstream: a DaemonSet's template, but a StatefulSet's data. So two of one name and one template do not
   *  meet in the names of their revisions. */
  readonly hashed: object;
  /** The label that bears the hash. */
  readonly hashLabel: string;
}

/** Keeps the owner's template as a revision named by its hash; a name that another value has already raises the
 *  collision count, which comes back with the revision. */
export async function createRevision<O extends KubeObject>(
  { client }: ControllerContext,
  { ref, owner, template, revision, hashed, hashLabel, ...wanted }: NewRevision<O>,
): Promise<{ readonly revision: ControllerRevision; readonly collisionCount: number }> {
  const data = revisionData(template);
  const { namespace, name: ownerName = "", annotations } = owner.metadata;
  for (let { collisionCount } = wanted; ; collisionCount++) {
    const hash = shortHash(hashed, collisionCount || undefined);
    const name = `${ownerName.slice(0, 223)}-${hash}`;
    try {
      const created = await client.create(
        controllerRevisions,
        {
          apiVersion: "apps/v1",
          kind: "ControllerRevision",
          metadata: {
            name,
            namespace,
            labels: { ...template.metadata?.labels, [hashLabel]: hash },
            ...(annotations ? { annotations: { ...annotations } } : {}),
            ownerReferences: [controllerReference(ref, owner)],
          },
          data,
          revision,
        },
        { namespace },
      );
      return { revision: created, collisionCount };
    } catch (error) {
      if (!isAlreadyExists(error) || collisionCount >= wanted.collisionCount + mostCollisions) throw error;
      const existing = await client.get(controllerRevisions, { namespace, name });
      // The cache may not show yet that it is the owner's, or nobody's and about to be adopted.
      const controller = controllerReferenceOf(existing);
      const isOurs = controller === undefined || controller.uid === owner.metadata.uid;
      if (isOurs && sameData(existing.data, data)) return { revision: existing, collisionCount };
    }
  }
}

/** Makes an older revision the newest again. */
export async function renumber(
  { client }: ControllerContext,
  present: ControllerRevision,
  revision: number,
): Promise<ControllerRevision> {
  return present.revision === revision ? present : client.update(controllerRevisions, { ...present, revision });
}

/** Deletes the oldest revisions that no pod is of, as long as more than the limit of those are left. */
export async function truncateHistory(
  { client }: ControllerContext,
  unused: readonly ControllerRevision[],
  limit: number,
): Promise<void> {
  for (const { metadata } of unused.slice(0, Math.max(0, unused.length - limit)))
    await client.delete(controllerRevisions, { namespace: metadata.namespace, name: metadata.name ?? "" });
}
