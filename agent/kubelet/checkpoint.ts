import { readdir, readFile, rename, rm, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Seal } from "#agent/checkpoint/seal.ts";
import type { ConfigMap, PersistentVolume, Pod, PodStatus, Secret } from "#shared/api/types/core-v1.generated.ts";
import type { CSIDriver } from "#shared/api/types/storage-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import { errnoOf, ifPresent, readIfPresent } from "#shared/files/if-present.ts";
import { syncFolder, writeSecureFile } from "#shared/files/secure-file.ts";

/** Tokens that a pod was given last, by what they are for. */
export interface PodTokens {
  readonly metadata: { readonly uid: string };
  readonly tokens: Readonly<Record<string, { readonly token: string; readonly expiresAt_ms: number }>>;
}

/** What a pod's claims came to when they were last mounted, by their names. */
export interface PodVolumes {
  readonly metadata: { readonly uid: string };
  readonly claims: Readonly<Record<string, { readonly volume: PersistentVolume; readonly readOnly: boolean }>>;
}

interface Kinds {
  tokens: PodTokens;
  volumes: PodVolumes;
  csidrivers: CSIDriver;
  pods: Pod;
  configmaps: ConfigMap;
  secrets: Secret;
}
export type CheckpointKind = keyof Kinds;

/**
 * What the master last said about this board's pods and what they use, on disk: a board that boots while the master is
 * away starts its pods from it. One file an object, 0600, Secrets and tokens sealed, written only when the content changes, so that an idle board
 * writes nothing.
 */
export class Checkpoint {
  readonly #written = new Map<string, string>();
  /** Writes of one file happen one after the other. */
  readonly #pending = new Map<string, Promise<void>>();

  constructor(
    readonly folder: string,
    readonly log: Log,
    /** Closes what nobody is to read on the card. */
    readonly seal: Pick<Seal, "open" | "close">,
  ) {}

  /** Takes away what a process that was killed had half written. To be called before anything is written. */
  async dropHalfWritten(): Promise<void> {
    const names = (await ifPresent(readdir(this.folder, { recursive: true }))) ?? [];
    for (const name of names.filter((each) => each.endsWith(".tmp")))
      await rm(join(this.folder, name), { force: true });
  }

  /** Reads all objects of a kind. Of files that cannot be read the last is kept aside: one a kind, however many break. */
  async load<K extends CheckpointKind>(kind: K): Promise<Kinds[K][]> {
    const folder = join(this.folder, kind);
    const names = await readdir(folder).catch(() => []);
    const objects: Kinds[K][] = [];
    for (const name of names.filter((name) => name.endsWith(suffixOf(kind)))) {
      const path = join(folder, name);
      try {
        const text = await this.#textOf(kind, path);
        if (text === undefined) continue;
        objects.push(JSON.parse(text) as Kinds[K]);
        this.#written.set(path, text);
      } catch (error) {
        const kept = join(this.folder, `broken-${kind}`);
        this.log.warn("a checkpoint is damaged: it is set aside, and the master is asked anew", { path, kept, error });
        await rename(path, kept);
      }
    }
    return objects;
  }

  /** The object as it was last saved. */
  async read<K extends CheckpointKind>(kind: K, key: string): Promise<Kinds[K] | undefined> {
    const path = this.#path(kind, key);
    try {
      const text = this.#written.get(path) ?? (await this.#textOf(kind, path));
      return text === undefined ? undefined : (JSON.parse(text) as Kinds[K]);
    } catch (error) {
      this.log.warn("a checkpoint is damaged and counts as none", { path, error });
      return undefined;
    }
  }

  /** Never fails: what cannot be saved is reported. */
  async save<K extends CheckpointKind>(kind: K, key: string, object: Kinds[K]): Promise<void> {
    const path = this.#path(kind, key);
    const text = JSON.stringify(withoutVolatile(object));
    if (this.#written.get(path) === text) return;
    this.#written.set(path, text);
    const content = isSealed(kind) ? this.seal.close(basename(path), Buffer.from(text)) : text;
    await this.#inTurn(path, () => writeSecureFile(path, content));
  }

  async remove(kind: CheckpointKind, key: string): Promise<void> {
    const path = this.#path(kind, key);
    this.#written.delete(path);
    // Synced, or a power cut would bring it back: a pod that runs elsewhere by now must not start here again.
    await this.#inTurn(path, () => removeForGood(path));
  }

  /** Drops what belongs to pods that are not among these. */
  async retainPods(uids: ReadonlySet<string>): Promise<void> {
    for (const kind of ["pods", "tokens", "volumes"] as const) {
      for (const { metadata } of await this.load(kind)) {
        const { uid = "" } = metadata;
        if (!uids.has(uid)) await this.remove(kind, uid);
      }
    }
  }

  /** Everything that was to be written is. */
  async flushed(): Promise<void> {
    await Promise.all(this.#pending.values());
  }

  async #textOf(kind: CheckpointKind, path: string): Promise<string | undefined> {
    if (!isSealed(kind)) return readIfPresent(path);
    const sealed = await ifPresent(readFile(path));
    return sealed && this.seal.open(basename(path), sealed).toString("utf8");
  }

  #path(kind: CheckpointKind, key: string): string {
    return join(this.folder, kind, `${key.replaceAll("/", "_")}${suffixOf(kind)}`);
  }

  async #inTurn(path: string, act: () => Promise<void>): Promise<void> {
    const before = this.#pending.get(path) ?? Promise.resolve();
    const turn = before.then(act).catch((error) => this.log.error("a checkpoint cannot be written", { path, error }));
    this.#pending.set(path, turn);
    await turn;
    if (this.#pending.get(path) === turn) this.#pending.delete(path);
  }
}

async function removeForGood(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  await syncFolder(dirname(path));
}

const isSealed = (kind: CheckpointKind): boolean => kind === "secrets" || kind === "tokens";

const suffixOf = (kind: CheckpointKind): string => (isSealed(kind) ? ".sealed" : ".json");

/** Leaves out what changes often and is not needed to start: each change would be a write to the card. */
function withoutVolatile<T extends object>(object: T): T {
  const copy = { ...object } as T & { metadata?: object; status?: object };
  if (copy.metadata) {
    const { managedFields: _, resourceVersion: __, ...metadata } = copy.metadata as Record<string, unknown>;
    copy.metadata = metadata;
  }
  const status = copy.status as PodStatus | undefined;
  if (status && "containerStatuses" in status) {
    const final = status.phase === "Succeeded" || status.phase === "Failed";
    const { phase, startTime, reason, message, resourceClaimStatuses } = status;
    copy.status = final ? { phase, startTime, reason, message } : { startTime, resourceClaimStatuses };
  }
  return copy;
}
