import { isAlreadyExists, isNotFound, StatusError } from "#shared/api/errors.ts";
import type { KubeObject, ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import * as resources from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { until } from "#shared/testing/until.ts";
import { dump, type Seen } from "./dump.ts";

const refs = new Map(
  Object.values(resources as unknown as Record<string, ResourceRef>).map((ref) => [
    `${ref.group === "" ? "" : `${ref.group}/`}${ref.version}/${ref.kind}`,
    ref,
  ]),
);

export function refOf(apiVersion: string, kind: string): ResourceRef {
  const ref = refs.get(`${apiVersion}/${kind}`);
  if (!ref) throw new Error(`no resource for ${apiVersion}/${kind}`);
  return ref;
}

const refsByKind = (kind: string): ResourceRef => {
  const ref = [...refs.values()].find((one) => one.kind === kind);
  if (!ref) throw new Error(`no resource for ${kind}`);
  return ref;
};

/** An object as scenarios write it: the namespace is the scenario's own where it is not said. */
export type Manifest = Pick<KubeObject, "apiVersion" | "kind"> & {
  readonly metadata: Partial<KubeObject["metadata"]> & { readonly name: string };
} & Readonly<Record<string, unknown>>;

export type Labels = Readonly<Record<string, string>>;

export interface NodeShape {
  readonly labels?: Labels;
  readonly taints?: readonly object[];
  readonly unschedulable?: boolean;
  readonly allocatable?: Readonly<Record<string, string>>;
  readonly capacity?: Readonly<Record<string, string>>;
  readonly images?: readonly { readonly names: readonly string[]; readonly sizeBytes: number }[];
  readonly status?: Readonly<Record<string, unknown>>;
}

/** Compares what is seen with what is expected, or keeps it: see `record.ts` and `scheduling.test.ts`. */
export type Witness = (label: string, look: () => Promise<Seen>) => Promise<void>;

/** A control plane without boards as one scenario uses it. What it makes goes again at its end. */
export class World {
  readonly #made: { readonly ref: ResourceRef; readonly key: ObjectKey }[] = [];
  /** Names by UID, for messages that name an object so. */
  readonly #names = new Map<string, string>();

  constructor(
    readonly client: Client,
    readonly namespace: string,
    private readonly witness: Witness,
  ) {}

  async begin(): Promise<void> {
    await this.makeNamespace(this.namespace);
  }

  async makeNamespace(name: string, labels: Labels = {}): Promise<void> {
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name, labels }, spec: {} } as const;
    try {
      await this.client.create(resources.namespaces, namespace);
    } catch (error) {
      // Of an earlier recording.
      if (!isAlreadyExists(error)) throw error;
    }
    const account = { namespace: name, name: "default" };
    await until(`${name}'s account`, () => this.client.get(resources.serviceAccounts, account), { every_ms: 20 });
  }

  /** What the scenario has come to, once nothing more happens. */
  see(label: string): Promise<void> {
    return this.witness(label, () => this.#dump());
  }

  /** The same where it depends on who is quicker whether something is told on the way. */
  seeObjects(label: string): Promise<void> {
    return this.witness(label, async () => ({ ...(await this.#dump()), events: [] }));
  }

  #dump(): Promise<Seen> {
    return dump(this.client, this.#made, this.namespace, this.#names);
  }

  async create(manifest: Manifest): Promise<KubeObject> {
    const ref = refOf(manifest.apiVersion, manifest.kind);
    const namespace = ref.namespaced ? (manifest.metadata.namespace ?? this.namespace) : undefined;
    const object = { ...manifest, metadata: { ...manifest.metadata, ...(namespace ? { namespace } : {}) } };
    const made = await this.client.create(ref, object as unknown as KubeObject, { namespace });
    this.#note(ref, made);
    const { status } = manifest;
    if (status === undefined || ref.kind === "Event") return made;
    return this.status(manifest.apiVersion, manifest.kind, manifest.metadata.name, status as object, namespace);
  }

  status(apiVersion: string, kind: string, name: string, status: object, namespace = this.namespace) {
    return this.patch(apiVersion, kind, name, { status }, { subresource: "status", namespace });
  }

  patch(
    apiVersion: string,
    kind: string,
    name: string,
    body: object,
    { subresource, namespace = this.namespace }: { subresource?: string; namespace?: string } = {},
  ): Promise<KubeObject> {
    const ref = refOf(apiVersion, kind);
    return this.client.patch(ref, keyIn(ref, namespace, name), { type: "merge", body }, { subresource });
  }

  delete(apiVersion: string, kind: string, name: string, gracePeriodSeconds?: number): Promise<void> {
    const ref = refOf(apiVersion, kind);
    return this.client.delete(ref, keyIn(ref, this.namespace, name), { gracePeriodSeconds });
  }

  get(apiVersion: string, kind: string, name: string): Promise<KubeObject> {
    const ref = refOf(apiVersion, kind);
    return this.client.get(ref, keyIn(ref, this.namespace, name));
  }

  /** Waits until there is an object as asked, which others made; gives its name. */
  async find(apiVersion: string, kind: string, holds: (object: Fields) => unknown): Promise<string> {
    const ref = refOf(apiVersion, kind);
    const found = await until(
      `a ${kind}`,
      async () =>
        (await this.client.list(ref, { namespace: ref.namespaced ? this.namespace : undefined })).items.find(holds),
      { every_ms: 20, patience_ms: 60_000 },
    );
    this.#note(ref, found);
    return found.metadata.name ?? "";
  }

  /** Waits until the object is as asked. Rejects with what there is instead. */
  async until(
    apiVersion: string,
    kind: string,
    name: string,
    holds: (object: Fields) => unknown,
    what = "as asked",
  ): Promise<void> {
    let last: unknown;
    await until(
      `${kind} ${name} ${what}`,
      async () => {
        last = await this.get(apiVersion, kind, name);
        return Boolean(holds(last as Fields));
      },
      { every_ms: 20, patience_ms: 60_000, tell: () => JSON.stringify(last) },
    );
  }

  /** Waits until an Event of the reason, with the note if one is given, is told of the object. */
  async told(kind: string, name: string, reason: string, note?: string): Promise<void> {
    await until(
      `${kind} ${name} is told ${reason}`,
      async () => {
        const { items } = await this.client.list(resources.eventsV1, {
          namespace: refsByKind(kind).namespaced ? this.namespace : "default",
        });
        return items.some(
          (event) =>
            event.reason === reason && event.regarding?.name === name && (note === undefined || event.note === note),
        );
      },
      { every_ms: 20, patience_ms: 60_000 },
    );
  }

  async untilGone(apiVersion: string, kind: string, name: string): Promise<void> {
    await until(`${kind} ${name} gone`, () => this.#isGone(refOf(apiVersion, kind), name), { every_ms: 20 });
  }

  async #isGone(ref: ResourceRef, name: string): Promise<boolean> {
    try {
      await this.client.get(ref, keyIn(ref, this.namespace, name));
      return false;
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  }

  #note(ref: ResourceRef, { metadata }: KubeObject): void {
    this.#made.push({ ref, key: { namespace: metadata.namespace, name: metadata.name ?? "" } });
    this.#names.set(metadata.uid ?? "", metadata.name ?? "");
  }

  /** Takes away all that the scenario made, the last first. */
  async end(): Promise<void> {
    const { items } = await this.client.list(resources.pods, { namespace: this.namespace });
    for (const { metadata } of items) await this.#remove(resources.pods as ResourceRef, metadata as ObjectKey);
    for (const { ref, key } of this.#made.toReversed()) await this.#remove(ref, key);
    for (const namespace of [this.namespace, "default"])
      await this.client.deleteCollection(resources.eventsV1, { namespace });
  }

  async #remove(ref: ResourceRef, key: ObjectKey): Promise<void> {
    const { namespace, name } = key;
    await until(
      `${ref.kind} ${name} gone`,
      async () => {
        try {
          const found = await this.client.get(ref, { namespace, name });
          if (!found.metadata.deletionTimestamp || ref.kind === "Pod")
            await this.client.delete(ref, { namespace, name }, { gracePeriodSeconds: 0 });
          if ((found.metadata.finalizers ?? []).length > 0)
            await this.client.patch(
              ref,
              { namespace, name },
              { type: "merge", body: { metadata: { finalizers: null } } },
            );
          await this.client.get(ref, { namespace, name });
          return false;
        } catch (error) {
          if (isNotFound(error)) return true;
          if (error instanceof StatusError && error.code === 409) return false;
          throw error;
        }
      },
      { every_ms: 20 },
    );
  }
}

/** An object whose fields are looked at by name. */
// biome-ignore lint/suspicious/noExplicitAny: a manifest of any kind.
export type Fields = any;

const keyIn = (ref: ResourceRef, namespace: string, name: string): ObjectKey =>
  ref.namespaced ? { namespace, name } : { name };
