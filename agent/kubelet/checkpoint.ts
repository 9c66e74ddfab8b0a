import { readdir, readFile, rename, rm, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Seal } from "#agent/checkpoint/seal.ts";
import type { ConfigMap, PersistentVolume, Pod, PodStatus, Secret } from "#shared/api/types/core-v1.generated.ts";
import type { CSIDriver } from "#shared/api/types/storage-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
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
  /** What the card did not take, by its file: a full card gets room again, one that is mounted read-only is mended. */
  readonly #undone = new Map<string, () => Promise<void>>();

  /** A line for each try would go to the card too. */
  readonly #trouble: StandingTrouble;

  constructor(
    readonly folder: string,
    readonly log: Log,
    /** Closes what nobody is to read on the card. */
    readonly seal: Pick<Seal, "open" | "close">,
  ) {
    const wrong = "a checkpoint cannot be written, and will be tried again";
    this.#trouble = new StandingTrouble(log, { wrong, over: "checkpoints are written again" });
  }

  /** Takes away what a process that was killed had half written. To be called before anything is written. */
  async dropHalfWritten(): Promise<void> {
    const names = (await ifPresent(readdir(this.folder, { recursive: true }))) ?? [];
    for (const name of names.filter((each) => each.endsWith(".tmp")))
      await rm(join(this.folder, name), { force: true });
  }

  /** Reads all objects of a kind. Of files that cannot be read the last is kept aside: one a kind, however many break. */
  async load<K extends CheckpointKind>(kind: K): Promise<Kinds[K][]> {
    const objects: Kinds[K][] = [];
    for (const name of await this.#names(kind)) {
      const path = join(this.folder, kind, name);
      try {
        const text = await this.#textOf(kind, path);
        if (text === undefined) continue;
        objects.push(JSON.parse(text) as Kinds[K]);
        this.#written.set(path, text);
      } catch (error) {
        const kept = join(this.folder, `broken-${kind}`);
        this.log.warn("a checkpoint is damaged: it is set aside, and the master is asked anew", { path, kept, error });
        // A card that has gone bad takes no writes any more, and can be read still.
        await rename(path, kept).catch((cause) => this.log.warn("it stays where it is", { path, error: cause }));
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

  /** Never fails: what cannot be saved is reported, and saved by `retry`. */
  async save<K extends CheckpointKind>(kind: K, key: string, object: Kinds[K]): Promise<void> {
    const path = this.#path(kind, key);
    const text = JSON.stringify(withoutVolatile(object));
    const before = this.#written.get(path);
    if (before === text) return;
    this.#written.set(path, text);
    const content = isSealed(kind) ? this.seal.close(basename(path), Buffer.from(text)) : text;
    await this.#inTurn(path, async () => {
      // The process before this one may have written the same.
      if (before === undefined && (await this.#textOf(kind, path).catch(() => undefined)) === text) return;
      await writeSecureFile(path, content);
    });
  }

  async remove(kind: CheckpointKind, key: string): Promise<void> {
    await this.#removeFile(this.#path(kind, key));
  }

  async #removeFile(path: string): Promise<void> {
    this.#written.delete(path);
    // Synced, or a power cut would bring it back: a pod that runs elsewhere by now must not start here again.
    await this.#inTurn(path, () => removeForGood(path));
  }

  /**
   * Drops what is not wanted of a kind.
   * @param wanted the keys that are, at this moment: asked again after each removal, for more may be by then
   */
  async retain(kind: CheckpointKind, wanted: () => Iterable<string> | Promise<Iterable<string>>): Promise<void> {
    const wantedNames = async (): Promise<ReadonlySet<string>> =>
      new Set([...(await wanted())].map((key) => basename(this.#path(kind, key))));
    const names = await this.#names(kind);
    let kept = await wantedNames();
    for (const name of names) {
      if (kept.has(name)) continue;
      await this.#removeFile(join(this.folder, kind, name));
      kept = await wantedNames();
    }
  }

  /** Drops what belongs to pods that are not among these. */
  async retainPods(uids: () => Iterable<string>): Promise<void> {
    for (const kind of ["pods", "tokens", "volumes"] as const) await this.retain(kind, uids);
  }

  /** Does again what the card did not take. */
  async retry(): Promise<void> {
    for (const path of [...this.#undone.keys()]) await this.#inTurn(path, undefined);
  }

  /** Everything that was to be written is. */
  async flushed(): Promise<void> {
    await Promise.all(this.#pending.values());
  }

  /** Of the files of a kind. */
  async #names(kind: CheckpointKind): Promise<string[]> {
    const names = (await ifPresent(readdir(join(this.folder, kind)))) ?? [];
    return names.filter((name) => name.endsWith(suffixOf(kind)));
  }

  async #textOf(kind: CheckpointKind, path: string): Promise<string | undefined> {
    if (!isSealed(kind)) return readIfPresent(path);
    const sealed = await ifPresent(readFile(path));
    return sealed && this.seal.open(basename(path), sealed).toString("utf8");
  }

  #path(kind: CheckpointKind, key: string): string {
    return join(this.folder, kind, `${key.replaceAll("/", "_")}${suffixOf(kind)}`);
  }

  /** @param act undefined: what was to be done last, if it is not done yet when its turn comes */
  async #inTurn(path: string, act: (() => Promise<void>) | undefined): Promise<void> {
    const before = this.#pending.get(path) ?? Promise.resolve();
    const turn = before.then(() => this.#do(path, act ?? this.#undone.get(path)));
    this.#pending.set(path, turn);
    await turn;
    if (this.#pending.get(path) === turn) this.#pending.delete(path);
  }

  async #do(path: string, act: (() => Promise<void>) | undefined): Promise<void> {
    if (act === undefined) return;
    try {
      await act();
      this.#undone.delete(path);
      if (this.#undone.size === 0) this.#trouble.end();
    } catch (error) {
      this.#undone.set(path, act);
      this.#trouble.tell(error, { path });
    }
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
