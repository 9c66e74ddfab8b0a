import { createHash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isNotFound } from "#shared/api/errors.ts";
import { parseApiVersion } from "#shared/api/object.ts";
import type { Client } from "#shared/client/client.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { ApiEventRecorder, type EventRecorder } from "#shared/client/event-recorder.ts";
import type { Log } from "#shared/client/log.ts";
import { type KeyOutcome, runQueueWorker } from "#shared/client/queue-worker.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import { errnoOf } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import type { Part } from "#shared/process/parts.ts";
import {
  inOrder,
  isManifest,
  leftOut,
  ManifestError,
  type ManifestObject,
  type ObjectIdentity,
  parseManifest,
} from "./manifest.ts";

export interface ManifestFolderOptions {
  readonly folder: string;
  /** Where it is kept what was applied, so that what leaves a manifest is deleted after a restart too. */
  readonly stateFile: string;
  readonly client: Client;
  readonly events: EventRecorder;
  readonly log: Log;
  /** How soon a change of the folder is looked at, and how long a file must have been left alone; a test waits less. */
  readonly gather_ms?: number | undefined;
}

/** Who owns the fields that a manifest sets. */
const manifestManager = "bramble-manifests";
/** On each applied object: the file that it came from. */
const manifestAnnotation = "bramble.dev/manifest";
const gather_ms = 500;
/** What the kernel's notices did not tell, such as changes in folders below. */
const look_ms = 60_000;
const largest_bytes = 8 * 1024 * 1024;
const sync = "sync";
/** Somebody may be writing the file: half of it would take away what the other half names. */
const unsettled = Symbol("unsettled");

/** Files by their path in the folder, with what of each is in the cluster. */
type Applied = Record<string, readonly ObjectIdentity[]>;

/**
 * Applies the manifests in a folder as they change, by server-side apply, and deletes what has left one. A file that goes
 * leaves its objects; one that cannot be read changes nothing until it can.
 */
export class ManifestFolder {
  private readonly queue = new WorkQueue({ firstBackOff_ms: 1_000, longestBackOff_ms: 60_000 });
  private readonly mapper: ResourceMapper;
  private applied: Applied = {};
  /** Digest of each file's content as it was applied by this process, or found to be wrong. */
  private readonly done = new Map<string, string>();
  private readonly complained = new Map<string, string>();
  private watcher: FSWatcher | undefined;
  private running: Promise<void> | undefined;

  constructor(private readonly options: ManifestFolderOptions) {
    this.mapper = new ResourceMapper(options.client);
  }

  private get soon_ms(): number {
    return this.options.gather_ms ?? gather_ms;
  }

  async start(): Promise<void> {
    const { folder, log } = this.options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    this.applied = await this.load();
    this.watcher = watch(folder, () => this.queue.addAfter(sync, this.soon_ms));
    this.watcher.on("error", (error) => log.warn("manifests are looked at once a minute only", { error }));
    this.queue.add(sync);
    this.running = runQueueWorker(
      this.queue,
      () => this.syncAll(),
      (_, error) => log.error("cannot apply the manifests; trying again", { error }),
    );
  }

  async stop(): Promise<void> {
    this.watcher?.close();
    this.queue.shutDown();
    await this.running;
  }

  /** Looks again soon where not all that could be read is applied, or a file is being written. */
  private async syncAll(): Promise<KeyOutcome> {
    const { folder } = this.options;
    const names = await readdir(folder, { recursive: true });
    const all = new Set(names);
    const files = names.filter((name) => isManifest(name, all)).sort();
    for (const name of Object.keys(this.applied)) if (!all.has(name)) await this.forget(name);
    const outcomes = new Set<Awaited<ReturnType<ManifestFolder["syncFile"]>>>();
    for (const file of files) outcomes.add(await this.syncFile(file));
    if (outcomes.has(false)) return "not yet";
    return { requeueAfter_ms: outcomes.has(unsettled) ? this.soon_ms : look_ms };
  }

  /** Whether all that could be read of it is applied. */
  private async syncFile(file: string): Promise<boolean | typeof unsettled> {
    const text = await this.read(file);
    if (text === undefined) return true;
    if (text === unsettled) return unsettled;
    const digest = createHash("sha256").update(text).digest("hex");
    if (this.done.get(file) === digest) return true;
    let objects: ManifestObject[];
    try {
      objects = inOrder(parseManifest(text));
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      this.complain(file, "ManifestInvalid", error.message);
      this.done.set(file, digest);
      return true;
    }
    const identities = await this.applyAll(file, objects);
    if (!identities) return false;
    await this.prune(file, identities);
    this.done.set(file, digest);
    this.complained.delete(file);
    this.options.log.info("applied a manifest", { file, objects: identities.length });
    return true;
  }

  /** undefined: it is not there, or nothing that is read. */
  private async read(file: string): Promise<string | typeof unsettled | undefined> {
    const path = join(this.options.folder, file);
    try {
      const { size, mtimeMs } = await stat(path);
      const age_ms = Date.now() - mtimeMs;
      // A clock that was put back must not keep a file for unsettled.
      if (age_ms >= 0 && age_ms < this.soon_ms) return unsettled;
      if (size <= largest_bytes) return await readFile(path, "utf8");
      this.complain(file, "ManifestInvalid", `${size} bytes are more than are read`);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
    return undefined;
  }

  /** Which objects they are; undefined when not all could be applied. One that fails keeps no other from it. */
  private async applyAll(file: string, objects: readonly ManifestObject[]): Promise<ObjectIdentity[] | undefined> {
    const identities: ObjectIdentity[] = [];
    const failures: string[] = [];
    for (const object of objects) {
      try {
        identities.push(await this.apply(file, object));
      } catch (error) {
        failures.push(`${object.kind} ${object.metadata.name}: ${error instanceof Error ? error.message : error}`);
      }
    }
    if (failures.length === 0) return identities;
    // What did come is known: a later version of the file may leave it out.
    await this.remember(file, [...(this.applied[file] ?? []), ...leftOut(identities, this.applied[file] ?? [])]);
    this.complain(file, "ManifestNotApplied", failures.join("; "));
    return undefined;
  }

  private async apply(file: string, object: ManifestObject): Promise<ObjectIdentity> {
    const { apiVersion, kind, metadata } = object;
    const found = await this.mapper.resourceOf(apiVersion, kind);
    if (!found) throw new ManifestError(`there is no kind ${kind} in ${apiVersion}`);
    const ref = { ...found.ref, version: parseApiVersion(apiVersion).version };
    const namespace = ref.namespaced ? metadata.namespace || "default" : "";
    const annotations = "annotations" in metadata ? (metadata.annotations as object | null) : {};
    const body = {
      ...object,
      metadata: { ...metadata, annotations: { ...annotations, [manifestAnnotation]: file } },
    };
    const key = { name: metadata.name, ...(namespace ? { namespace } : {}) };
    await this.options.client.patch(ref, key, { type: "apply", body, force: true }, { fieldManager: manifestManager });
    return { apiVersion, kind, namespace, name: metadata.name };
  }

  /** Deletes what has left the file for no other, and is still this file's. */
  private async prune(file: string, identities: readonly ObjectIdentity[]): Promise<void> {
    const elsewhere = Object.entries(this.applied).flatMap(([name, objects]) => (name === file ? [] : objects));
    for (const gone of leftOut(this.applied[file] ?? [], [...identities, ...elsewhere])) {
      const found = await this.mapper.resourceOf(gone.apiVersion, gone.kind);
      // A kind that is gone took its objects with it.
      if (!found) continue;
      const key = { name: gone.name, ...(gone.namespace ? { namespace: gone.namespace } : {}) };
      try {
        const { metadata } = await this.options.client.get(found.ref, key);
        if (metadata.annotations?.[manifestAnnotation] !== file) continue;
        const preconditions = metadata.uid === undefined ? undefined : { uid: metadata.uid };
        await this.options.client.delete(found.ref, key, { preconditions, propagationPolicy: "Background" });
        this.options.log.info("deleted what left a manifest", { file, kind: gone.kind, ...key });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    await this.remember(file, identities);
  }

  /** Says once what is wrong with a file, and again when it is something else. */
  private complain(file: string, reason: string, message: string): void {
    if (this.complained.get(file) === message) return;
    this.complained.set(file, message);
    this.options.log.warn("a manifest is not applied", { file, reason: message });
    // Events are named after what they are about, and not every file name is a name for the API.
    const name = file.toLowerCase().replace(/[^a-z0-9.-]+/g, "-");
    const about = { apiVersion: "bramble.dev/v1", kind: "Manifest", namespace: "kube-system", name };
    this.options.events.record(about, { type: "Warning", reason, message });
  }

  private async forget(file: string): Promise<void> {
    this.done.delete(file);
    this.complained.delete(file);
    const { [file]: _, ...others } = this.applied;
    await this.save(others);
  }

  private async remember(file: string, objects: readonly ObjectIdentity[]): Promise<void> {
    if (JSON.stringify(this.applied[file]) === JSON.stringify(objects)) return;
    await this.save({ ...this.applied, [file]: objects });
  }

  private async save(applied: Applied): Promise<void> {
    await writeSecureFile(this.options.stateFile, JSON.stringify(applied));
    this.applied = applied;
  }

  private async load(): Promise<Applied> {
    try {
      // Written by this class alone.
      return JSON.parse(await readFile(this.options.stateFile, "utf8")) as Applied;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return {};
      if (!(error instanceof SyntaxError)) throw error;
      this.options.log.warn("it is not known any more what manifests held before; what left one stays", { error });
      return {};
    }
  }
}

/** Applies the folder `manifests` below the data folder, and follows it until it is stopped. */
export async function startManifests(
  { dataDir }: { readonly dataDir: string },
  client: Client,
  log: Log,
): Promise<Part> {
  const manifests = new ManifestFolder({
    folder: join(dataDir, "manifests"),
    stateFile: join(dataDir, "manifests-applied.json"),
    client,
    events: new ApiEventRecorder(client, { component: "bramble-manifests" }),
    log: log.named("manifests"),
  });
  await manifests.start();
  return manifests;
}
