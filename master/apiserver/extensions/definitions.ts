/**
 * Follows CustomResourceDefinitions: gives them their names and conditions, serves what they define as long as they are
 * there, and removes the objects of one that is deleted before it goes.
 */
import { isConflict, isNotFound } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { equalJson } from "#shared/api/patch/json-value.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { customResourceDefinitions } from "#shared/api/resources.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { CustomResourceDefinition } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { runQueueWorker } from "#shared/client/queue-worker.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import type { ResourceDeclaration } from "../registry/declaration.ts";
import type { ResourceReader } from "../registry/reader.ts";
import { customResource } from "./custom-resource.ts";
import { cleanupFinalizer, isEstablished, type NewCondition, nextStatus, withConditions } from "./definition-status.ts";
import type { WebhookCaller } from "./webhook-client.ts";

/** Where declarations are served: ApiServer. */
export interface Serving {
  register(declaration: ResourceDeclaration): Promise<void>;
  unregister(ref: Pick<ResourceRef, "group" | "plural">): void;
  /** Whether there is a built-in resource by this name. */
  hasOwn(ref: Pick<ResourceRef, "group" | "plural">): boolean;
  /** Has everyone who watches a resource watch it anew. */
  endWatches(ref: Pick<ResourceRef, "group" | "plural">): void;
}

export interface DefinitionsOptions {
  readonly reader: ResourceReader;
  readonly serving: Serving;
  /** The API server's own: of system:masters. */
  readonly client: Client;
  readonly webhooks: WebhookCaller;
  readonly log: Log;
}

interface Served {
  readonly definition: CustomResourceDefinition;
  readonly ref: Pick<ResourceRef, "group" | "plural">;
}

/** While objects have finalizers: how often it is looked whether they are gone. */
const LOOK_AGAIN_MS = 1000;

export class Definitions {
  readonly #options: DefinitionsOptions;
  readonly #queue = new WorkQueue({
    name: "crd_naming_condition_controller",
    firstBackOff_ms: 20,
    longestBackOff_ms: 30_000,
  });
  readonly #served = new Map<string, Served>();
  #unlisten: (() => void) | undefined;

  constructor(options: DefinitionsOptions) {
    this.#options = options;
  }

  /** Serves what is established already, and from then on follows. */
  async start(): Promise<void> {
    const { reader } = this.#options;
    // First, since other masters define while objects are listed here.
    this.#unlisten = reader.onChange(customResourceDefinitions, ({ metadata, spec }, type) => {
      this.#queue.add(metadata.name ?? "");
      // A name that became free may be another's now.
      if (type === "DELETED") for (const other of this.#ofGroup(spec.group)) this.#queue.add(other.metadata.name ?? "");
    });
    for (const definition of reader.list(customResourceDefinitions)) {
      await this.#serve(definition);
      this.#queue.add(definition.metadata.name ?? "");
    }
    void this.#work();
  }

  stop(): void {
    this.#unlisten?.();
    this.#queue.shutDown();
  }

  #ofGroup(group: string): readonly CustomResourceDefinition[] {
    return this.#options.reader.list(customResourceDefinitions).filter(({ spec }) => spec.group === group);
  }

  /** One at a time: names are given one after another. */
  #work(): Promise<void> {
    return runQueueWorker(
      this.#queue,
      (name) => this.#reconcile(name),
      (name, error) => {
        if (!isConflict(error) && !isNotFound(error))
          this.#options.log.warn("a CustomResourceDefinition could not be followed", { name, error });
      },
    );
  }

  async #reconcile(name: string): Promise<void> {
    const { reader, client } = this.#options;
    const definition = reader.get(customResourceDefinitions, { name });
    if (!definition) {
      this.#forget(name);
      return;
    }
    if (definition.metadata.deletionTimestamp === undefined) {
      const others = this.#ofGroup(definition.spec.group).filter(({ metadata }) => metadata.name !== name);
      const next = nextStatus(definition, others, rfc3339(Date.now()));
      if (next && isEstablished(next)) {
        // Served before it says so: whoever waits for the condition may go on at once.
        await this.#serve(next);
      }
      if (next) await client.update(customResourceDefinitions, next, { subresource: "status" });
      else await this.#serve(definition);
      return;
    }
    const leaving = reachable(definition);
    await this.#serve(leaving);
    if (leaving.metadata.finalizers?.includes(cleanupFinalizer)) await this.#cleanUp(name, leaving);
  }

  async #serve(definition: CustomResourceDefinition): Promise<void> {
    if (!isEstablished(definition)) return;
    const { serving, webhooks, log } = this.#options;
    const name = definition.metadata.name ?? "";
    const present = this.#served.get(name);
    if (present && isServedAlike(present.definition, definition)) return;
    let declaration: ResourceDeclaration;
    try {
      const { plural } = definition.status?.acceptedNames ?? definition.spec.names;
      const served = `${plural}.${definition.spec.group}`;
      if (served !== name) throw new Error(`it defines ${served}, which is not its name`);
      declaration = customResource(definition, webhooks);
      if (serving.hasOwn(declaration.ref)) throw new Error("the API server has a resource of its own by this name");
    } catch (error) {
      // One that was stored before its rules were known, for validation refuses what cannot be served; or one that would take
      // the place of what is built in.
      log.error("a CustomResourceDefinition cannot be served", { name, error });
      return;
    }
    await serving.register(declaration);
    // Who watches has seen objects as they were defined before.
    if (present && !isDefinedAlike(present.definition, definition)) serving.endWatches(declaration.ref);
    // One that could not be taken over is tried again: it is not served yet.
    this.#served.set(name, { definition, ref: declaration.ref });
  }

  #forget(name: string): void {
    const served = this.#served.get(name);
    this.#served.delete(name);
    if (served) this.#options.serving.unregister(served.ref);
  }

  /** Deletes all objects, then lets the definition go. */
  async #cleanUp(name: string, definition: CustomResourceDefinition): Promise<void> {
    const inProgress = terminating("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress");
    const { client } = this.#options;
    const now = rfc3339(Date.now());
    const marked = withConditions(definition, [inProgress], now);
    let current = definition;
    if (!equalJson(marked.status, definition.status)) {
      current = await client.update(customResourceDefinitions, marked, { subresource: "status" });
    }
    const ref = this.#served.get(name)?.ref;
    let ended = terminating("False", "NeverEstablished", "resource was never established");
    if (isEstablished(definition) && ref) {
      if (!(await this.#deleteObjects(definition))) {
        this.#queue.addAfter(name, LOOK_AGAIN_MS);
        return;
      }
      ended = terminating("False", "InstanceDeletionCompleted", "removed all instances");
    }
    const done = withConditions(current, [ended], now);
    done.metadata.finalizers = (done.metadata.finalizers ?? []).filter((each) => each !== cleanupFinalizer);
    await client.update(customResourceDefinitions, done, { subresource: "status" });
    // Also where the deletion has not come back to us yet: nothing may be made anew in between.
    if (done.metadata.finalizers.length === 0) this.#forget(name);
  }

  /** True once none is left. */
  async #deleteObjects({ spec }: CustomResourceDefinition): Promise<boolean> {
    const { client, reader } = this.#options;
    const version = spec.versions.find(({ storage }) => storage);
    const { plural, kind } = spec.names;
    const ref: ResourceRef<KubeObject> = {
      group: spec.group,
      version: version?.name ?? "",
      kind,
      plural,
      namespaced: spec.scope === "Namespaced",
    };
    const left = (): readonly KubeObject[] => reader.list(ref);
    const pending = left().filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const spaces = new Set(pending.map(({ metadata }) => metadata.namespace));
    for (const namespace of spaces) await client.deleteCollection(ref, { namespace });
    return left().length === 0;
  }
}

const terminating = (status: "True" | "False", reason: string, message: string): NewCondition => ({
  type: "Terminating",
  status,
  reason,
  message,
});

/** With the version that objects rest in, by which they can be deleted though nobody converts them: where it is not served, it is
 *  until they are gone, and may do without a schema then. */
function reachable(definition: CustomResourceDefinition): CustomResourceDefinition {
  const { spec } = definition;
  if (spec.versions.some(({ served, storage }) => served && storage)) return definition;
  const anything = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  const versions = spec.versions.map((each) =>
    each.storage ? { ...each, served: true, schema: each.schema ?? anything } : each,
  );
  return { ...definition, spec: { ...spec, versions } };
}

/** Nothing that matters to serving has changed. */
const isServedAlike = (a: CustomResourceDefinition, b: CustomResourceDefinition): boolean =>
  (a.metadata.deletionTimestamp === undefined) === (b.metadata.deletionTimestamp === undefined) && isDefinedAlike(a, b);

/** Objects look the same, under the same names. */
const isDefinedAlike = (a: CustomResourceDefinition, b: CustomResourceDefinition): boolean =>
  a.metadata.uid === b.metadata.uid &&
  equalJson(a.spec, b.spec) &&
  equalJson(a.status?.acceptedNames, b.status?.acceptedNames);
