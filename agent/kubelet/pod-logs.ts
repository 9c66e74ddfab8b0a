import { mkdir, readdir, readlink, rm, stat, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ContainerStatus } from "#agent/runtime/runtime.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import { errnoOf, ifPresent } from "#shared/files/if-present.ts";
import { podUid } from "./pod-containers.ts";

/**
 * Logs of containers where log collectors look for them: `pods/NAMESPACE_NAME_UID/CONTAINER/ATTEMPT.log` and
 * `containers/POD_NAMESPACE_CONTAINER-ID.log` below /var/log. Where the runtime writes elsewhere, as Docker does, both are
 * links: nothing is written twice, and the runtime's own rotation is what bounds them.
 */
export class PodLogs {
  /** What was linked last, by pod: a look at a pod that has not changed costs nothing. */
  readonly #linked = new Map<string, string>();
  #hasWarned = false;

  /** @param root /var/log; undefined: there are no such links. */
  constructor(
    readonly root: string | undefined,
    readonly log: Log,
  ) {}

  /** The folder of a pod's logs; undefined when there are none. */
  folder(pod: Pod): string | undefined {
    if (this.root === undefined) return undefined;
    const { namespace, name } = pod.metadata;
    return join(this.root, "pods", `${namespace}_${name}_${podUid(pod)}`);
  }

  /** Makes the links of the pod's containers, and takes away those of containers that are gone. Never rejects: a pod runs
   *  without. */
  async show(pod: Pod, containers: readonly ContainerStatus[]): Promise<void> {
    const folder = this.folder(pod);
    if (this.root === undefined || folder === undefined) return;
    const links = logLinks(pod, containers, folder, join(this.root, "containers"));
    const seen = JSON.stringify(links);
    const uid = podUid(pod);
    const before = this.#linked.get(uid);
    if (before === seen || (before === undefined && links.length === 0)) return;
    try {
      for (const { path, target } of links) await link(path, target);
      const kept = new Set(links.map(({ path }) => path));
      const old = before === undefined ? [] : (JSON.parse(before) as LogLink[]);
      for (const { path } of old) if (!kept.has(path)) await rm(path, { force: true });
      this.#linked.set(uid, seen);
    } catch (error) {
      this.#warn(error);
    }
  }

  /** Takes away everything of a pod that has left the board. */
  async remove(pod: Pod): Promise<void> {
    const folder = this.folder(pod);
    if (this.root === undefined || folder === undefined) return;
    this.#linked.delete(podUid(pod));
    try {
      await rm(folder, { recursive: true, force: true });
      await removeDeadLinks(join(this.root, "containers"));
    } catch (error) {
      this.#warn(error);
    }
  }

  /** Takes away what pods left that nobody remembers. */
  async sweep(liveUids: ReadonlySet<string>): Promise<void> {
    if (this.root === undefined) return;
    try {
      const pods = join(this.root, "pods");
      for (const name of await entries(pods)) {
        const uid = name.slice(name.lastIndexOf("_") + 1);
        if (!liveUids.has(uid)) await rm(join(pods, name), { recursive: true, force: true });
      }
      await removeDeadLinks(join(this.root, "containers"));
    } catch (error) {
      this.#warn(error);
    }
  }

  #warn(error: unknown): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.log.warn("logs of containers cannot be shown where log collectors look", { folder: this.root, error });
  }
}

export interface LogLink {
  readonly path: string;
  readonly target: string;
}

/** The links that containers with a log should have (pure). A log that the runtime writes in place needs no first link. */
function logLinks(
  pod: Pod,
  containers: readonly ContainerStatus[],
  podFolder: string,
  containersFolder: string,
): LogLink[] {
  const { namespace, name } = pod.metadata;
  return containers.flatMap((container) => {
    if (!container.logPath) return [];
    const path = join(podFolder, container.name, `${container.attempt}.log`);
    const short = join(containersFolder, `${name}_${namespace}_${container.name}-${container.id}.log`);
    const inPlace = container.logPath === path;
    return [...(inPlace ? [] : [{ path, target: container.logPath }]), { path: short, target: path }];
  });
}

async function link(path: string, target: string): Promise<void> {
  const present = await readlink(path).catch(() => undefined);
  if (present === target) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  if (present !== undefined) await rm(path, { force: true });
  await symlink(target, path).catch((error: unknown) => {
    if (errnoOf(error) !== "EEXIST") throw error;
  });
}

const entries = async (folder: string): Promise<string[]> => (await ifPresent(readdir(folder))) ?? [];

async function removeDeadLinks(folder: string): Promise<void> {
  for (const name of await entries(folder)) {
    const path = join(folder, name);
    const isDead = await stat(path).then(
      () => false,
      (error: unknown) => errnoOf(error) === "ENOENT",
    );
    if (isDead) await rm(path, { force: true });
  }
}
