/** Environment variables, and the fields and resources of a pod that they and volumes may show. */
import { canonicalQuantity, parseQuantity } from "#shared/api/quantity.ts";
import type {
  EnvFromSource,
  EnvVar,
  EnvVarSource,
  FileKeySelector,
  ObjectFieldSelector,
  ResourceFieldSelector,
  SecretKeySelector,
} from "#shared/api/types/core-v1.generated.ts";
import type { Field } from "../../validation/field.ts";
import {
  isConfigMapKey,
  isDns1123Label,
  isDns1123Subdomain,
  isEnvironmentName,
  isQualifiedName,
  maskTrailingDash,
} from "../../validation/names.ts";
import { validateNoBacksteps } from "../volume-sources.ts";

const environmentFields = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
export const volumeFields = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
];
/** All that a downward API field reference may name in any place (ConvertDownwardAPIFieldLabel of upstream). */
const convertible = new Set([
  ...environmentFields,
  ...volumeFields,
  "spec.restartPolicy",
  "spec.schedulerName",
  "status.phase",
]);
const containerResources = ["limits", "requests"].flatMap((side) =>
  ["cpu", "ephemeral-storage", "memory"].map((name) => `${side}.${name}`),
);
const sizes = [
  "1",
  ...["k", "M", "G", "T", "P", "E"].flatMap((unit) => [`1${unit}`, `1${unit === "k" ? "K" : unit}i`]),
];

export function validateEnv(variables: readonly EnvVar[] | undefined, field: Field): void {
  for (const [index, { name = "", value, valueFrom }] of (variables ?? []).entries()) {
    const at = field.index(index);
    if (name === "") at.at("name").required();
    else at.at("name").invalidEach(name, isEnvironmentName(name));
    if (valueFrom !== undefined) validateValueFrom(valueFrom, value ?? "", at.at("valueFrom"));
  }
}

function validateValueFrom(source: EnvVarSource, value: string, field: Field): void {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = source;
  if (fieldRef) validateFieldRef(fieldRef, environmentFields, field.at("fieldRef"));
  if (resourceFieldRef) validateResourceFieldRef(resourceFieldRef, field.at("resourceFieldRef"));
  if (configMapKeyRef) validateKeyRef(configMapKeyRef, field.at("configMapKeyRef"));
  if (secretKeyRef) validateKeyRef(secretKeyRef, field.at("secretKeyRef"));
  if (fileKeyRef) validateFileKeyRef(fileKeyRef, field.at("fileKeyRef"));
  const count = [fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef].filter(Boolean).length;
  if (count === 0) {
    field.invalid(
      "",
      "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
    );
  } else if (value !== "") field.invalid("", "may not be specified when `value` is not empty");
  else if (count > 1) field.invalid("", "may not have more than one field specified at a time");
}

export function validateFieldRef(reference: ObjectFieldSelector, supported: readonly string[], field: Field): void {
  const { apiVersion = "", fieldPath = "" } = reference;
  if (apiVersion === "") {
    field.at("apiVersion").required();
    return;
  }
  if (fieldPath === "") {
    field.at("fieldPath").required();
    return;
  }
  const begin = fieldPath.endsWith("']") ? fieldPath.indexOf("['") : -1;
  const subscripted = begin >= 0 && begin + 4 <= fieldPath.length;
  const path = subscripted ? fieldPath.slice(0, begin) : fieldPath;
  if (apiVersion !== "v1") {
    field.at("fieldPath").invalid(fieldPath, `error converting fieldPath: unsupported pod version: ${apiVersion}`);
  } else if (subscripted ? !/^metadata\.(annotations|labels)$/.test(path) : !convertible.has(path)) {
    const complaint = subscripted ? "field label does not support subscript" : "field label not supported";
    field.at("fieldPath").invalid(fieldPath, `error converting fieldPath: ${complaint}: ${fieldPath}`);
  } else if (subscripted) {
    const key = fieldPath.slice(begin + 2, -2);
    const judged = path === "metadata.annotations" ? key.toLowerCase() : key;
    field.invalidEach(judged, isQualifiedName(judged));
  } else if (!supported.includes(path)) field.at("fieldPath").notSupported(path, supported);
}

export function validateResourceFieldRef(reference: ResourceFieldSelector, field: Field, inVolume?: "inVolume"): void {
  const { containerName, resource = "", divisor } = reference;
  const isHugePages = /^(requests|limits)\.hugepages-/.test(resource);
  if (inVolume && !containerName) field.at("containerName").required();
  else if (resource === "") field.at("resource").required();
  else if (!containerResources.includes(resource) && !isHugePages) {
    field.at("resource").notSupported(resource, containerResources);
  }
  if (divisor === undefined || parseQuantity(divisor).unscaled === 0n) return;
  const text = canonicalQuantity(divisor);
  const at = field.at("divisor");
  const listed = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";
  if (resource.endsWith(".cpu")) {
    if (text !== "1m" && text !== "1")
      at.invalid(resource, "only divisor's values 1m and 1 are supported with the cpu resource");
    return;
  }
  if (sizes.includes(text)) return;
  const what = resource.endsWith(".memory")
    ? "memory"
    : resource.endsWith(".ephemeral-storage")
      ? "local ephemeral storage"
      : "hugepages";
  if (what !== "hugepages" || isHugePages) {
    at.invalid(resource, `only divisor's values ${listed} are supported with the ${what} resource`);
  }
}

function validateKeyRef({ name = "", key = "" }: SecretKeySelector, field: Field): void {
  field.at("name").invalidEach(name, isDns1123Subdomain(name));
  if (key === "") field.at("key").required();
  else field.at("key").invalidEach(key, isConfigMapKey(key));
}

function validateFileKeyRef({ key = "", volumeName = "", path = "" }: FileKeySelector, field: Field): void {
  if (key === "") field.at("key").required();
  else field.at("key").invalidEach(key, isEnvironmentName(key));
  if (volumeName === "") field.at("volumeName").required();
  else field.at("volumeName").invalidEach(volumeName, isDns1123Label(volumeName));
  if (path === "") field.at("path").required();
  else validateNoBacksteps(path, field.at("path"));
}

export function validateEnvFrom(sources: readonly EnvFromSource[] | undefined, field: Field): void {
  for (const [index, { prefix, configMapRef, secretRef }] of (sources ?? []).entries()) {
    const at = field.index(index);
    if (prefix) at.at("prefix").invalidEach(prefix, isEnvironmentName(prefix));
    for (const [key, reference] of [
      ["configMapRef", configMapRef],
      ["secretRef", secretRef],
    ] as const) {
      if (reference === undefined) continue;
      const { name = "" } = reference;
      if (name === "") at.at(key, "name").required();
      else at.at(key, "name").invalidEach(name, isDns1123Subdomain(maskTrailingDash(name)));
    }
    if (!configMapRef && !secretRef) field.invalid("", "must specify one of: `configMapRef` or `secretRef`");
    else if (configMapRef && secretRef) field.invalid("", "may not have more than one field specified at a time");
  }
}
