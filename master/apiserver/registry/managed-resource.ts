import type { ManagedResource, OtherVersion } from "#shared/api/managed-fields/index.ts";
import { FieldSet } from "#shared/api/managed-fields/index.ts";
import { apiVersionOf, type GroupVersionKind, type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import { cloneJson, isJsonObject, type JsonObject, setMember } from "#shared/api/patch/json-value.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import type { ResourceDeclaration, Strategy } from "./declaration.ts";
import type { ServedResource } from "./served-resource.ts";
import type { WriteScope } from "./write-scope.ts";

const status = FieldSet.ofFields(["status"]);
const spec = FieldSet.ofFields(["spec"]);

const fieldsNamed = (names: readonly string[]): FieldSet => FieldSet.ofFields(...names.map((name) => [name]));

function statusResetsOf(strategy: Strategy | undefined): FieldSet {
  if (strategy?.statusResetFields) return fieldsNamed(strategy.statusResetFields);
  return strategy?.statusResets ? FieldSet.ofFields(["spec"], ...strategy.statusResets) : spec;
}

/** Of built-in kinds; those of custom ones are converted as version-conversions.ts has it. */
function otherVersion(resource: ServedResource, apiVersion: string): OtherVersion | undefined {
  const { declaration } = resource;
  if (apiVersion === resource.apiVersion || declaration.converter || declaration.storedAs) return undefined;
  const there = formOf(declaration, apiVersion);
  const here = formOf(declaration, resource.apiVersion);
  if (there === undefined || here === undefined || (!there.convert && !here.convert)) return undefined;
  const toStored = (form: Form, object: JsonObject): KubeObject => {
    const own = cloneJson(object) as unknown as KubeObject;
    return form.convert?.toStored(own) ?? renamed(own, declaration.ref);
  };
  const fromStored = (form: Form, object: KubeObject): JsonObject =>
    withoutAbsent(
      form.convert?.fromStored(object) ?? renamed(object, { ...declaration.ref, version: form.version }),
    ) as JsonObject;
  return {
    schema: schemaFor({ ...declaration.ref, version: there.version }),
    convert: (object) => fromStored(there, toStored(here, object)),
    revert: (object) => fromStored(here, toStored(there, object)),
  };
}

/** In a version that differs by its name alone. */
const renamed = (object: KubeObject, gvk: GroupVersionKind): KubeObject => ({
  ...object,
  apiVersion: apiVersionOf(gvk),
});

/** A conversion of part of an object leaves members undefined, which no JSON has. */
function withoutAbsent(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutAbsent);
  if (!isJsonObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, item] of Object.entries(value)) if (item !== undefined) setMember(copy, key, withoutAbsent(item));
  return copy;
}

type Form = Pick<NonNullable<ResourceDeclaration["versions"]>[number], "version" | "convert">;

/** A served version and how it differs from the stored one, if it does. */
function formOf({ ref, versions }: ResourceDeclaration, apiVersion: string): Form | undefined {
  return [{ version: ref.version }, ...(versions ?? [])].find(
    ({ version }) => apiVersionOf({ group: ref.group, version }) === apiVersion,
  );
}

/** Whether a version has such a kind. Those of its own group that are served no longer had it once. */
function hasKind(apiVersion: string, { gvk }: ServedResource): boolean {
  const { group, version } = parseApiVersion(apiVersion);
  return group === gvk.group || group === "extensions" || schemaFor({ group, version, kind: gvk.kind }) !== undefined;
}

/** What field management needs to know of the endpoint that is written to. */
export function managedResource({ resource, stored, subresource }: WriteScope): ManagedResource {
  const { strategy, custom, versions } = resource.declaration;
  const own = stored.declaration.strategy;
  const main = own?.resetFields
    ? fieldsNamed(own.resetFields)
    : own?.hasStatus || strategy?.hasStatus
      ? status
      : undefined;
  const resetsOf = (): FieldSet | undefined => {
    const paths = own?.subresourceResetPaths?.[subresource ?? ""];
    if (paths) return FieldSet.ofFields(...paths);
    if (subresource === "status") return custom ? spec : statusResetsOf(own);
    return subresource === undefined ? main : undefined;
  };
  const group = resource.gvk.group;
  return {
    schema: resource.schema,
    apiVersion: resource.apiVersion,
    subresource,
    resetFields: resetsOf(),
    isKnownVersion: (apiVersion) =>
      apiVersion === resource.apiVersion ||
      (versions ?? []).some(({ version }) => apiVersion === (group === "" ? version : `${group}/${version}`)) ||
      (!custom && hasKind(apiVersion, resource)),
    otherVersion: (apiVersion) => otherVersion(resource, apiVersion),
  };
}
