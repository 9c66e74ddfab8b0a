import { credentialsFor } from "#agent/runtime/image-credentials.ts";
import { isImageId, parseImageReference } from "#agent/runtime/image-reference.ts";
import type { ContainerRuntime, ImageAuth, ImageStatus } from "#agent/runtime/runtime.ts";
import { formatGoDuration_ms } from "#shared/api/go-duration.ts";
import type { Container, Pod, Secret } from "#shared/api/types/core-v1.generated.ts";
import { type Rate, TokenBucket } from "#shared/process/token-bucket.ts";
import { BackOff } from "../back-off.ts";
import { ContainerStartError } from "../container/container-error.ts";
import { Limiter } from "../limiter.ts";
import { podUid } from "../pod-containers.ts";
import type { PodEvents } from "../pod-events.ts";
import type { Account } from "./account-tokens.ts";
import type { CredentialProviders } from "./credential-providers.ts";
import { credentialHash, type PullCredential, type PullRecords } from "./pull-records.ts";
import { PullTimes } from "./pull-times.ts";

/** Pulls at once on one board: a card and a home connection are soon full. */
const usualPulls = { parallel: 2, perSecond: 5, burst: 10 };
const tellBackOff_ms = 2_000;

interface Attempt {
  readonly auth?: ImageAuth | undefined;
  /** The pod's own secret that it is from. */
  readonly opener?: PullCredential | undefined;
}

interface Pulled {
  readonly id: string;
  /** What opened the registry, where that was something of the pod's own. */
  readonly opener?: PullCredential | undefined;
}

export interface ImagePullerOptions {
  readonly pulls?: (Rate & { readonly parallel: number }) | undefined;
  readonly now_ms?: (() => number) | undefined;
}

/** Gets the images of containers, by pull policy, and backs off when a registry fails. */
export class ImagePuller {
  readonly #backOff = new BackOff();
  readonly #lastError = new Map<string, string>();
  readonly #limiter: Limiter;
  readonly #rate: TokenBucket;
  readonly now_ms: () => number;
  readonly times = new PullTimes();
  /** Images are just being read from archives: one that is missing may come of that. */
  reading: Promise<void> | undefined;
  /** Pulls under way by image, for pods that want the same. */
  readonly #underway = new Map<string, Promise<Pulled>>();

  constructor(
    readonly runtime: ContainerRuntime,
    /** Asked beside the pod's pull secrets. */
    readonly providers?: CredentialProviders | undefined,
    /** Who may use what is on the board; whoever asks when absent. */
    readonly records?: PullRecords | undefined,
    { pulls = usualPulls, now_ms = Date.now }: ImagePullerOptions = {},
  ) {
    this.#limiter = new Limiter(pulls.parallel);
    this.#rate = new TokenBucket(pulls);
    this.now_ms = now_ms;
  }

  /**
   * The image of a container, present on the board afterwards. Rejects with ContainerStartError whose reason is the one
   * to show.
   * @param pullSecrets read when a pull is needed.
   */
  async ensure(
    pod: Pod,
    container: Container,
    pullSecrets: () => Promise<readonly Secret[]>,
    events: PodEvents,
  ): Promise<ImageStatus> {
    const image = container.image ?? "";
    refuseInvalidName(image, container, events);
    const policy = container.imagePullPolicy ?? defaultPolicy(image);
    let present = policy === "Always" ? undefined : await this.#inspect(image, container, events);
    if (!present && policy !== "Always" && this.reading) {
      await this.reading;
      present = await this.#inspect(image, container, events);
    }
    if (present && !(await this.#isOpenTo(pod, image, present, pullSecrets))) present = undefined;
    if (present && !present.unfit) {
      const message = `Container image "${image}" already present on machine and can be accessed by the pod`;
      events.normal("Pulled", message, container);
      return present;
    }
    if (policy === "Never") {
      const why = present?.unfit ? `cannot run (${present.unfit})` : "is not present";
      const message = `Container image "${image}" ${why} with pull policy of Never`;
      events.warning("ErrImageNeverPull", message, container);
      throw new ContainerStartError("ErrImageNeverPull", message);
    }
    this.#refuseDuringBackOff(pod, container, image, events);
    if (present?.unfit)
      events.warning("Failed", `Cannot run the image that is on the board: ${present.unfit}`, container);
    // The registry may have one that fits by now.
    const opener = await this.#pull(pod, container, image, await pullSecrets(), events, present?.unfit);
    let pulled: ImageStatus | undefined;
    try {
      pulled = await this.#inspect(image, container, events);
    } finally {
      await (pulled ? this.records?.pulled(image, pulled.id, opener) : this.records?.failed(image));
    }
    if (!pulled) throw new ContainerStartError("ErrImagePull", `image "${image}" is not there after it was pulled`);
    return pulled;
  }

  /** An image that came with credentials is there for pods that have them too; whether it is there at all is not told others. */
  async #isOpenTo(
    pod: Pod,
    image: string,
    { id }: ImageStatus,
    pullSecrets: () => Promise<readonly Secret[]>,
  ): Promise<boolean> {
    if (!this.records) return true;
    const own = async (): Promise<PullCredential[]> => {
      if (isImageId(image)) return [];
      const provided = (await this.providers?.configsFor(image, pod)) ?? [];
      return [
        ...credentialsOf(image, await pullSecrets()).map(({ from }) => from),
        ...provided.flatMap(({ account }) => account ?? []).map(openerOf),
      ];
    };
    return this.records.isOpenTo(image, id, own);
  }

  /** Of images that are no longer there nothing is remembered. */
  async retain(images: readonly ImageStatus[]): Promise<void> {
    await this.records?.retain(images);
  }

  /** Drops what is remembered of a pod. */
  forget(podUid: string): void {
    this.#backOff.forget(`${podUid}_`);
    this.providers?.forget(podUid);
    for (const key of this.#lastError.keys()) if (key.startsWith(`${podUid}_`)) this.#lastError.delete(key);
  }

  async #inspect(image: string, container: Container, events: PodEvents): Promise<ImageStatus | undefined> {
    try {
      return await this.runtime.imageStatus(image);
    } catch (error) {
      const message = `Failed to inspect image "${image}": ${(error as Error).message}`;
      events.warning("InspectFailed", message, container);
      throw new ContainerStartError("ImageInspectError", message, { cause: error });
    }
  }

  #refuseDuringBackOff(pod: Pod, container: Container, image: string, events: PodEvents): void {
    const key = backOffKey(pod, image);
    const now_ms = this.now_ms();
    const entry = this.#backOff.get(key);
    const until_ms = entry && this.#backOff.waitUntil(key, entry.lastUpdate_ms, now_ms);
    if (until_ms === undefined) return;
    const message = `Back-off pulling image "${image}"`;
    events.normal("BackOff", message, container);
    const before = this.#lastError.get(key);
    throw new ContainerStartError("ImagePullBackOff", before ? `${message}: ${before}` : message, {
      retryAt_ms: until_ms,
    });
  }

  async #pull(
    pod: Pod,
    container: Container,
    image: string,
    pullSecrets: readonly Secret[],
    events: PodEvents,
    unfit: string | undefined,
  ): Promise<PullCredential | undefined> {
    const key = backOffKey(pod, image);
    const begun_ms = performance.now();
    events.normal("Pulling", `Pulling image "${image}"`, container);
    try {
      await this.records?.begin(image);
      const { took_ms, id, opener } = await this.#pullShared(pod, image, pullSecrets);
      this.#lastError.delete(key);
      this.#backOff.reset(key);
      const status = await this.runtime.imageStatus(image).catch(() => undefined);
      const waited_ms = performance.now() - begun_ms;
      this.times.pulled(status?.size_bytes ?? 0, waited_ms);
      const waited = formatGoDuration_ms(Math.round(waited_ms));
      events.normal(
        "Pulled",
        `Successfully pulled image "${image}" in ${formatGoDuration_ms(Math.round(took_ms))} (${waited} including waiting). Image size: ${status?.size_bytes ?? 0} bytes.`,
        container,
      );
      if (id === "") throw new Error("the runtime gave no image id");
      return opener;
    } catch (error) {
      await this.records?.failed(image);
      const failure = (error as Error).message;
      const message =
        unfit && !failure.includes(unfit) ? `${unfit}; another one cannot be pulled: ${failure}` : failure;
      events.warning("Failed", `Failed to pull image "${image}": ${message}`, container);
      this.#backOff.next(key, this.now_ms(), this.now_ms());
      this.#lastError.set(key, `ErrImagePull: ${message}`);
      // Soon after, so that the pod says ImagePullBackOff for as long as it waits.
      const retryAt_ms = this.now_ms() + tellBackOff_ms;
      throw new ContainerStartError("ErrImagePull", message, { cause: error, retryAt_ms });
    }
  }

  async #pullShared(pod: Pod, image: string, pullSecrets: readonly Secret[]): Promise<Pulled & { took_ms: number }> {
    const provided = (await this.providers?.configsFor(image, pod)) ?? [];
    // The pod's own before the board's.
    const auths: Attempt[] = [
      ...credentialsOf(image, pullSecrets).map(({ auth, from }) => ({ auth, opener: from })),
      ...credentialsFor(
        image,
        provided.map(({ config, account }) => ({ config, from: account && openerOf(account) })),
      ).map(({ auth, from }) => ({ auth, opener: from })),
    ];
    // With credentials two pods may have different rights: only anonymous pulls are shared.
    const underway = auths.length === 0 ? this.#underway.get(image) : undefined;
    let begun_ms = performance.now();
    const pull =
      underway ??
      this.#limiter.run(async () => {
        begun_ms = performance.now();
        let failure: unknown;
        if (!this.#rate.take()) throw new Error("pull QPS exceeded");
        for (const { auth, opener } of auths.length === 0 ? [{} as Attempt] : auths) {
          try {
            return { id: await this.runtime.pullImage(image, auth), opener };
          } catch (error) {
            failure = error;
          }
        }
        throw failure;
      });
    if (!underway && auths.length === 0) {
      this.#underway.set(image, pull);
      const done = (): unknown => this.#underway.delete(image);
      pull.then(done, done);
    }
    return { ...(await pull), took_ms: performance.now() - begun_ms };
  }
}

/** Whatever the pull policy: throws ContainerStartError for what is no name of an image, nor the id of one. */
function refuseInvalidName(image: string, container: Container, events: PodEvents): void {
  if (isImageId(image)) return;
  try {
    parseImageReference(image);
  } catch (error) {
    const message = `Failed to apply default image tag "${image}": ${(error as Error).message}`;
    events.warning("InspectFailed", message, container);
    throw new ContainerStartError("InvalidImageName", message, { cause: error });
  }
}

const backOffKey = (pod: Pod, image: string): string => `${podUid(pod)}_${image}`;

const openerOf = (account: Account): PullCredential => ({ kind: "ServiceAccount", ...account, hash: "" });

/** What a pod's secrets say for an image, the best first. */
const credentialsOf = (
  image: string,
  secrets: readonly Secret[],
): { readonly auth: ImageAuth; readonly from: PullCredential }[] =>
  credentialsFor(
    image,
    secrets.map((secret) => ({ config: dockerConfig(secret), from: secret.metadata })),
  ).map(({ auth, from: { uid = "", namespace = "", name = "" } }) => ({
    auth,
    from: { uid, namespace, name, hash: credentialHash(auth) },
  }));

function dockerConfig(secret: Secret): unknown {
  const base64 = secret.data?.[".dockerconfigjson"] ?? secret.data?.[".dockercfg"];
  if (base64 === undefined) return {};
  try {
    return JSON.parse(Buffer.from(base64, "base64").toString("utf8"));
  } catch {
    // The API checks these when they are written; one that got through helps no pull.
    return {};
  }
}

/** Without a tag, or with `latest`, the image may have moved: pull. What the API sets by default, for static pods. */
function defaultPolicy(image: string): "Always" | "IfNotPresent" {
  if (image.includes("@")) return "IfNotPresent";
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  return tag === undefined || tag === "latest" ? "Always" : "IfNotPresent";
}
