import { parseAllDocuments } from "yaml";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { KubeObject } from "#shared/api/object.ts";

/** An object of a manifest, as its author wrote it. */
export type ManifestObject = Pick<KubeObject, "apiVersion" | "kind"> & {
  readonly metadata: { readonly name: string; readonly namespace?: string | undefined };
};

/** Which object one is, whatever is in it. */
export interface ObjectIdentity {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** A manifest that cannot be read; its message tells a person where. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
}

const mostAliases = 100;

/** Reads YAML or JSON with any number of documents; Lists give their items. Throws ManifestError. */
export function parseManifest(text: string): ManifestObject[] {
  return parseAllDocuments(text).flatMap((document, index) => {
    const [error] = document.errors;
    if (error) throw new ManifestError(error.message.split("\n")[0]);
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: mostAliases });
    } catch (cause) {
      throw new ManifestError(messageOf(cause));
    }
    // Nothing but comments.
    return value === null || value === undefined ? [] : objectsOf(value, `document ${index + 1}`);
  });
}

function objectsOf(value: unknown, where: string): ManifestObject[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ManifestError(`${where}: not an object`);
  }
  const { apiVersion, kind, metadata, items } = value as Record<string, unknown>;
  if (typeof apiVersion !== "string" || typeof kind !== "string") {
    throw new ManifestError(`${where}: apiVersion or kind is missing`);
  }
  if (kind.endsWith("List") && Array.isArray(items)) {
    return items.flatMap((item: unknown, index) => objectsOf(item, `${where}, item ${index + 1}`));
  }
  const name = typeof metadata === "object" && metadata !== null && "name" in metadata ? metadata.name : undefined;
  if (typeof name !== "string" || name === "") throw new ManifestError(`${where}: ${kind} without metadata.name`);
  return [value as ManifestObject];
}

/** Later ones need these: what others live in, and what says which kinds there are. */
const early = ["Namespace", "CustomResourceDefinition", "ServiceAccount"];

/** The order in which objects are applied; otherwise that of the file. */
export function inOrder(objects: readonly ManifestObject[]): ManifestObject[] {
  const rank = ({ kind }: ManifestObject): number => (early.includes(kind) ? early.indexOf(kind) : early.length);
  return [...objects].sort((a, b) => rank(a) - rank(b));
}

/** What was of a manifest once and is in none now; the version that it was written in does not matter. */
export function leftOut(before: readonly ObjectIdentity[], after: Iterable<ObjectIdentity>): readonly ObjectIdentity[] {
  const present = new Set([...after].map(identityKey));
  return before.filter((each) => !present.has(identityKey(each)));
}

function identityKey({ apiVersion, kind, namespace, name }: ObjectIdentity): string {
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  return `${group}|${kind}|${namespace}|${name}`;
}

/** Is a file one that is applied? `x.yaml.skip` beside it keeps it from that. */
export function isManifest(path: string, all: ReadonlySet<string>): boolean {
  return /\.(ya?ml|json)$/.test(path) && !/(^|\/)\./.test(path) && !all.has(`${path}.skip`);
}
