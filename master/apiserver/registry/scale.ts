/** The generic scale subresource: replicas of any resource that says where they stand (autoscaling/v1 Scale). */
import { conflict, type FieldError, invalid, staleObject } from "#shared/api/errors.ts";
import {
  applyConfiguration,
  entriesAfterScale,
  type ReplicasPaths,
  scaleEntries,
  updateManagedFields,
} from "#shared/api/managed-fields/index.ts";
import { fieldsOf, type KubeObject } from "#shared/api/object.ts";
import { cloneJson, isJsonObject, type JsonObject, setMember } from "#shared/api/patch/json-value.ts";
import { unclassifiedError } from "#shared/api/patch/patch-error.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import { formatLabelSelector, labelSelectorOfMap } from "#shared/api/selector/label-selector.ts";
import type { Scale } from "#shared/api/types/autoscaling-v1.generated.ts";
import type { ManagedFieldsEntry } from "#shared/api/types/meta-v1.generated.ts";
import { ageColumn, integerColumn, nameColumn } from "../resources/columns.ts";
import { validateKindMeta } from "../resources/validation/object-meta.ts";
import type { SubresourceDeclaration, TableColumn } from "./declaration.ts";
import { namedFor } from "./endpoint-request.ts";
import { configurationOf, type PatchRequest } from "./patch.ts";
import { patchedObject } from "./patched-object.ts";
import { anotherUid, type Next } from "./update.ts";
import type { WriteOptions } from "./write-options.ts";
import { timestamp, type WriteParts, type WriteScope } from "./write-scope.ts";

const gvk = { group: "autoscaling", version: "v1", kind: "Scale" };
type ScalePaths = NonNullable<SubresourceDeclaration["scale"]>;

const steps = (path: string): string[] => path.replace(/^\./, "").split(".");

function at(object: unknown, path: string): unknown {
  let value = object;
  for (const step of steps(path)) value = isJsonObject(value) ? value[step] : undefined;
  return value;
}

function put(object: JsonObject, path: string, value: unknown): void {
  const names = steps(path);
  const last = names.pop() ?? "";
  let parent = object;
  for (const name of names) {
    const child = parent[name];
    if (isJsonObject(child)) parent = child;
    else {
      const made: JsonObject = {};
      setMember(parent, name, made);
      parent = made;
    }
  }
  setMember(parent, last, value);
}

/** Sets the replicas where they stand in the object itself, which is changed. */
export function putReplicas(object: KubeObject, { specReplicas }: ScalePaths, replicas: number): void {
  put(object as unknown as JsonObject, specReplicas, replicas);
}

/** A selector may be an API selector, a map of labels (ReplicationController), or text (custom resources). */
function selectorText(selector: unknown): string {
  if (typeof selector === "string") return selector;
  if (!isJsonObject(selector)) return "";
  const isApiSelector = "matchLabels" in selector || "matchExpressions" in selector;
  if (isApiSelector) return formatLabelSelector(selector);
  return labelSelectorOfMap(selector as Record<string, string>).toString();
}

/** The Scale of an object, without managed fields. */
export function scaleOf(object: KubeObject, paths: ScalePaths): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const replicas = at(object, paths.specReplicas);
  const present = at(object, paths.statusReplicas);
  const selector = paths.labelSelector ? selectorText(at(object, paths.labelSelector)) : "";
  return {
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: typeof replicas === "number" && replicas !== 0 ? { replicas } : {},
    status: { replicas: typeof present === "number" ? present : 0, ...(selector === "" ? {} : { selector }) },
  } as Scale;
}

/** How a Scale is printed. */
export const scaleColumns: readonly TableColumn<KubeObject>[] = [
  { ...nameColumn, format: "" },
  integerColumn<Scale>("Desired", ({ spec }) => spec?.replicas ?? 0),
  integerColumn<Scale>("Available", ({ status }) => status?.replicas ?? 0),
  ageColumn,
];

export interface ScaleWrite {
  readonly paths: ScalePaths;
  readonly name: string;
  /** A whole Scale, or a patch of one. */
  readonly body:
    | { readonly kind: "put"; readonly scale: KubeObject }
    | { readonly kind: "patch"; readonly patch: PatchRequest; readonly options: WriteOptions };
}

/** What writing the Scale of `live` (the form that writes work on, frozen) makes of the object. Throws StatusError. */
export function scaled(parts: WriteParts, scope: WriteScope, live: KubeObject, write: ScaleWrite): Next {
  const { resource } = scope;
  const { specReplicas, specReplicasOf = { [resource.apiVersion]: specReplicas } } = write.paths;
  const replicasPaths: ReplicasPaths = Object.fromEntries(
    Object.entries(specReplicasOf).map(([apiVersion, path]) => [apiVersion, steps(path)]),
  );
  const before = scaleOf(live, write.paths);
  const entries = scaleEntries(live.metadata.managedFields, replicasPaths);
  const { scale, managedFields } = nextScale(parts, scope, before, entries, write);
  const replicas = (fieldsOf(scale)["spec"] as { replicas?: number } | undefined)?.replicas ?? 0;
  // Of a custom resource, its own schema judges.
  const faults = resource.declaration.custom ? [] : faultsOf(scale, replicas, live.metadata.namespace);
  if (faults.length > 0) throw invalid(gvk, write.name, faults);
  const { uid, resourceVersion } = scale.metadata;
  if (uid && uid !== live.metadata.uid) {
    const present = live.metadata.uid ?? "";
    if (write.body.kind === "put") throw anotherUid(scope, write.name, { given: uid, present });
    const { group, plural } = resource.name;
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${present}`;
    throw conflict({ group, plural: `${plural}/scale` }, write.name, why);
  }
  if (resourceVersion && !/^\d+$/.test(resourceVersion))
    throw unclassifiedError(`strconv.ParseUint: parsing ${goQuote(resourceVersion)}: invalid syntax`);
  if (resourceVersion && resourceVersion !== live.metadata.resourceVersion)
    throw staleObject(resource.name, write.name);
  const draft = cloneJson(live) as KubeObject;
  put(draft as unknown as JsonObject, write.paths.specReplicas, replicas);
  return {
    draft,
    fromPresent: !resourceVersion,
    managedFields:
      entriesAfterScale(live.metadata.managedFields, managedFields, resource.apiVersion, replicasPaths) ?? [],
  };
}

/** Upstream's ValidateScale. */
const faultsOf = ({ metadata }: KubeObject, replicas: number, namespace: string | undefined): FieldError[] => [
  ...validateKindMeta(
    { ...metadata, namespace, managedFields: undefined },
    { namespaced: true, metadataRules: "kind" },
  ),
  ...(replicas < 0
    ? [
        {
          field: "spec.replicas",
          reason: "FieldValueInvalid" as const,
          message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
        },
      ]
    : []),
];

interface NextScale {
  readonly scale: KubeObject;
  readonly managedFields: readonly ManagedFieldsEntry[] | undefined;
}

function nextScale(
  parts: WriteParts,
  scope: WriteScope,
  before: Scale,
  entries: ManagedFieldsEntry[] | undefined,
  { body, name }: ScaleWrite,
): NextScale {
  const schema = schemaFor(gvk);
  const { namespace } = before.metadata;
  const managed = {
    schema,
    apiVersion: "autoscaling/v1",
    subresource: "scale",
    manager: scope.manager,
    now: timestamp(parts),
  };
  const live = { ...before, metadata: { ...before.metadata, managedFields: entries } } as KubeObject;
  if (body.kind === "patch" && body.patch.type === "apply") {
    const config = configurationOf(body.patch);
    const applied = applyConfiguration({ ...managed, kind: "Scale", live, config, force: body.options.force === true });
    return { scale: namedFor(name, namespace, applied.object), managedFields: applied.managedFields };
  }
  const expected = { gvk, schema, custom: false };
  const scale =
    body.kind === "put"
      ? body.scale
      : namedFor(
          name,
          namespace,
          patchedObject(body.patch, fieldsOf(before), expected, body.options.fieldValidation, scope.warnings),
        );
  if (body.kind === "patch" && scale.metadata.resourceVersion === before.metadata.resourceVersion) {
    delete scale.metadata.resourceVersion;
  }
  const next = { ...scale, metadata: { ...scale.metadata, managedFields: entries } } as KubeObject;
  return { scale, managedFields: updateManagedFields({ ...managed, live, next }) };
}
