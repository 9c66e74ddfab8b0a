/** What a CustomResourceDefinition may say (apiextensions' validation.go). Paths are those of upstream's internal form, in
 *  which what all versions have alike stands above them. */

import type { FieldError } from "#shared/api/errors.ts";
import { equalJson } from "#shared/api/patch/json-value.ts";
import type {
  CustomResourceColumnDefinition,
  CustomResourceConversion,
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
  CustomResourceSubresources,
  JSONSchemaProps,
} from "#shared/api/types/apiextensions-v1.generated.ts";
import { faultOfCaBundle } from "../../extensions/ca-bundle.ts";
import { approvalState, isEstablished, isProtectedGroup } from "../../extensions/definition-status.ts";
import { type FieldPath, FieldPathError, fieldPathOf } from "../../extensions/field-path.ts";
import { collect, type Field, immutable, requiredOneOf } from "../validation/field.ts";
import { isDns1035Label, isDns1123Subdomain } from "../validation/names.ts";
import { validateWebhookUrl } from "../validation/webhook-url.ts";
import { leniencyOf, type SchemaLeniency, strict } from "./schema-leniency.ts";
import { checkSchema } from "./schema-rules.ts";
import { shownVersions } from "./shown-versions.ts";

const MAX_SELECTABLE_FIELDS = 8;
const columnTypes = ["boolean", "date", "integer", "number", "string"];
const columnFormats = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

/** The name is made of the plural and the group. */
export function validateDefinitionName({ metadata, spec }: CustomResourceDefinition): FieldError[] {
  return collect((root) => {
    const required = `${spec.names.plural ?? ""}.${spec.group ?? ""}`;
    for (const key of ["name", "generateName"] as const) {
      const text = metadata[key] ?? "";
      if (text === "") continue;
      const at = root.at("metadata", key);
      at.invalidEach(text, isDns1123Subdomain(text));
      if (text !== required) at.invalid(text, 'must be spec.names.plural+"."+spec.group');
    }
  });
}

export function validateDefinition(definition: CustomResourceDefinition): FieldError[] {
  return collect((root) => {
    checkSpec(definition.spec, strict, root.at("spec"));
    checkStatus(definition, root.at("status"));
    checkApproval(definition, undefined, root);
  });
}

export function validateDefinitionUpdate(
  definition: CustomResourceDefinition,
  old: CustomResourceDefinition,
): FieldError[] {
  return collect((root) => {
    const spec = root.at("spec");
    const [now, before] = [definition.spec, old.spec];
    checkSpec(now, equalJson(now, before) ? undefined : leniencyOf(before, now), spec);
    if (isEstablished(old)) {
      immutable(now.scope, before.scope, spec.at("scope"));
      immutable(now.names.kind, before.names.kind, spec.at("names", "kind"));
      checkCaBundle(now.conversion, before.conversion, spec.at("conversion", "webhookClientConfig", "caBundle"));
    }
    immutable(now.group, before.group, spec.at("group"));
    immutable(now.names.plural, before.names.plural, spec.at("names", "plural"));
    checkStatus(definition, root.at("status"));
    checkApproval(definition, old, root);
  });
}

export function validateDefinitionStatusUpdate({ status }: CustomResourceDefinition): FieldError[] {
  return collect((root) => {
    if (status?.acceptedNames) checkNames(status.acceptedNames, root.at("status", "acceptedNames"));
  });
}

function checkStatus({ spec, status }: CustomResourceDefinition, field: Field): void {
  if (status?.acceptedNames) checkNames(status.acceptedNames, field.at("acceptedNames"));
  const stored = status?.storedVersions ?? [];
  const at = field.at("storedVersions");
  if (stored.length === 0) {
    at.invalid(null, "must have at least one stored version");
    return;
  }
  const expected = new Set(stored);
  for (const { name, storage } of spec.versions ?? []) {
    // A name that comes twice is found once.
    if (!expected.delete(name) && storage) at.invalid(stored, `must have the storage version ${name}`);
  }
  for (const [index, name] of stored.entries()) {
    if (spec.versions?.some((version) => version.name === name)) continue;
    at.index(index).invalid(
      name,
      `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
    );
  }
}

/** The value that all versions have alike; undefined where they differ or one has none. */
function common<T>(
  versions: readonly CustomResourceDefinitionVersion[],
  of: (version: CustomResourceDefinitionVersion) => T | undefined,
): T | undefined {
  const [first] = versions;
  const value = first && of(first);
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return undefined;
  return versions.every((version) => equalJson(of(version), value)) ? value : undefined;
}

/** No leniency: the schemas have not changed since they were accepted. */
function checkSpec(spec: CustomResourceDefinitionSpec, leniency: SchemaLeniency | undefined, field: Field): void {
  const { group, versions = [] } = spec;
  if (!group) field.at("group").required();
  else if (isDns1123Subdomain(group).length > 0) field.at("group").invalid(group, isDns1123Subdomain(group).join(","));
  else if (!group.includes(".")) field.at("group").invalid(group, "should be a domain with at least one dot");
  requiredOneOf(spec.scope, ["Cluster", "Namespaced"], field.at("scope"));
  if (spec.preserveUnknownFields === true) {
    field
      .at("preserveUnknownFields")
      .invalid(
        true,
        "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
      );
  }
  for (const [index, { schema }] of versions.entries()) {
    if (!schema?.openAPIV3Schema) field.at("versions").index(index).at("schema", "openAPIV3Schema").required();
  }
  checkVersions(spec, leniency, field);
  const names = field.at("names");
  for (const name of ["plural", "singular", "kind", "listKind"] as const) {
    if (!spec.names[name]) names.at(name).required();
  }
  checkNames(spec.names, names);
  checkConversion(spec.conversion, field.at("conversion"));
}

function checkVersions(spec: CustomResourceDefinitionSpec, leniency: SchemaLeniency | undefined, field: Field): void {
  const { versions = [] } = spec;
  const schema = common(versions, (version) => version.schema);
  const subresources = common(versions, (version) => version.subresources);
  const columns = common(versions, (version) => version.additionalPrinterColumns);
  const names = versions.map(({ name }) => name);
  for (const [index, version] of versions.entries()) {
    const at = field.at("versions").index(index);
    const problems = isDns1035Label(version.name ?? "");
    if (problems.length > 0) at.at("name").invalid(version.name, problems.join(","));
    checkDeprecation(version, at.at("deprecationWarning"));
    const hasStatus = version.subresources?.status !== undefined;
    const written = version.schema?.openAPIV3Schema;
    if (!schema && written && leniency) {
      checkSchema(written, { version: version.name, hasStatus }, leniency, at.at("schema", "openAPIV3Schema"));
    }
    if (!subresources) checkSubresources(version.subresources, at.at("subresources"));
    if (!columns) checkColumns(version.additionalPrinterColumns, at.at("additionalPrinterColumns"));
  }
  const [top = ""] = names;
  if (top !== "" && isDns1035Label(top).length > 0) field.at("version").invalid(top, isDns1035Label(top).join(","));
  if (new Set(names).size !== names.length)
    field.at("versions").invalid(shownVersions(versions), "must contain unique version names");
  if (versions.filter(({ storage }) => storage).length !== 1) {
    field
      .at("versions")
      .invalid(shownVersions(spec.versions), "must have exactly one version marked as storage version");
  }
  if (schema?.openAPIV3Schema && leniency) {
    const hasStatus = versions.some((version) => version.subresources?.status !== undefined);
    const all = { version: versions[0]?.name ?? "", hasStatus };
    checkSchema(schema.openAPIV3Schema, all, leniency, field.at("validation", "openAPIV3Schema"));
  }
  if (subresources) checkSubresources(subresources, field.at("subresources"));
  if (columns) checkColumns(columns, field.at("additionalPrinterColumns"));
  checkSelectables(versions, schema?.openAPIV3Schema, field);
}

function checkDeprecation({ deprecated, deprecationWarning }: CustomResourceDefinitionVersion, field: Field): void {
  if (deprecationWarning === undefined) return;
  if (!deprecated) {
    field.invalid(deprecationWarning, "can only be set for deprecated versions");
    return;
  }
  if (Buffer.byteLength(deprecationWarning) > 256) field.invalid(deprecationWarning, "must be <= 256 characters long");
  if (deprecationWarning === "") field.invalid(deprecationWarning, "must not be an empty string");
  const odd = [...deprecationWarning].findIndex((letter) => /[\p{C}\p{Zl}\p{Zp}]/u.test(letter));
  if (odd < 0) return;
  const message = `must only contain printable UTF-8 characters; non-printable character found at index ${odd}`;
  field.invalid(deprecationWarning, message);
}

function checkNames(names: CustomResourceDefinitionNames, field: Field): void {
  for (const name of ["plural", "singular"] as const) checkLabel(names[name], field.at(name));
  for (const name of ["kind", "listKind"] as const) {
    const problems = names[name] ? isDns1035Label(names[name].toLowerCase()) : [];
    if (problems.length === 0) continue;
    field.at(name).invalid(names[name], `may have mixed case, but should otherwise match: ${problems.join(",")}`);
  }
  for (const [index, name] of (names.shortNames ?? []).entries())
    checkLabel(name, field.at("shortNames").index(index), true);
  if (names.kind && names.kind === names.listKind) {
    field.at("listKind").invalid(names.listKind, "kind and listKind may not be the same");
  }
  for (const [index, name] of (names.categories ?? []).entries())
    checkLabel(name, field.at("categories").index(index), true);
}

function checkLabel(text: string | undefined, field: Field, isNeeded = false): void {
  if (!text && !isNeeded) return;
  const problems = isDns1035Label(text ?? "");
  if (problems.length > 0) field.invalid(text, problems.join(","));
}

function checkColumns(columns: readonly CustomResourceColumnDefinition[] | undefined, field: Field): void {
  for (const [index, column] of (columns ?? []).entries()) {
    const at = field.index(index);
    if (!column.name) at.at("name").required();
    const typeMessage = `must be one of ${columnTypes.join(",")}`;
    if (!column.type) at.at("type").required(typeMessage);
    else if (!columnTypes.includes(column.type)) at.at("type").invalid(column.type, typeMessage);
    if (column.format && !columnFormats.includes(column.format)) {
      at.at("format").invalid(column.format, `must be one of ${columnFormats.join(",")}`);
    }
    if (!column.jsonPath) at.at("JSONPath").required();
    else checkPath(column.jsonPath, at.at("JSONPath"));
  }
}

function checkPath(path: string, field: Field): boolean {
  if (path === "") field.invalid(path, "must not be empty");
  else if (!path.startsWith(".")) field.invalid(path, "must be a simple json path starting with .");
  else return true;
  return false;
}

function checkSubresources(subresources: CustomResourceSubresources | undefined, field: Field): void {
  const { scale } = subresources ?? {};
  if (!scale) return;
  for (const [name, root] of [
    ["specReplicasPath", ".spec"],
    ["statusReplicasPath", ".status"],
  ] as const) {
    const at = field.at(`scale.${name}`);
    const path = scale[name];
    if (!path) at.required();
    else if (checkPath(path, at) && !path.startsWith(`${root}.`))
      at.invalid(path, `should be a json path under ${root}`);
  }
  const { labelSelectorPath } = scale;
  if (!labelSelectorPath) return;
  const at = field.at("scale.labelSelectorPath");
  if (checkPath(labelSelectorPath, at) && !/^\.(spec|status)\./.test(labelSelectorPath)) {
    at.invalid(labelSelectorPath, "should be a json path under either .spec or .status");
  }
}

const scalarTypes = ["string", "boolean", "integer"];

/** As upstream has it, fields and the schema that they are looked up in are both the versions' own, or both common to all. */
function checkSelectables(
  versions: readonly CustomResourceDefinitionVersion[],
  schema: JSONSchemaProps | undefined,
  field: Field,
): void {
  const [first] = versions;
  if (first && common(versions, ({ selectableFields }) => selectableFields)) {
    checkSelectable(first, schema, "validations.schema is included", field.at("selectableFields"));
    return;
  }
  for (const [index, version] of versions.entries()) {
    const own = schema ? undefined : version.schema?.openAPIV3Schema;
    const at = field.at("versions").index(index).at("selectableFields");
    checkSelectable(version, own, "`version.schema.openAPIV3Schema` is not included", at);
  }
}

function checkSelectable(
  { selectableFields = [] }: CustomResourceDefinitionVersion,
  schema: JSONSchemaProps | undefined,
  lacking: string,
  field: Field,
): void {
  if (selectableFields.length > 0 && !schema) {
    field.invalid("", `may only be set when ${lacking}`);
    return;
  }
  const seen = new Set<string>();
  for (const [index, { jsonPath }] of selectableFields.entries()) {
    const at = field.index(index).at("jsonPath");
    if (!jsonPath) {
      at.required();
      continue;
    }
    let found: FieldPath;
    try {
      found = fieldPathOf(jsonPath, schema ?? {}, { allowsBrackets: false });
    } catch (error) {
      if (!(error instanceof FieldPathError)) throw error;
      at.invalid(jsonPath, `is an invalid path: ${error.message}`);
      continue;
    }
    if (/^\.metadata(\.|$)/.test(jsonPath)) at.invalid(jsonPath, "must not point to fields in metadata");
    if (!scalarTypes.includes(found.schema.type ?? "")) {
      at.invalid(
        jsonPath,
        "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
      );
    }
    if (seen.has(jsonPath)) at.duplicate(jsonPath);
    seen.add(jsonPath);
  }
  if (seen.size > MAX_SELECTABLE_FIELDS) field.tooMany(seen.size, MAX_SELECTABLE_FIELDS);
}

function checkConversion(conversion: CustomResourceConversion | undefined, field: Field): void {
  if (!conversion) return;
  requiredOneOf(conversion.strategy, ["None", "Webhook"], field.at("strategy"));
  const { webhook } = conversion;
  const config = field.at("webhookClientConfig");
  if (conversion.strategy !== "Webhook") {
    if (webhook?.clientConfig) config.forbidden("should not be set when strategy is not set to Webhook");
    if (webhook?.conversionReviewVersions?.length) {
      field.at("conversionReviewVersions").forbidden("should not be set when strategy is not set to Webhook");
    }
    return;
  }
  const { clientConfig } = webhook ?? {};
  if (!clientConfig) config.required("required when strategy is set to Webhook");
  else if ((clientConfig.url === undefined) === (clientConfig.service === undefined)) {
    config.required("exactly one of url or service is required");
  } else if (clientConfig.url !== undefined) validateWebhookUrl(clientConfig.url, config.at("url"));
  else {
    const { name, namespace, port = 443, path } = clientConfig.service ?? {};
    const service = config.at("service");
    if (!name) service.at("name").required();
    if (!namespace) service.at("namespace").required();
    if (port < 1 || port > 65_535)
      service.at("port").invalid(port, "port is not valid: must be between 1 and 65535, inclusive");
    if (path) checkServicePath(path, service.at("path"));
  }
  checkReviewVersions(webhook?.conversionReviewVersions ?? [], field.at("conversionReviewVersions"));
}

/** Objects are served already, which an unusable bundle would end; one that always was is borne with. */
function checkCaBundle(
  now: CustomResourceConversion | undefined,
  before: CustomResourceConversion | undefined,
  field: Field,
): void {
  const caBundle = now?.webhook?.clientConfig?.caBundle;
  const fault = faultOfCaBundle(caBundle);
  if (fault === undefined || now?.strategy !== "Webhook") return;
  if (faultOfCaBundle(before?.webhook?.clientConfig?.caBundle) === undefined) field.invalid(caBundle, fault);
}

function checkServicePath(path: string, field: Field): void {
  if (path === "/") return;
  if (path === "//") {
    field.invalid(path, "segment[0] may not be empty");
    return;
  }
  if (!path.startsWith("/")) field.invalid(path, "must start with a '/'");
  const segments = path.slice(1).replace(/\/$/, "").split("/");
  for (const [index, segment] of segments.entries()) {
    if (segment === "") {
      field.invalid(path, `segment[${index}] may not be empty`);
      continue;
    }
    for (const problem of isDns1123Subdomain(segment)) field.invalid(path, `segment[${index}]: ${problem}`);
  }
}

function checkReviewVersions(versions: readonly string[], field: Field): void {
  if (versions.length === 0) {
    field.required();
    return;
  }
  const seen = new Set<string>();
  for (const [index, version] of versions.entries()) {
    if (seen.has(version)) field.index(index).invalid(version, "duplicate version");
    else field.index(index).invalidEach(version, isDns1035Label(version));
    seen.add(version);
  }
  if (!seen.has("v1") && !seen.has("v1beta1")) field.invalid(versions, "must include at least one of v1, v1beta1");
}

function checkApproval(
  definition: CustomResourceDefinition,
  old: CustomResourceDefinition | undefined,
  root: Field,
): void {
  if (!isProtectedGroup(definition.spec.group ?? "")) return;
  const { state, reason } = approvalState(definition.metadata.annotations);
  if (old && approvalState(old.metadata.annotations).state === state) return;
  const at = root.at("metadata", "annotations").key("api-approved.kubernetes.io");
  if (state === "missing") at.required(reason);
  if (state === "invalid") at.invalid(definition.metadata.annotations?.["api-approved.kubernetes.io"], reason);
}
