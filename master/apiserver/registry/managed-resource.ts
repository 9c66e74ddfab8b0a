import type { ManagedResource } from "#shared/api/managed-fields/index.ts";
import { FieldSet } from "#shared/api/managed-fields/index.ts";
import type { Strategy } from "./declaration.ts";
import type { WriteScope } from "./write-scope.ts";

const status = FieldSet.ofFields(["status"]);
const spec = FieldSet.ofFields(["spec"]);
const specAndMetadata = FieldSet.ofFields(["spec"], ["metadata"]);

const fieldsNamed = (names: readonly string[]): FieldSet => FieldSet.ofFields(...names.map((name) => [name]));

function statusResetsOf(strategy: Strategy | undefined): FieldSet {
  if (strategy?.statusResetFields) return fieldsNamed(strategy.statusResetFields);
  return strategy?.statusResets ? FieldSet.ofFields(["spec"], ...strategy.statusResets) : spec;
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
  const resets = custom ? specAndMetadata : statusResetsOf(own);
  const resetFields = subresource === "status" ? resets : main;
  const group = resource.gvk.group;
  return {
    schema: resource.schema,
    apiVersion: resource.apiVersion,
    subresource,
    resetFields: subresource === undefined || subresource === "status" ? resetFields : undefined,
    isKnownVersion: (apiVersion) =>
      apiVersion === resource.apiVersion ||
      (versions ?? []).some(({ version }) => apiVersion === (group === "" ? version : `${group}/${version}`)) ||
      !custom,
  };
}
