/** The four patch types: each turns the present object into the one to be written, then goes the way of an update. */
import { type DecodedDocument, decodeJson, decodePlainJson, JsonSyntaxError } from "#shared/api/codec/json.ts";
import { YamlError } from "#shared/api/codec/yaml.ts";
import { badRequest, conflict, notFound, StatusError } from "#shared/api/errors.ts";
import { type Applied, applyConfiguration } from "#shared/api/managed-fields/index.ts";
import { type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import { isJsonObject, type JsonObject } from "#shared/api/patch/json-value.ts";
import { invalidMergePatch } from "#shared/api/patch/merge-patch.ts";
import { jsonKind, unclassifiedError } from "#shared/api/patch/patch-error.ts";
import { strictMessages } from "#shared/api/schema/strict-messages.ts";
import type { RequestBody } from "../request.ts";
import type { Entry } from "../watch-cache/entry.ts";
import { create } from "./create.ts";
import { type CreatedOrUpdated, createOrUpdate } from "./create-or-update.ts";
import { documentOf, type FieldValidation, objectOf, yamlOf } from "./decode-body.ts";
import { namedFor } from "./endpoint-request.ts";
import { isBadRequest, patchedObject, reasonOf, unconverted } from "./patched-object.ts";
import { withoutUnfitMetadata } from "./unfit-metadata.ts";
import { type PartialUpdate, update } from "./update.ts";
import { reckonManagedFields } from "./version-conversions.ts";
import type { WriteOptions } from "./write-options.ts";
import { addressedKey, timestamp, type WriteParts, type WriteScope } from "./write-scope.ts";

export type PatchType = "json" | "merge" | "strategic" | "apply";

const types: Readonly<Record<string, PatchType>> = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
  "application/apply-patch+yaml": "apply",
};

export interface PatchRequest {
  readonly type: PatchType;
  readonly document: DecodedDocument;
}

/** Before custom resources stands no router, and they have no strategic patch. Throws 415. */
export function patchTypeOf(
  contentType: string | undefined,
  { custom }: { readonly custom?: boolean | undefined },
): PatchType {
  const given = contentType ?? "";
  const isRouted = given.split(",").some((each) => types[each.split(";", 1)[0]?.trim() ?? ""] !== undefined);
  if (!custom && !isRouted) throw unsupported("415: Unsupported Media Type", { hasDetails: true });
  const type = types[given.split(";", 1)[0] ?? ""];
  if (type && !(custom && type === "strategic")) return type;
  const known = Object.keys(types).filter((each) => !custom || types[each] !== "strategic");
  throw unsupported(
    `the body of the request was in an unknown format - accepted media types include: ${known.join(", ")}`,
  );
}

const unsupported = (message: string, options?: { readonly hasDetails: boolean }): StatusError =>
  new StatusError("UnsupportedMediaType", message, options);

/** Decodes a patch. Throws BadRequest for a body that does not parse. */
export function decodePatch(body: RequestBody, type: PatchType, validation: FieldValidation): PatchRequest {
  if (body.kind === "object") return { type, document: documentOf(body.object) };
  const bytes = body.kind === "bytes" ? body.bytes : new Uint8Array();
  try {
    if (type !== "apply") return { type, document: decodeJson(bytes) };
    const isRead = body.kind === "bytes" && body.yaml !== undefined;
    // JSON is YAML too, and most clients apply it: what both read alike needs no YAML parser, which is the slower by far.
    return { type, document: (isRead ? undefined : decodePlainJson(bytes)) ?? yamlOf(body) };
  } catch (error) {
    if (error instanceof JsonSyntaxError || error instanceof YamlError) {
      const isUnread = validation === "Ignore";
      if (isUnread && type === "merge") throw invalidMergePatch();
      // Upstream says of a strategic patch no more than its decoder did.
      const isPlain = type === "strategic" || (isUnread && type === "json");
      throw badRequest(isPlain ? error.message : `error decoding patch: ${error.message}`);
    }
    throw error;
  }
}

export interface Patching {
  readonly name: string;
  readonly patch: PatchRequest;
  readonly options: WriteOptions;
  readonly update?: PartialUpdate | undefined;
  /** Asked before an apply makes an object that is not there. */
  readonly mayCreate: () => Promise<void>;
}

/** Patches an object, or by apply creates it. */
export async function patchObject(parts: WriteParts, scope: WriteScope, patching: Patching): Promise<CreatedOrUpdated> {
  const { patch, name } = patching;
  if (patch.type !== "apply") return { entry: await patchPresent(parts, scope, patching), created: false };
  const { statusApplyCreates } = scope.resource.workingDeclaration.strategy ?? {};
  const mayCreate = scope.subresource === undefined || (scope.subresource === "status" && statusApplyCreates);
  return createOrUpdate(parts, scope, addressedKey(scope, name), {
    update: () => applyPresent(parts, scope, patching),
    create() {
      if (!mayCreate) throw notFound(scope.resource.name, name);
      return applyNew(parts, scope, patching);
    },
  });
}

function patchPresent(parts: WriteParts, scope: WriteScope, patching: Patching): Promise<Entry> {
  const { resource } = scope;
  const { patch, options, name } = patching;
  const custom = resource.declaration.custom === true;
  return update(parts, scope, {
    name,
    isPatch: true,
    update: patching.update,
    async next(live) {
      await resource.ready([live]);
      const before = resource.serve(live).view() as unknown as JsonObject;
      const warnings: string[] = [];
      const expected = { gvk: resource.gvk, schema: resource.schema, custom };
      const object = patchedObject(patch, before, expected, options.fieldValidation, warnings);
      for (const warning of warnings) if (!scope.warnings.includes(warning)) scope.warnings.push(warning);
      namedFor(live.name, scope.namespace, object);
      // Only a patch that names another revision insists on one.
      const fromPresent = object.metadata.resourceVersion === String(live.revision);
      return { draft: resource.toWorking(object), fromPresent };
    },
  });
}

/** Throws BadRequest for what is no object at all; what else is wrong with it is found when it is fitted to its schema. */
export function configurationOf({ document: { value } }: PatchRequest): JsonObject {
  const configuration = value ?? {};
  if (isJsonObject(configuration)) return configuration;
  const why = `json: cannot unmarshal ${jsonKind(value)} into Go value of type map[string]interface {}`;
  throw badRequest(`error decoding YAML: error unmarshaling JSON: while decoding JSON: ${why}`);
}

/** Keys given twice are told once the configuration has been applied; unknown fields have been refused by then. */
function checkDuplicates(scope: WriteScope, { patch, options }: Patching): void {
  const repeated = strictMessages(patch.document, { unknown: [], opaque: [] }, "custom")?.warnings ?? [];
  if (repeated.length === 0 || options.fieldValidation === "Ignore") return;
  if (options.fieldValidation === "Strict") {
    const lines = repeated.map((message) => `\n  ${message}`).join("");
    throw badRequest(`error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:${lines}`);
  }
  scope.warnings.push(...repeated.filter((warning) => !scope.warnings.includes(warning)));
}

/**
 * What the configuration makes of the present object, or of none. The order of what is found wrong is upstream's: whether it can be
 * applied at all, keys that it gives twice, and last whether it is of the object that the URL names.
 */
async function applied(
  parts: WriteParts,
  scope: WriteScope,
  patching: Patching,
  live: KubeObject | undefined,
): Promise<Applied> {
  const config = configurationOf(patching.patch);
  const made = await merged(parts, scope, patching, { live, config });
  const object = normalizedApplied(scope, made.object, config);
  checkDuplicates(scope, patching);
  const { uid } = object.metadata;
  if (uid && !live) {
    throw conflict(
      scope.resource.name,
      patching.name,
      `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
    );
  }
  return { object: namedFor(patching.name, scope.namespace, object), managedFields: made.managedFields };
}

function merged(
  parts: WriteParts,
  scope: WriteScope,
  { options }: Patching,
  objects: { readonly live: KubeObject | undefined; readonly config: JsonObject },
): Promise<Applied> {
  const written = {
    ...objects,
    kind: scope.resource.gvk.kind,
    manager: scope.manager,
    force: options.force === true,
    now: timestamp(parts),
  };
  return reckonManagedFields(scope, (managed) => applyConfiguration({ ...managed, ...written }));
}

function normalizedApplied(scope: WriteScope, object: KubeObject, config: JsonObject): KubeObject {
  const { resource } = scope;
  const { gvk, schema } = resource;
  const custom = resource.declaration.custom === true;
  const expected = { gvk, schema, custom };
  const decode = (each: KubeObject): KubeObject => objectOf(documentOf(each), expected, "Ignore", []);
  try {
    return decode(object);
  } catch (error) {
    if (!isBadRequest(error)) throw error;
    if (custom && schema) return decode(withoutUnfitMetadata(schema, object));
    // Upstream names the configuration here.
    const { apiVersion, kind, metadata } = config as Partial<KubeObject>;
    const { group, version } = parseApiVersion(apiVersion ?? "");
    const type = `${group}/${version}, Kind=${kind}`;
    throw unclassifiedError(
      `failed to convert new object (${metadata?.namespace ?? ""}/${metadata?.name ?? ""}; ${type}) to proper version: ` +
        `unable to convert unstructured object to ${type}: ${unconverted(reasonOf(error))}`,
    );
  }
}

function applyPresent(parts: WriteParts, scope: WriteScope, patching: Patching): Promise<Entry> {
  const { resource } = scope;
  return update(parts, scope, {
    name: patching.name,
    isPatch: true,
    update: patching.update,
    async next(live) {
      await resource.ready([live]);
      const { object, managedFields } = await applied(parts, scope, patching, resource.serve(live).view());
      const insists = revisionOf(configurationOf(patching.patch));
      if (insists !== undefined) object.metadata.resourceVersion = insists;
      return { draft: resource.toWorking(object), managedFields, fromPresent: insists === undefined };
    },
  });
}

/** The revision that a configuration insists on; undefined for none. */
function revisionOf({ metadata }: JsonObject): string | undefined {
  if (!isJsonObject(metadata) || !Object.hasOwn(metadata, "resourceVersion")) return undefined;
  // Null takes the revision away: then none is named.
  return (metadata["resourceVersion"] as string | null) ?? "";
}

async function applyNew(parts: WriteParts, scope: WriteScope, patching: Patching): Promise<Entry> {
  const { object, managedFields = [] } = await applied(parts, scope, patching, undefined);
  const { mayCreate } = patching;
  return create(parts, scope, { object, managedFields, byUpdate: true, mayCreate });
}
