import { chmod, lstat, mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { localPathFinalizer, localPathFolder, localPathSelector } from "#shared/api/local-path.ts";
import { persistentVolumes } from "#shared/api/resources.ts";
import type { PersistentVolume } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import {
  type ControllerDefinition,
  defineController,
  type RunningController,
  runController,
  watching,
} from "#shared/client/controller.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { errnoOf, ifPresent } from "#shared/files/if-present.ts";

/** Makes the folder of a volume unless it is there; any user may write in it, whoever the pod runs as. */
export async function ensureLocalPathFolder(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o711 });
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return;
    throw error;
  }
  // mkdir's mode is cut by the umask.
  await chmod(path, 0o777);
}

/** Should this board remove the volume's folder now? The finalizer asks for it; a volume that is kept gets no finalizer. */
function isFolderDue({ metadata, spec, status }: PersistentVolume): boolean {
  return (
    metadata.deletionTimestamp !== undefined &&
    (metadata.finalizers?.includes(localPathFinalizer) ?? false) &&
    status?.phase !== "Bound" &&
    spec?.persistentVolumeReclaimPolicy === "Delete"
  );
}

/** Removes the folders of this board's volumes that are deleted, and says so by taking the finalizer off. */
export function localPathFolders(nodeName: string): ControllerDefinition {
  const scope = { labelSelector: localPathSelector(nodeName) };
  return defineController({
    name: "local-path",
    watches: [watching(persistentVolumes, { scope })],
    concurrency: 1,
    async reconcile(key, { lister, client, log }) {
      const volume = lister(persistentVolumes, scope).get(key);
      if (!volume || !isFolderDue(volume)) return;
      const folder = localPathFolder(volume);
      // Looked at again, before what is written below has come back, it is gone.
      if (folder !== undefined && (await ifPresent(lstat(folder)))) {
        log.info("the folder of a deleted volume is removed", { volume: key, folder });
        await rm(folder, { recursive: true, force: true });
      }
      const { resourceVersion, finalizers = [] } = volume.metadata;
      const others = finalizers.filter((finalizer) => finalizer !== localPathFinalizer);
      const body = { metadata: { resourceVersion, finalizers: others } };
      await unlessGone(client.patch(persistentVolumes, { name: key }, { type: "merge", body }));
    },
  });
}

/** Looks after the folders of this board's volumes; waits for the API by itself. */
export function startLocalPathFolders(given: {
  readonly nodeName: string;
  readonly client: Client;
  readonly informers: InformerFactory;
  readonly log: Log;
  /** Aborted when the agent ends. */
  readonly signal: AbortSignal;
}): { stop(): Promise<void> } {
  const { client, informers, log, signal } = given;
  const events = { record: () => undefined };
  // Until the API has answered once it only waits, which the end of the informers ends.
  let controller: RunningController | undefined;
  runController(localPathFolders(given.nodeName), { client, informers, events, log }).then(
    (running) => {
      controller = running;
    },
    (error: unknown) => signal.aborted || log.error("folders of deleted volumes are not removed", { error }),
  );
  return { stop: async () => controller?.stop() };
}
