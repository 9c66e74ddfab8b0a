import type { GroupVersionKind } from "../object.ts";
import { modelOfKind } from "../schema/facts.ts";
import type { JSONSchemaProps } from "../types/apiextensions-v1.generated.ts";
import { publishedName } from "./models.ts";

/** A resource in one served version, as OpenAPI documents describe it. */
export interface PublishedResource extends GroupVersionKind {
  readonly plural: string;
  readonly namespaced: boolean;
  /** Defaults to the kind with `List` behind it. */
  readonly listKind?: string | undefined;
  /** `create`, `delete`, `deletecollection`, `get`, `list`, `patch`, `update`, `watch`. */
  readonly verbs: readonly string[];
  readonly subresources: readonly PublishedSubresource[];
  /** A delete is answered with the object, not with a Status. */
  readonly answersDeleteWithObject?: boolean | undefined;
  /** Set for a CustomResourceDefinition. */
  readonly custom?: PublishedCustomResource | undefined;
}

export interface PublishedSubresource {
  readonly name: string;
  readonly verbs: readonly string[];
  /** The kind of its body; absent: the resource's own. */
  readonly body?: GroupVersionKind | undefined;
  /** It is connected to, and its body's fields are parameters: exec, attach, portforward, proxy. */
  readonly connects?: boolean | undefined;
  /** It is read as text, and this kind's fields are parameters: log. */
  readonly textOptions?: GroupVersionKind | undefined;
}

export interface PublishedCustomResource {
  /** `schema.openAPIV3Schema` of the version as written, descriptions included; absent for none. */
  readonly schema?: JSONSchemaProps | undefined;
  /** spec.preserveUnknownFields. */
  readonly preserveUnknownFields?: boolean | undefined;
  /** JSON paths of the version's selectable fields. */
  readonly selectableFields?: readonly string[] | undefined;
}

/** `api/v1` or `apis/apps/v1`: the name of a group version's document, and its path below the server's root. */
export function documentName({ group, version }: { readonly group: string; readonly version: string }): string {
  return group === "" ? `api/${version}` : `apis/${group}/${version}`;
}

/** The model of a custom resource's kind: the group's labels in reverse, `com.example.v1.Thing`. */
export function customModelName({ group, version, kind }: GroupVersionKind): string {
  return `${group.split(".").reverse().join(".")}.${version}.${kind}`;
}

/** Of a custom resource's kind and of its list. */
export function customModelNames({ group, version, kind, listKind = `${kind}List` }: PublishedResource): string[] {
  return [kind, listKind].map((name) => customModelName({ group, version, kind: name }));
}

/** Names that models have in a document where their usual ones are others'. */
export type OtherNames = ReadonlyMap<string, string>;

/** Published name of the model of a kind; for a kind of no facts that of a custom resource. */
export function modelName(gvk: GroupVersionKind): string {
  const model = modelOfKind(gvk);
  return model === undefined ? customModelName(gvk) : publishedName(model);
}
