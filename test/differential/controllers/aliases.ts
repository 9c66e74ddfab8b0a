import type { KubeObject } from "#shared/api/object.ts";
import { controllerReferenceOf } from "#shared/client/controller-ref.ts";

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** What stands for names, hashes and UIDs of a namespace that are by chance, so that two clusters can be compared. */
export class Aliases {
  readonly #uids = new Map<string, string>();
  readonly #names = new Map<string, string>();
  readonly #hashes = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  learn(object: KubeObject): void {
    const { uid, name = "", generateName } = object.metadata;
    if (uid && !this.#uids.has(uid)) this.#uids.set(uid, `<${object.kind} ${name}>`);
    const isNumbered = controllerReferenceOf(object)?.kind === "StatefulSet";
    if (generateName && name.startsWith(generateName) && !isNumbered) this.#names.set(name, `${generateName}*`);
    const owner = controllerReferenceOf(object)?.name;
    if (owner === undefined || !name.startsWith(`${owner}-`)) return;
    if (object.kind === "ReplicaSet") this.#hash("rs", name.slice(owner.length + 1));
    if (object.kind === "ControllerRevision") this.#hash("revision", name.slice(owner.length + 1));
  }

  /** The text with all of them replaced, and times, addresses and the minutes in names of CronJobs' Jobs. */
  apply(text: string): string {
    let result = text;
    for (const [uid, alias] of this.#uids) result = result.replaceAll(uid, alias);
    for (const [name, alias] of this.#names) result = replaceWord(result, name, alias);
    for (const [hash, alias] of this.#hashes) result = replaceWord(result, hash, alias);
    return (
      result
        .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "TIME")
        // When a run of a zone's CronJob was due, which is once a year.
        .replace(/\d{4}(?=-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d)/g, "YEAR")
        .replace(/\b\d+\.\d+\.\d+\.\d+\b/g, "IP")
        .replace(/\bfd43:[0-9a-f:]+/g, "IP6")
        // Of what could not be made, or is in another namespace.
        .replace(/(pods \\"[a-z0-9-]+-)[a-z0-9]{5}(?=\\" is forbidden)/g, "$1*")
        .replace(/((?:new replica set|replicasets\.apps) \\"[a-z]+-)[a-z0-9]{6,10}(?=\\")/g, "$1HASH")
        .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UID")
        .replace(/kube-api-access-[a-z0-9]{5}/g, "kube-api-access-*")
        .replace(/-(2[89]|3\d)\d{6}\b/g, "-MINUTE")
        // Nodes of which a controller may take any.
        .replace(/-x\d\b/g, "-x*")
        .replace(/(controlled by multiple HPAs: )\[[^\]]*\]/g, "$1[…]")
        .replace(/Chose \\"[^"]*\\" arbitrarily/g, "Chose one arbitrarily")
        .replace(/-----BEGIN CERTIFICATE-----[^"]*/g, "CERTIFICATE")
    );
  }

  /** In the order in which they were made. */
  #hash(kind: string, hash: string): void {
    if (this.#hashes.has(hash)) return;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    this.#hashes.set(hash, `${kind}${count}`);
  }
}

const replaceWord = (text: string, word: string, by: string): string =>
  text.includes(word) ? text.replace(new RegExp(`(?<![a-z0-9])${escaped(word)}(?![a-z0-9])`, "g"), by) : text;
