import { createHash } from "node:crypto";
import { InvalidImageReference, parseImageReference } from "#agent/runtime/image-reference.ts";
import type { ImageAuth, ImageStatus } from "#agent/runtime/runtime.ts";
import type { Log } from "#shared/client/log.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";

/** What opens an image's registry: a pull secret, with what it says there, or a service account. */
export interface PullCredential {
  readonly kind?: "ServiceAccount" | undefined;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** Of what is sent to the registry; empty for an account, for which that is made anew each time. */
  readonly hash: string;
}

/** Who may use an image that was pulled: every pod of the board, or those that have one of these. */
type Openers = "anyone" | readonly PullCredential[];

interface Recorded {
  /** By the image's id, then by its name without tag and digest. */
  readonly pulled: Readonly<Record<string, Readonly<Record<string, Openers>>>>;
  /** Names of images whose pull had begun and not come to an end. */
  readonly begun: readonly string[];
}

/** Which images on the board a pod must show its credentials for (KEP-2535). */
export interface ImageVerification {
  readonly policy: "NeverVerifyPreloadedImages" | "NeverVerifyAllowlistedImages" | "AlwaysVerify" | "NeverVerify";
  /** Names in full without tag, or what they begin with before `*`. */
  readonly allowlist: readonly string[];
}

export const defaultVerification: ImageVerification = { policy: "NeverVerifyPreloadedImages", allowlist: [] };

/** @param isPulled a pull of this kubelet has brought it */
function mustVerify({ policy, allowlist }: ImageVerification, image: string, isPulled: boolean): boolean {
  switch (policy) {
    case "NeverVerify":
      return false;
    case "AlwaysVerify":
      return true;
    case "NeverVerifyPreloadedImages":
      return isPulled;
    case "NeverVerifyAllowlistedImages": {
      const name = nameOf(image);
      return !allowlist.some((allowed) =>
        allowed.endsWith("/*") ? name.startsWith(allowed.slice(0, -1)) : name === allowed,
      );
    }
    default:
      return policy satisfies never;
  }
}

/** Further ones push the oldest out: their pods pull again. */
const mostCredentials = 100;

/**
 * Which images this kubelet has pulled, and by whose credentials: a pod that has none of these does not get a private image because
 * another has brought it to the board (KEP-2535). Images that came otherwise are everybody's. Written when a pull begins and ends,
 * if that changes what is known. A pull that cannot be noted does not begin; what it came to may be lost: then pods pull again.
 */
export class PullRecords {
  readonly #pulled = new Map<string, Map<string, Openers>>();
  /** Pulls of this process by image. */
  readonly #underway = new Map<string, number>();
  /** Begun by a former process, which did not see the end. */
  readonly #abandoned: Set<string>;
  #writing: Promise<void> = Promise.resolve();
  /** What the file holds. */
  #written: string | undefined;

  private constructor(
    readonly path: string,
    readonly log: Log,
    { pulled, begun }: Recorded,
    readonly verification: ImageVerification,
  ) {
    for (const [id, byName] of Object.entries(pulled)) this.#pulled.set(id, new Map(Object.entries(byName)));
    this.#abandoned = new Set(begun);
  }

  static async open(path: string, log: Log, verification = defaultVerification): Promise<PullRecords> {
    return new PullRecords(path, log, await read(path, log), verification);
  }

  /**
   * Before an image is pulled: if it never comes to an end, what is on the board then is not taken for everybody's. Rejects when that
   * cannot be written; `failed` is to be called then too.
   */
  async begin(image: string): Promise<void> {
    this.#underway.set(image, (this.#underway.get(image) ?? 0) + 1);
    if (this.#underway.get(image) === 1) await this.#write();
  }

  /** @param opener what opened the registry; undefined: nothing that only some pods have */
  async pulled(image: string, id: string, opener: PullCredential | undefined): Promise<void> {
    this.#add(image, id, opener);
    this.#abandoned.delete(image);
    this.#end(image);
    await this.#save();
  }

  async failed(image: string): Promise<void> {
    this.#end(image);
    if (!this.#underway.has(image)) await this.#save();
  }

  /**
   * May a pod use the image as it is on the board, or must it prove at the registry that it may?
   * @param own what the pod has for that image; read only where it matters
   */
  async isOpenTo(image: string, id: string, own: () => Promise<readonly PullCredential[]>): Promise<boolean> {
    const known = this.#pulled.get(id);
    const isPulled = known !== undefined || this.#abandoned.has(image) || this.#underway.has(image);
    if (!mustVerify(this.verification, image, isPulled)) return true;
    const openers = known?.get(nameOf(image));
    if (openers === undefined) return false;
    if (openers === "anyone") return true;
    for (const credential of await own()) {
      const match = openers.find((each) => isSameHash(each, credential) || isSameSecret(each, credential));
      if (!match) continue;
      if (match.hash === credential.hash && isSameSecret(match, credential)) return true;
      // The secret says something else by now, or another one says the same.
      this.#add(image, id, credential);
      await this.#save();
      return true;
    }
    return false;
  }

  /** Forgets images that are no longer on the board. */
  async retain(images: readonly ImageStatus[]): Promise<void> {
    const ids = new Set(images.map(({ id }) => id));
    const names = new Set(images.flatMap(({ tags, digests }) => [...tags, ...digests]).map(nameOf));
    const gone = [...this.#pulled.keys()].filter((id) => !ids.has(id));
    const lost = [...this.#abandoned].filter((image) => !names.has(nameOf(image)));
    // An image may have come after they were listed.
    if (gone.length + lost.length === 0 || this.#underway.size > 0) return;
    for (const id of gone) this.#pulled.delete(id);
    for (const image of lost) this.#abandoned.delete(image);
    await this.#save();
  }

  #end(image: string): void {
    const left = (this.#underway.get(image) ?? 1) - 1;
    if (left > 0) this.#underway.set(image, left);
    else this.#underway.delete(image);
  }

  #add(image: string, id: string, opener: PullCredential | undefined): void {
    const byName = this.#pulled.get(id) ?? new Map<string, Openers>();
    this.#pulled.set(id, byName);
    const name = nameOf(image);
    const before = byName.get(name) ?? [];
    if (before === "anyone") return;
    const others = before.filter((each) => !opener || !isSameSecret(each, opener));
    byName.set(name, opener ? [...others, opener].slice(-mostCredentials) : "anyone");
  }

  /** Writes what may also be lost. Never rejects. */
  async #save(): Promise<void> {
    try {
      await this.#write();
    } catch (error) {
      this.log.warn("which images were pulled by whose credentials cannot be written", { path: this.path, error });
    }
  }

  /** One after the other, each with what is known when its turn comes. */
  #write(): Promise<void> {
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#writeNow());
    return this.#writing;
  }

  async #writeNow(): Promise<void> {
    const recorded: Recorded = {
      pulled: Object.fromEntries([...this.#pulled].map(([id, byName]) => [id, Object.fromEntries(byName)])),
      begun: [...new Set([...this.#abandoned, ...this.#underway.keys()])],
    };
    const text = JSON.stringify(recorded);
    if (text === this.#written) return;
    this.#written = undefined;
    await writeSecureFile(this.path, text);
    this.#written = text;
  }
}

/** What is told apart of credentials: what a registry is sent. */
export const credentialHash = ({ username, password, identityToken, registryToken }: ImageAuth): string =>
  createHash("sha256")
    .update(JSON.stringify([username ?? "", password ?? "", identityToken ?? "", registryToken ?? ""]))
    .digest("hex");

const isSameHash = (a: PullCredential, b: PullCredential): boolean => a.hash !== "" && a.hash === b.hash;

const isSameSecret = (a: PullCredential, b: PullCredential): boolean =>
  a.kind === b.kind && a.uid === b.uid && a.namespace === b.namespace && a.name === b.name;

/** In full, without tag and digest; what is an id and no name stands for itself. */
function nameOf(image: string): string {
  try {
    const { domain, path } = parseImageReference(image);
    return `${domain}/${path}`;
  } catch (error) {
    if (error instanceof InvalidImageReference) return image;
    throw error;
  }
}

/** A file that cannot be read leaves nothing known: what is on the board is everybody's then, as images that were there before. */
async function read(path: string, log: Log): Promise<Recorded> {
  const text = await readIfPresent(path);
  const none: Recorded = { pulled: {}, begun: [] };
  if (text === undefined) return none;
  try {
    return { ...none, ...(JSON.parse(text) as Partial<Recorded>) };
  } catch (error) {
    log.warn("which images were pulled by whose credentials is lost", { path, error });
    return none;
  }
}
