import { isAlreadyExists } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { byAge, keyOf } from "#shared/api/object.ts";
import { deployments, replicaSets } from "#shared/api/resources.ts";
import type { Deployment, DeploymentStatus, ReplicaSet } from "#shared/api/types/apps-v1.generated.ts";
import type { PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import { timestamp } from "#shared/client/clock.ts";
import { type ControllerContext, isNamespaceTerminating } from "#shared/client/controller.ts";
import { controllerReference, controllerReferenceOf } from "#shared/client/controller-ref.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { canonicalText } from "../canonical-text.ts";
import { equalStatus } from "../equal-status.ts";
import { shortHash } from "../pod-control/template-hash.ts";
import { byRevision, currentAnnotations, maxRevision, revisionAnnotation, sizeAnnotations } from "./annotations.ts";
import { maxSurgeOf, newReplicaSetSize, type Resize, replicasOf } from "./sizes.ts";
import { conditionOf, hasHistoryLimit, hasProgressDeadline, type WantedCondition, withCondition } from "./status.ts";

/** Label that keeps the pods of a Deployment's ReplicaSets apart. */
export const hashLabel = "pod-template-hash";

/** Whether two templates make the same pods; the label that tells ReplicaSets apart does not count. */
export function sameTemplate(a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean {
  return canonicalText(comparable(a)) === canonicalText(comparable(b));
}

function comparable(template: PodTemplateSpec | undefined): unknown {
  const { labels, annotations, ...metadata } = template?.metadata ?? {};
  const { [hashLabel]: _, ...others } = labels ?? {};
  return { ...template, metadata: { ...metadata, labels: others, annotations: annotations ?? {} } };
}

/** A Deployment and its ReplicaSets during one reconcile. Writes keep `deployment` up to date, so that a later write of
 *  the same reconcile is not refused as stale. */
export class Rollout {
  /** With the present template, if there is one. */
  current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];

  constructor(
    readonly context: ControllerContext,
    public deployment: Deployment,
    all: readonly ReplicaSet[],
  ) {
    const { template } = deployment.spec;
    this.current = all.toSorted(byAge).find(({ spec }) => sameTemplate(spec.template, template));
    this.old = all.filter(({ metadata }) => metadata.uid !== this.current?.metadata.uid);
  }

  get all(): ReplicaSet[] {
    return [...this.old, ...(this.current ? [this.current] : [])];
  }

  get now(): string {
    return timestamp(this.context.clock);
  }

  get #sizeAnnotations(): Record<string, string> {
    const desired = replicasOf(this.deployment);
    return sizeAnnotations(desired, desired + maxSurgeOf(this.deployment));
  }

  event(type: "Normal" | "Warning", reason: string, message: string): void {
    this.context.events.record(this.deployment, { type, reason, message });
  }

  /** Writes the status, with annotations that changed along with it, unless it says what it said before. */
  async writeStatus(status: DeploymentStatus, annotations = this.deployment.metadata.annotations): Promise<boolean> {
    const { metadata } = this.deployment;
    const unchanged = equalStatus(this.deployment.status, status) && equalStatus(metadata.annotations, annotations);
    if (unchanged) return false;
    const next = { ...this.deployment, metadata: { ...metadata, annotations }, status };
    this.deployment = await this.context.client.update(deployments, next, { subresource: "status" });
    return true;
  }

  /** Gives the present ReplicaSet and the Deployment their revision; makes that ReplicaSet only if asked to. */
  async syncRevision(whenMissing: "create" | "leave"): Promise<void> {
    const revision = maxRevision(this.old) + 1n;
    if (this.current) await this.#syncCurrent(this.current, revision);
    else if (whenMissing === "create") this.current = await this.#create(revision);
  }

  async #syncCurrent(current: ReplicaSet, revision: bigint): Promise<void> {
    const { minReadySeconds } = this.deployment.spec;
    const annotations = currentAnnotations(this.deployment, current.metadata.annotations ?? {}, revision);
    const isOutdated =
      !equalStatus(annotations, current.metadata.annotations) ||
      (current.spec.minReadySeconds ?? 0) !== (minReadySeconds ?? 0);
    if (isOutdated) {
      this.current = await this.#update({
        ...current,
        metadata: { ...current.metadata, annotations },
        spec: { ...current.spec, minReadySeconds },
      });
      return;
    }
    const isKnown = conditionOf(this.deployment.status, "Progressing") !== undefined;
    const message = `Found new replica set "${current.metadata.name}"`;
    await this.#note(
      annotations[revisionAnnotation],
      hasProgressDeadline(this.deployment) && !isKnown
        ? { type: "Progressing", status: "True", reason: "FoundNewReplicaSet", message }
        : undefined,
    );
  }

  /** The revision in the Deployment's annotations, and a condition. */
  async #note(revision: string | undefined, condition: WantedCondition | undefined): Promise<void> {
    const { metadata, status = {} } = this.deployment;
    const annotations = { ...metadata.annotations, ...(revision ? { [revisionAnnotation]: revision } : {}) };
    const conditions = condition ? withCondition(status.conditions, condition, this.now) : status.conditions;
    await this.writeStatus({ ...status, ...(conditions ? { conditions } : {}) }, annotations);
  }

  async #create(revision: bigint): Promise<ReplicaSet> {
    const { client, written } = this.context;
    const wanted = this.#newReplicaSet(revision);
    const name = wanted.metadata.name ?? "";
    let created: ReplicaSet;
    try {
      created = await client.create(replicaSets, wanted, { namespace: wanted.metadata.namespace });
      written.wrote(keyOf(this.deployment), replicaSets, created);
    } catch (error) {
      if (isAlreadyExists(error)) return this.#existing(name, revision, error);
      if (!isNamespaceTerminating(error)) await this.#tellFailure(name, error);
      throw error;
    }
    if (replicasOf(created) > 0)
      this.event("Normal", "ScalingReplicaSet", `Scaled up replica set ${name} from 0 to ${replicasOf(created)}`);
    const message = `Created new replica set "${name}"`;
    await this.#note(
      String(revision),
      hasProgressDeadline(this.deployment)
        ? { type: "Progressing", status: "True", reason: "NewReplicaSetCreated", message }
        : undefined,
    );
    return created;
  }

  #newReplicaSet(revision: bigint): ReplicaSet {
    const { metadata, spec, status } = this.deployment;
    const { template, selector, minReadySeconds } = spec;
    const hash = shortHash(comparable(template), status?.collisionCount);
    const labels = { ...template.metadata?.labels, [hashLabel]: hash };
    const annotations = {
      ...currentAnnotations(this.deployment, {}, revision),
      ...this.#sizeAnnotations,
    };
    return {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: {
        name: `${(metadata.name ?? "").slice(0, 252 - hash.length)}-${hash}`,
        namespace: metadata.namespace,
        labels,
        annotations,
        ownerReferences: [controllerReference(deployments, this.deployment)],
      },
      spec: {
        replicas: newReplicaSetSize(this.deployment, this.old, 0),
        ...(minReadySeconds ? { minReadySeconds } : {}),
        selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
        template: { ...template, metadata: { ...template.metadata, labels } },
      },
    };
  }

  /** The name is taken: by our own that the cache did not show yet, or by another template with the same hash. */
  async #existing(name: string, revision: bigint, taken: unknown): Promise<ReplicaSet> {
    const { client } = this.context;
    const { metadata, spec, status = {} } = this.deployment;
    const existing = await client.get(replicaSets, { namespace: metadata.namespace, name });
    const isOurs = controllerReferenceOf(existing)?.uid === metadata.uid;
    if (isOurs && sameTemplate(existing.spec.template, spec.template)) {
      await this.#note(String(revision), undefined);
      return existing;
    }
    await this.writeStatus({ ...status, collisionCount: (status.collisionCount ?? 0) + 1 });
    throw taken;
  }

  async #tellFailure(name: string, error: unknown): Promise<void> {
    const reason = "ReplicaSetCreateError";
    const message = `Failed to create new replica set "${name}": ${messageOf(error)}`;
    this.event("Warning", reason, message);
    if (hasProgressDeadline(this.deployment))
      await this.#note(undefined, { type: "Progressing", status: "False", reason, message });
  }

  /** Sets sizes and notes the Deployment's own; true when a size changed. */
  async resize(resizes: readonly Resize[]): Promise<boolean> {
    let scaled = false;
    for (const { replicaSet, replicas } of resizes) {
      const before = replicasOf(replicaSet);
      const annotations = { ...replicaSet.metadata.annotations, ...this.#sizeAnnotations };
      if (before === replicas && equalStatus(annotations, replicaSet.metadata.annotations)) continue;
      const { metadata, spec } = replicaSet;
      const next = { ...replicaSet, metadata: { ...metadata, annotations }, spec: { ...spec, replicas } };
      const updated = await this.#update(next);
      if (this.current?.metadata.uid === metadata.uid) this.current = updated;
      if (before === replicas) continue;
      scaled = true;
      const way = before < replicas ? "up" : "down";
      const message = `Scaled ${way} replica set ${metadata.name} from ${before} to ${replicas}`;
      this.event("Normal", "ScalingReplicaSet", message);
    }
    return scaled;
  }

  async #update(replicaSet: ReplicaSet): Promise<ReplicaSet> {
    const { client, written } = this.context;
    const updated = await client.update(replicaSets, replicaSet);
    written.wrote(keyOf(this.deployment), replicaSets, updated);
    return updated;
  }

  /** Deletes the oldest ReplicaSets beyond the history limit that nothing is left of. */
  async cleanUp(): Promise<void> {
    if (!hasHistoryLimit(this.deployment)) return;
    const cleanable = this.old.filter(({ metadata }) => !metadata.deletionTimestamp);
    const surplus = cleanable.length - (this.deployment.spec.revisionHistoryLimit ?? 0);
    if (surplus <= 0) return;
    const oldest = cleanable.toSorted((a, b) => byRevision(a, b) || byAge(a, b));
    for (const { metadata, spec, status } of oldest.slice(0, surplus)) {
      const isBusy = (status?.replicas ?? 0) !== 0 || spec.replicas !== 0;
      const isBehind = (metadata.generation ?? 0) > (status?.observedGeneration ?? 0);
      if (isBusy || isBehind) continue;
      await unlessGone(
        this.context.client.delete(replicaSets, { namespace: metadata.namespace, name: metadata.name ?? "" }),
      );
    }
  }
}
