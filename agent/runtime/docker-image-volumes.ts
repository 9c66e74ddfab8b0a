import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type Docker from "dockerode";
import type { Host } from "../host/host.ts";
import { asRuntime } from "./docker-errors.ts";
import { DockerLifecycle } from "./docker-lifecycle.ts";
import { containerName, label } from "./docker-names.ts";
import { type PodIdentity, RuntimeError } from "./runtime.ts";

/** Marks containers that never run: they keep an image from being removed while its files are mounted. */
const holdType = "image-volume";
const mount_timeout_ms = 60_000;
/** The kernel takes a mount's options in one page. */
const longestLayers_bytes = 4000;

/** Files of images as volumes (KEP-4639), from the layers that Docker's overlay2 driver keeps. Rejects with RuntimeError. */
export class DockerImageVolumes {
  readonly #docker: Docker;
  readonly #host: Host;
  readonly #holds: DockerLifecycle;

  constructor(docker: Docker, host: Host) {
    this.#docker = docker;
    this.#host = host;
    this.#holds = new DockerLifecycle(docker, holdType);
  }

  /** Mounts an image's files at a directory, read-only and without programs of theirs running; nothing is copied. */
  async mount(image: string, target: string, pod: PodIdentity): Promise<void> {
    const { GraphDriver } = await asRuntime(`inspect image ${image}`, () => this.#docker.getImage(image).inspect());
    const layers = await lowerDirectories(GraphDriver);
    await this.#hold(image, target, pod);
    // Overlay wants two layers where none may be written to.
    const empty = `${target}-empty`;
    await mkdir(empty, { recursive: true, mode: 0o750 });
    const options = ["ro", "noexec", "nosuid", "nodev", `lowerdir=${[...layers, empty].join(":")}`];
    try {
      await this.#host.mountFilesystem({
        type: "overlay",
        source: "overlay",
        target,
        options,
        timeout_ms: mount_timeout_ms,
      });
    } catch (error) {
      throw new RuntimeError("other", `mount image ${image}: ${(error as Error).message}`, { cause: error });
    }
  }

  /** Images that were mounted for a pod may be removed again. */
  async release(podUid: string): Promise<void> {
    for (const { Id } of await this.#holds.list(`${label.podUid}=${podUid}`)) await this.#holds.remove(Id);
  }

  async #hold(image: string, target: string, pod: PodIdentity): Promise<void> {
    const volume = createHash("sha256").update(target).digest("hex").slice(0, 12);
    await this.#holds.create(
      {
        name: containerName(pod, `image-${volume}`, 0),
        Image: image,
        // Images with files alone have nothing to run, and Docker wants something.
        Entrypoint: ["/none"],
        Labels: {
          [label.type]: holdType,
          [label.podName]: pod.name,
          [label.podNamespace]: pod.namespace,
          [label.podUid]: pod.uid,
        },
        HostConfig: { NetworkMode: "none" },
      },
      "image-not-found",
    );
  }
}

/** The image's layers, the uppermost first. */
async function lowerDirectories({ Name, Data }: Docker.ImageInspectInfo["GraphDriver"]): Promise<string[]> {
  const data = Data as Partial<Record<"UpperDir" | "LowerDir", string>> | null;
  const upper = data?.UpperDir;
  if ((Name !== "overlay2" && Name !== "overlay") || upper === undefined) {
    throw new RuntimeError("other", `image volumes need the storage driver overlay2, and this daemon has ${Name}`);
  }
  const layers = [upper, ...(data?.LowerDir ?? "").split(":").filter(Boolean)];
  if (layers.join(":").length <= longestLayers_bytes) return layers;
  const short = await Promise.all(layers.map(shortName));
  if (short.join(":").length <= longestLayers_bytes) return short;
  throw new RuntimeError("other", `the image has too many layers to be mounted: ${layers.length}`);
}

/** By the link that the driver keeps of each layer, for the same reason: `…/overlay2/l/NAME` for `…/overlay2/ID/diff`. */
async function shortName(layer: string): Promise<string> {
  const folder = dirname(layer);
  if (basename(layer) !== "diff") return layer;
  return join(dirname(folder), "l", (await readFile(join(folder, "link"), "utf8")).trim());
}
