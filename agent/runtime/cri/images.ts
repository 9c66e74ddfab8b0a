import { pullErrorKind } from "../docker-errors.ts";
import { formatImageReference, InvalidImageReference, isImageId, parseImageReference } from "../image-reference.ts";
import { type ImageAuth, type ImageStatus, RuntimeError } from "../runtime.ts";
import { type CriClient, ifFound, longCall_ms } from "./client.ts";
import * as wire from "./messages.ts";

/** Images by CRI's ImageService. All methods reject with RuntimeError. */
export class CriImages {
  readonly #client: CriClient;
  /** Of sandboxes: the runtime's own, which must stay. */
  readonly #pauseImage: () => Promise<string | undefined>;

  constructor(client: CriClient, pauseImage: () => Promise<string | undefined>) {
    this.#client = client;
    this.#pauseImage = pauseImage;
  }

  async status(image: string): Promise<ImageStatus | undefined> {
    const name = fullName(image);
    const { image: found, info } =
      (await ifFound(
        this.#client.image(
          "ImageStatus",
          [wire.ImageRequest, wire.ImageStatusResponse],
          { image: { image: name, userSpecifiedImage: "" }, verbose: true },
          { what: `inspect image ${image}` },
        ),
      )) ?? {};
    return found && this.#shown(found, await this.#pauseImage(), info?.["info"]);
  }

  async list(): Promise<ImageStatus[]> {
    const [{ images }, pause] = await Promise.all([
      this.#client.image("ListImages", [wire.Empty, wire.ListImagesResponse], {}, { what: "list images" }),
      this.#pauseImage(),
    ]);
    return images.map((image) => this.#shown(image, pause, undefined));
  }

  async pull(image: string, auth: ImageAuth | undefined): Promise<string> {
    const name = fullName(image);
    try {
      const { imageRef } = await this.#client.image(
        "PullImage",
        [wire.PullImageRequest, wire.PullImageResponse],
        { image: { image: name, userSpecifiedImage: image }, auth: auth && authOf(auth) },
        { what: `pull ${image}`, notFound: "image-not-found", timeout_ms: longCall_ms },
      );
      return (await this.status(imageRef))?.id ?? imageRef;
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.kind === "unavailable") throw error;
      throw new RuntimeError(pullErrorKind(error.message), error.message, { cause: error });
    }
  }

  async remove(id: string): Promise<void> {
    await ifFound(
      this.#client.image(
        "RemoveImage",
        [wire.ImageRequest, wire.Empty],
        { image: { image: fullName(id), userSpecifiedImage: "" } },
        { what: `remove image ${id}` },
      ),
    );
  }

  /** Where images lie; undefined when the runtime does not say. */
  async folder(): Promise<string | undefined> {
    const { imageFilesystems } = await this.#client.image(
      "ImageFsInfo",
      [wire.Empty, wire.ImageFsInfoResponse],
      {},
      { what: "ask where images lie" },
    );
    return imageFilesystems[0]?.fsId?.mountpoint;
  }

  #shown(image: wire.Image, pause: string | undefined, verbose: string | undefined): ImageStatus {
    return {
      id: image.id,
      tags: image.repoTags,
      digests: image.repoDigests,
      size_bytes: image.size,
      ...fromVerbose(verbose),
      user: image.uid ? { uid: image.uid.value } : image.username === "" ? undefined : { username: image.username },
      pinned: image.pinned || (pause !== undefined && image.repoTags.includes(pause)),
    };
  }
}

/** What CRI has no field for and runtimes tell all the same: the image's own configuration. */
function fromVerbose(text: string | undefined): Pick<ImageStatus, "platform" | "volumes"> {
  const unknown = { platform: "", volumes: [] };
  if (text === undefined) return unknown;
  try {
    const { imageSpec } = JSON.parse(text) as {
      imageSpec?: { os?: string; architecture?: string; variant?: string; config?: { Volumes?: object } };
    };
    return {
      platform: [imageSpec?.os, imageSpec?.architecture, imageSpec?.variant].filter(Boolean).join("/"),
      volumes: Object.keys(imageSpec?.config?.Volumes ?? {}),
    };
  } catch {
    // Each runtime words this as it likes; nothing depends on it.
    return unknown;
  }
}

const authOf = (auth: ImageAuth) => ({
  username: auth.username ?? "",
  password: auth.password ?? "",
  serverAddress: auth.serverAddress ?? "",
  identityToken: auth.identityToken ?? "",
  registryToken: auth.registryToken ?? "",
});

function fullName(image: string): string {
  try {
    return isImageId(image) ? image : formatImageReference(parseImageReference(image));
  } catch (error) {
    if (error instanceof InvalidImageReference) throw new RuntimeError("other", error.message, { cause: error });
    throw error;
  }
}
