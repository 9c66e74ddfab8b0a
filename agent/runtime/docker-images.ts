import { readdir, readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import type Docker from "dockerode";
import { longRequest_ms, within } from "./docker-client.ts";
import {
  asRuntime,
  dockerMessage,
  ifFound,
  pullErrorKind,
  statusCodeOf,
  toRuntimeError,
  unless,
} from "./docker-errors.ts";
import { formatImageReference, InvalidImageReference, isImageId, parseImageReference } from "./image-reference.ts";
import { jsonLines } from "./json-lines.ts";
import { pauseImageArchive, pauseImageReference } from "./pause/pause-image.ts";
import type { RegistryMirrors } from "./registries/registry-mirrors.ts";
import { type ImageAuth, type ImageStatus, RuntimeError } from "./runtime.ts";

/** A pull that says nothing for so long is given up: the registry or the line is gone. */
const pullSilence_ms = 3 * 60_000;
const progressEvery_ms = 2_000;
const rememberedImages = 512;

/** Images of a Docker daemon. All methods reject with RuntimeError. */
export class DockerImages {
  readonly #docker: Docker;
  readonly #mirrors: RegistryMirrors | undefined;
  /** Repo digests by image id, for container statuses; emptied by whatever changes images. */
  readonly #imageIds = new Map<string, string>();
  #pause: Promise<void> | undefined;
  #ownArchitecture: string | undefined;

  constructor(docker: Docker, mirrors?: RegistryMirrors) {
    this.#docker = docker;
    this.#mirrors = mirrors;
  }

  /** Loads the pause image unless the daemon has it. One load serves all who wait. */
  ensurePause(): Promise<void> {
    this.#pause ??= this.#loadPause().finally(() => {
      this.#pause = undefined;
    });
    return this.#pause;
  }

  async status(image: string): Promise<ImageStatus | undefined> {
    const { details } = await this.#find(image);
    if (details === undefined) return undefined;
    const platform = [details.Os, details.Architecture, details.Variant].filter(Boolean).join("/");
    return {
      id: details.Id,
      tags: this.#shownNames(details.RepoTags),
      digests: this.#shownNames(details.RepoDigests),
      size_bytes: details.Size,
      platform,
      unfit: await this.#whyUnfit(image, platform),
      user: parseUser(details.Config?.User),
      pinned: (details.RepoTags ?? []).includes(pauseImageReference),
      volumes: Object.keys(details.Config?.Volumes ?? {}),
    };
  }

  /** All images. What only an image's details tell (platform, user, volumes) is asked by `status`. */
  async list(): Promise<ImageStatus[]> {
    const images = await asRuntime("list images", () => this.#docker.listImages());
    return images.map((image) => {
      const tags = this.#shownNames(image.RepoTags);
      return {
        id: image.Id,
        tags,
        digests: this.#shownNames(image.RepoDigests),
        size_bytes: image.Size,
        platform: "",
        pinned: tags.includes(pauseImageReference),
        volumes: [],
      };
    });
  }

  async pull(image: string, auth: ImageAuth | undefined, progress?: (line: string) => void): Promise<string> {
    const reference = parse(image);
    const route = await this.#mirrors?.route(reference, auth);
    try {
      const name = route?.name ?? `${reference.domain}/${reference.path}`;
      await this.#pull(image, { ...reference, name }, route ?? auth, progress);
      const { tag } = reference;
      if (route && reference.digest === undefined && tag !== undefined) {
        const repo = `${reference.domain}/${reference.path}`;
        await asRuntime(`name image ${image}`, () => this.#docker.getImage(`${route.name}:${tag}`).tag({ repo, tag }));
      }
    } finally {
      route?.close();
    }
    this.#imageIds.clear();
    const pulled = await this.status(formatImageReference(reference));
    if (pulled === undefined) throw new RuntimeError("other", `pull ${image}: the image is not there after its pull`);
    if (pulled.unfit !== undefined) throw new RuntimeError("image-wrong-platform", pulled.unfit);
    return pulled.id;
  }

  async #pull(
    image: string,
    source: { readonly name: string; readonly tag: string | undefined; readonly digest: string | undefined },
    auth: ImageAuth | undefined,
    progress: ((line: string) => void) | undefined,
  ): Promise<void> {
    const abort = new AbortController();
    const silence = setTimeout(
      () => abort.abort(new Error(`no progress for ${pullSilence_ms / 1000} s`)),
      pullSilence_ms,
    );
    try {
      const stream = await this.#docker.createImage(registryAuth(auth), {
        fromImage: source.name,
        tag: source.digest ?? source.tag,
        abortSignal: abort.signal,
      });
      let lastProgress_ms = Number.NEGATIVE_INFINITY;
      for await (const line of jsonLines(stream, abort.signal)) {
        silence.refresh();
        if (typeof line["error"] === "string") throw new Error(line["error"]);
        if (progress === undefined || performance.now() - lastProgress_ms < progressEvery_ms) continue;
        lastProgress_ms = performance.now();
        progress([line["id"], line["status"], line["progress"]].filter((part) => typeof part === "string").join(" "));
      }
    } catch (error) {
      const cause = abort.signal.aborted ? abort.signal.reason : error;
      throw pullError(image, cause);
    } finally {
      clearTimeout(silence);
    }
  }

  /** What the daemon has an image by: a digest that came through a mirror has its name there, and cannot get another. */
  async daemonName(image: string): Promise<string> {
    return (await this.#find(image)).name;
  }

  /** The reverse of `daemonName`. */
  shownName(name: string): string {
    return this.#mirrors?.originalName(name) ?? name;
  }

  /** By id: with all its names. */
  async remove(id: string): Promise<void> {
    this.#imageIds.clear();
    const what = `remove image ${id}`;
    const remove = (name: string) => unless([404], what, () => this.#docker.getImage(name).remove());
    if (!isImageId(id)) return await remove(await this.daemonName(id));
    const details = await ifFound(what, () => this.#docker.getImage(id).inspect());
    const names = [...(details?.RepoTags ?? []), ...(details?.RepoDigests ?? [])];
    // Docker refuses an id that several repositories name; one name at a time, it would leave what containers use bare.
    if (new Set(names.map(repositoryOf)).size < 2) return await remove(id);
    const users = await asRuntime(what, () => this.#docker.listContainers({ all: true, filters: { ancestor: [id] } }));
    if (users.length > 0) throw new RuntimeError("other", `${what}: container ${users[0]?.Id} uses it`);
    for (const name of names) await remove(name);
    await remove(id);
  }

  async load(archive: Readable): Promise<string[]> {
    this.#imageIds.clear();
    return await asRuntime("load image", () =>
      within(longRequest_ms, async (abortSignal) => {
        const names: string[] = [];
        const lines = jsonLines(await this.#docker.loadImage(archive, { quiet: true, abortSignal }), abortSignal);
        for await (const line of lines) {
          if (typeof line["error"] === "string") throw new RuntimeError("other", `load image: ${line["error"]}`);
          const text = typeof line["stream"] === "string" ? line["stream"] : "";
          for (const match of text.matchAll(/^Loaded image(?: ID)?: (\S+)$/gm)) if (match[1]) names.push(match[1]);
        }
        return names;
      }),
    );
  }

  /** What `status.containerStatuses[].imageID` shows for an image id: a digest it was pulled by, else the id. */
  async imageIdFor(id: string): Promise<string> {
    const known = this.#imageIds.get(id);
    if (known !== undefined) return known;
    const status = await this.status(id);
    const shown = status?.digests[0] ?? id;
    if (this.#imageIds.size >= rememberedImages) this.#imageIds.clear();
    this.#imageIds.set(id, shown);
    return shown;
  }

  async #find(image: string): Promise<{ name: string; details?: Docker.ImageInspectInfo | undefined }> {
    const name = fullName(image);
    const inspect = (each: string) => ifFound(`inspect image ${image}`, () => this.#docker.getImage(each).inspect());
    const details = await inspect(name);
    if (details || !this.#mirrors || isImageId(image)) return { name, details };
    const { digest, ...repository } = parse(image);
    if (digest === undefined) return { name };
    const mirrored = `${this.#mirrors.localName(repository)}@${digest}`;
    return { name: mirrored, details: await inspect(mirrored) };
  }

  #shownNames(names: readonly string[] | null | undefined): string[] {
    const known = (names ?? []).filter((name) => !name.startsWith("<none>"));
    return [...new Set(known.map((name) => this.shownName(name)))];
  }

  async #loadPause(): Promise<void> {
    if ((await this.status(pauseImageReference)) !== undefined) return;
    const architecture = await this.#architecture();
    await this.load(Readable.from([Buffer.from(pauseImageArchive(architecture))]));
  }

  async #architecture(): Promise<string> {
    this.#ownArchitecture ??= (await asRuntime("ask Docker's version", () => this.#docker.version())).Arch;
    return this.#ownArchitecture;
  }

  /** Docker pulls an image of one architecture on any board, and only the first start says "exec format error". */
  async #whyUnfit(image: string, platform: string): Promise<string | undefined> {
    const [os = "", architecture = ""] = platform.split("/");
    const own = await this.#architecture();
    // 64-bit ARM boards run 32-bit programs; an image made FROM scratch may not say what it is for.
    const runnable = architecture === "" || architecture === own || (own === "arm64" && architecture === "arm");
    if (os === "linux" && (runnable || (await emulated(architecture)))) return undefined;
    if (os === "" && runnable) return undefined;
    return `image ${image} is for ${platform}, this board is linux/${own}`;
  }
}

/** Whether the kernel hands programs of that architecture to an emulator (binfmt_misc). */
async function emulated(architecture: string): Promise<boolean> {
  const directory = "/proc/sys/fs/binfmt_misc";
  const name = `qemu-${{ amd64: "x86_64", arm64: "aarch64", "386": "i386" }[architecture] ?? architecture}`;
  // Not mounted: nothing is emulated.
  const entries = await readdir(directory).catch((): string[] => []);
  if (!entries.includes(name)) return false;
  return (await readFile(`${directory}/${name}`, "utf8")).startsWith("enabled");
}

function parse(image: string) {
  try {
    return parseImageReference(image);
  } catch (error) {
    if (error instanceof InvalidImageReference) throw new RuntimeError("other", error.message, { cause: error });
    throw error;
  }
}

const repositoryOf = (name: string): string => name.replace(/(@[^@]*|:[^:/]*)$/, "");

function fullName(image: string): string {
  return isImageId(image) ? image : formatImageReference(parse(image));
}

/** The X-Registry-Auth header's content; dockerode encodes it. */
function registryAuth(auth: ImageAuth | undefined): object | undefined {
  if (auth === undefined) return undefined;
  return {
    username: auth.username,
    password: auth.password,
    identitytoken: auth.identityToken,
    registrytoken: auth.registryToken,
    serveraddress: auth.serverAddress,
  };
}

function pullError(image: string, error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const message = dockerMessage(error);
  const kind = pullErrorKind(message);
  if (kind === "other" && error instanceof Error && statusCodeOf(error) === undefined && "code" in error) {
    return toRuntimeError(`pull ${image}`, error);
  }
  return new RuntimeError(kind, `pull ${image}: ${message}`, { cause: error });
}

/** Config.User is `user[:group]`; only the user part matters to a kubelet. */
function parseUser(user: string | undefined): ImageStatus["user"] {
  const name = user?.split(":")[0] ?? "";
  if (name === "") return undefined;
  return /^\d+$/.test(name) ? { uid: Number(name) } : { username: name };
}
