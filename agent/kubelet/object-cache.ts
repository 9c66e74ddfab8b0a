import { isNotFound, notFound } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { referencedNames, secretsOfVolume } from "#shared/api/pod-references.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { configMaps, secrets } from "#shared/api/resources.ts";
import type { ConfigMap, Pod, Secret } from "#shared/api/types/core-v1.generated.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import { type Informer, openInformer, withoutManagedFields } from "#shared/client/informer.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { ObjectSource } from "./container/environment.ts";
import { podUid } from "./pod-containers.ts";

type Kind = "configmaps" | "secrets";
const refs: { readonly [K in Kind]: ResourceRef<K extends "configmaps" ? ConfigMap : Secret> } = {
  configmaps: configMaps,
  secrets,
};

interface Entry {
  readonly informer: Informer<KubeObject>;
  readonly users: Set<string>;
  /** Resolves when the watch stands, or has been given time enough to. */
  readonly settled: Promise<unknown>;
  /** Somebody has read the object past the watch, before that stood: what was read may be older than what it found. */
  readEarly: boolean;
}

/** How long a reader waits for a new watch, which spares a request of its own. */
const watchPatience_ms = 1_000;

/**
 * ConfigMaps and Secrets that pods of this board use, and no others. Those in volumes are watched, each by its name, so
 * that files follow changes; the rest is read when a container starts. What was read is checkpointed, and with the
 * master away the checkpoint answers.
 */
export class ObjectCache implements ObjectSource {
  readonly #entries = new Map<string, Entry>();

  constructor(
    readonly client: Client,
    readonly checkpoint: Checkpoint,
    /** Called with the UIDs of pods whose volumes show a changed object. */
    readonly onChange: (podUids: Iterable<string>) => void,
  ) {}

  configMap(namespace: string, name: string): Promise<ConfigMap> {
    return this.#read("configmaps", namespace, name);
  }

  secret(namespace: string, name: string): Promise<Secret> {
    return this.#read("secrets", namespace, name);
  }

  /** Watches what the pod's volumes show. Idempotent. */
  retain(pod: Pod): void {
    const uid = podUid(pod);
    const namespace = pod.metadata.namespace ?? "";
    for (const { kind, name } of volumeReferences(pod)) {
      const key = `${kind}/${namespace}/${name}`;
      let entry = this.#entries.get(key);
      if (!entry) {
        entry = this.#watch(kind, namespace, name);
        this.#entries.set(key, entry);
      }
      entry.users.add(uid);
    }
  }

  /** Ends the watches that only this pod needed. */
  async release(podUid: string): Promise<void> {
    const unused = [...this.#entries].filter(([, { users }]) => users.delete(podUid) && users.size === 0);
    // Others may begin to watch the same while these end.
    for (const [key] of unused) this.#entries.delete(key);
    await Promise.all(unused.map(([, { informer }]) => informer.stop()));
  }

  /** Drops the checkpoints of what no pod refers to any more, nor a volume of one. @param pods those of the board, at this moment */
  async retainKept(pods: () => readonly Pod[]): Promise<void> {
    await this.checkpoint.retain("configmaps", () => pods().flatMap((pod) => keysOf(pod, "configMap")));
    await this.checkpoint.retain("secrets", async () => {
      // What a volume needs was saved after the volume was.
      await this.checkpoint.flushed();
      const volumes = (await this.checkpoint.load("volumes")).flatMap(({ claims }) => Object.values(claims));
      const ofVolumes = volumes.flatMap(({ volume }) => secretsOfVolume(volume)).map(keyOfReference);
      return [...ofVolumes, ...pods().flatMap((pod) => keysOf(pod, "secret"))];
    });
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ informer }) => informer.stop()));
    this.#entries.clear();
  }

  #watch(kind: Kind, namespace: string, name: string): Entry {
    const informer = openInformer<KubeObject>(this.client, refs[kind] as unknown as ResourceRef<KubeObject>, {
      scope: { namespace, fieldSelector: `metadata.name=${name}` },
      transform: withoutManagedFields,
    });
    const users = new Set<string>();
    informer.addHandler(({ type, object }) => {
      if (type !== "delete") void this.checkpoint.save(kind, `${namespace}/${name}`, object as ConfigMap & Secret);
      if (informer.hasSynced) this.onChange(users);
    });
    informer.start();
    const synced = informer.synced.catch(() => undefined);
    const settled = Promise.race([synced, new Promise((resolve) => setTimeout(resolve, watchPatience_ms).unref())]);
    const entry: Entry = { informer, users, settled, readEarly: false };
    void synced.then(() => {
      if (entry.readEarly && informer.hasSynced) this.onChange(users);
    });
    return entry;
  }

  async #read<K extends Kind>(
    kind: K,
    namespace: string,
    name: string,
  ): Promise<K extends "configmaps" ? ConfigMap : Secret> {
    type Read = K extends "configmaps" ? ConfigMap : Secret;
    const key = `${namespace}/${name}`;
    const entry = this.#entries.get(`${kind}/${key}`);
    // A master that is away is not waited for: that would cost every pod of a board that boots some seconds.
    if (!this.client.isAway) await entry?.settled;
    const cached = entry?.informer.lister.get(key);
    if (cached) return cached as unknown as Read;
    if (entry && !entry.informer.hasSynced) entry.readEarly = true;
    if (this.client.isAway || entry?.informer.isInterrupted) {
      const saved = await this.checkpoint.read(kind, key);
      if (saved !== undefined) return saved as unknown as Read;
    }
    try {
      const read = await this.client.get<Read>(refs[kind] as unknown as ResourceRef<Read>, { namespace, name });
      await this.checkpoint.save(kind as Kind, key, read as ConfigMap & Secret);
      return read;
    } catch (error) {
      // The wording that clients know for a missing object names it without its namespace.
      if (isNotFound(error))
        throw notFound({ group: "", plural: kind === "configmaps" ? "configmap" : "secret" }, name);
      if (!(error instanceof ConnectionError)) throw error;
      const saved = await this.checkpoint.read(kind, key);
      if (saved === undefined) throw error;
      return saved as unknown as Read;
    }
  }
}

const keyOfReference = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`;

const keysOf = (pod: Pod, kind: "configMap" | "secret"): string[] =>
  referencedNames(pod, kind).map((name) => keyOfReference({ namespace: pod.metadata.namespace ?? "", name }));

/** ConfigMaps and Secrets whose content a pod's volumes show. */
function volumeReferences(pod: Pod): { kind: Kind; name: string }[] {
  const references = (pod.spec.volumes ?? []).flatMap(({ configMap, secret, projected }) => [
    ...(configMap?.name ? [{ kind: "configmaps" as const, name: configMap.name }] : []),
    ...(secret?.secretName ? [{ kind: "secrets" as const, name: secret.secretName }] : []),
    ...(projected?.sources ?? []).flatMap((source) => [
      ...(source.configMap?.name ? [{ kind: "configmaps" as const, name: source.configMap.name }] : []),
      ...(source.secret?.name ? [{ kind: "secrets" as const, name: source.secret.name }] : []),
    ]),
  ]);
  return references;
}
