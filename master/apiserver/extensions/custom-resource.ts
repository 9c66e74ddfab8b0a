/** A CustomResourceDefinition as a ResourceDeclaration: everything the registry needs to serve its objects. */

import { numberToken } from "#shared/api/codec/number.ts";
import { type FieldError, forbidden } from "#shared/api/errors.ts";
import { fieldsOf, type KubeObject } from "#shared/api/object.ts";
import type { Schema } from "#shared/api/schema/schema.ts";
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
} from "#shared/api/types/apiextensions-v1.generated.ts";
import { compareVersions } from "../discovery/version-order.ts";
import type {
  FieldGetter,
  ResourceDeclaration,
  ServedVersion,
  Strategy,
  SubresourceDeclaration,
  TableColumn,
} from "../registry/declaration.ts";
import { ageColumn, nameColumn } from "../resources/columns.ts";
import { status } from "../resources/subresources.ts";
import { collect } from "../resources/validation/field.ts";
import { isQualifiedName } from "../resources/validation/names.ts";
import { versionConverter } from "./conversion.ts";
import { applyDefaults, dropUnwantedNulls } from "./defaulting.ts";
import { JsonPath, JsonPathError, printed } from "./json-path.ts";
import { checkEmbedded, checkLists, checkScale } from "./object-rules.ts";
import { RuleSet } from "./rule-set.ts";
import { resourceSchema } from "./structural-schema.ts";
import { validateValue } from "./value-validator.ts";
import type { WebhookCaller } from "./webhook-client.ts";

/** As discovery names them: in this order, and without those that make or change objects once the definition goes. */
const verbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const verbsOfTerminating = ["delete", "deletecollection", "get", "list", "watch"];

/** The declaration of an established definition, its names as they were accepted. */
export function customResource(definition: CustomResourceDefinition, webhooks: WebhookCaller): ResourceDeclaration {
  const { group, scope, versions } = definition.spec;
  const names = definition.status?.acceptedNames ?? definition.spec.names;
  const storage = versions.find((version) => version.storage) ?? versions[0];
  const { kind } = definition.spec.names;
  const schemas = new Map(versions.map(({ name, schema }) => [name, resourceSchema(schema?.openAPIV3Schema)]));
  const shared = {
    ref: {
      group,
      version: storage?.name ?? "",
      kind,
      plural: definition.spec.names.plural,
      namespaced: scope === "Namespaced",
    },
    custom: true,
    refusesNamespaceField: scope !== "Namespaced",
    discoveredVerbs: definition.metadata.deletionTimestamp === undefined ? verbs : verbsOfTerminating,
    singular: names.singular || kind.toLowerCase(),
    listKind: names.listKind || `${kind}List`,
    shortNames: names.shortNames,
    categories: names.categories,
    converter: versionConverter(definition, { schemas, webhooks }),
    schema: (version: string) => schemas.get(version),
    published: (version: string) => publishedOf(versions.find(({ name }) => name === version)),
  };
  const declarations = versions.map((version) => ofVersion(shared, definition, version, schemas.get(version.name)));
  const served = versions.map(
    (version, index): ServedVersion => ({
      version: version.name,
      served: version.served,
      deprecationWarning: version.deprecated ? deprecationOf(definition, version) : undefined,
      declaration: { ...(declarations[index] ?? shared), versions: plainVersions(versions) },
    }),
  );
  const stored = declarations[storage ? versions.indexOf(storage) : 0] ?? shared;
  return { ...stored, versions: served };
}

const plainVersions = (versions: readonly CustomResourceDefinitionVersion[]): ServedVersion[] =>
  versions.map(({ name, served }) => ({ version: name, served }));

function publishedOf(version: CustomResourceDefinitionVersion | undefined) {
  return {
    schema: version?.schema?.openAPIV3Schema,
    selectableFields: version?.selectableFields?.map(({ jsonPath }) => jsonPath),
  };
}

function deprecationOf({ spec }: CustomResourceDefinition, version: CustomResourceDefinitionVersion): string {
  if (version.deprecationWarning !== undefined) return version.deprecationWarning;
  const { kind } = spec.names;
  const better = spec.versions
    .filter(({ served, deprecated, name }) => served && !deprecated && compareVersions(name, version.name) < 0)
    .map(({ name }) => name)
    .sort(compareVersions)[0];
  const message = `${spec.group}/${version.name} ${kind} is deprecated`;
  return better === undefined ? message : `${message}; use ${spec.group}/${better} ${kind}`;
}

function ofVersion(
  shared: Omit<ResourceDeclaration, "strategy">,
  definition: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  schema: Schema | undefined,
): ResourceDeclaration {
  return {
    ...shared,
    subresources: subresourcesOf(version, definition),
    columns: columnsOf(version.additionalPrinterColumns),
    selectableFields: selectableFieldsOf(version),
    strategy: strategyOf(definition, version, schema),
  };
}

function subresourcesOf(
  { subresources }: CustomResourceDefinitionVersion,
  { spec }: CustomResourceDefinition,
): Record<string, SubresourceDeclaration> {
  const served: Record<string, SubresourceDeclaration> = {};
  if (subresources?.status) served["status"] = status;
  const { scale } = subresources ?? {};
  if (scale) {
    served["scale"] = {
      verbs: ["get", "patch", "update"],
      body: { group: "autoscaling", version: "v1", kind: "Scale" },
      scale: {
        specReplicas: scale.specReplicasPath ?? "",
        statusReplicas: scale.statusReplicasPath ?? "",
        labelSelector: scale.labelSelectorPath || undefined,
        specReplicasOf: Object.fromEntries(
          spec.versions.flatMap(({ name, subresources: other }) =>
            other?.scale ? [[`${spec.group}/${name}`, other.scale.specReplicasPath ?? ""]] : [],
          ),
        ),
      },
    };
  }
  return served;
}

function columnsOf(columns: readonly CustomResourceColumnDefinition[] | undefined): TableColumn<KubeObject>[] {
  if (!columns || columns.length === 0) return [nameColumn, ageColumn];
  return [nameColumn, ...columns.map(columnOf)];
}

function columnOf(column: CustomResourceColumnDefinition): TableColumn<KubeObject> {
  const { name = "", type = "string", format, description, priority, jsonPath = "" } = column;
  const path = columnPath(jsonPath);
  return {
    name,
    type: type as TableColumn<KubeObject>["type"],
    format,
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority,
    value: (object) => cellOf(path?.find(object)[0], type),
  };
}

/** undefined for one that cannot be read: definitions may have any, and such a column stays empty. */
function columnPath(text: string): JsonPath | undefined {
  try {
    return JsonPath.parse(text);
  } catch (error) {
    if (error instanceof JsonPathError) return undefined;
    throw error;
  }
}

function cellOf(value: unknown, type: string): string | number | boolean | undefined {
  if (value === undefined || value === null) return undefined;
  const token = numberToken(value);
  switch (type) {
    case "string":
      return printed(value);
    case "integer":
      return token === undefined ? undefined : Math.trunc(Number(token));
    case "number":
      return token === undefined ? undefined : Number(token);
    case "boolean":
      return typeof value === "boolean" ? value : undefined;
    case "date":
      return typeof value === "string" ? value : undefined;
    default:
      return undefined;
  }
}

function selectableFieldsOf({
  selectableFields,
}: CustomResourceDefinitionVersion): Record<string, FieldGetter<KubeObject>> {
  const getters = (selectableFields ?? []).map(({ jsonPath }): [string, FieldGetter<KubeObject>] => {
    const path = JsonPath.parse(jsonPath);
    return [
      jsonPath.replace(/^\./, ""),
      (object) => {
        const [value] = path.find(object);
        return value === undefined || value === null ? "" : printed(value);
      },
    ];
  });
  return Object.fromEntries(getters);
}

/** Errors after which rules are not evaluated: they are written for values of the right shape. */
const blocking = new Set([
  "FieldValueNotSupported",
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
]);

const unchecked: FieldError = {
  field: "<nil>",
  reason: "FieldValueInvalid",
  message:
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
};

function strategyOf(
  definition: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  schema: Schema | undefined,
): Strategy {
  const hasStatus = version.subresources?.status !== undefined;
  const { group, names } = definition.spec;
  const isTerminating = definition.metadata.deletionTimestamp !== undefined;
  return {
    hasStatus,
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    generationBasis: (object) => basisOf(object, hasStatus),
    dropNulls: (draft) => dropUnwantedNulls(draft, schema),
    applyDefaults: (draft) => applyDefaults(draft, schema),
    prepareForCreate({ metadata }) {
      const why = "create not allowed while custom resource definition is terminating";
      if (isTerminating) throw forbidden({ group, plural: names.plural }, metadata.name ?? "", why);
    },
    ...validationOf(version, schema),
    warnings: (object, old) => finalizerWarnings(object, old),
  };
}

/** Objects are judged by the schema as it is written, by what no schema says (lists, embedded resources, scales), and by its CEL
 *  rules. */
function validationOf(
  version: CustomResourceDefinitionVersion,
  schema: Schema | undefined,
): Required<Pick<Strategy, "validate" | "validateUpdate" | "validateStatusUpdate">> {
  const written = version.schema?.openAPIV3Schema ?? {};
  const scale = version.subresources?.scale;
  const rules = RuleSet.of(written);
  const judged = (errors: FieldError[], object: KubeObject, old?: KubeObject, warn?: (text: string) => void) => {
    if (!rules) return errors;
    // A name that is missing is said elsewhere, but blocks as well.
    if (!object.metadata.name || errors.some(({ reason }) => blocking.has(reason))) return [...errors, unchecked];
    return [...errors, ...rules.check(object, old, warn)];
  };
  const scaleErrors = (object: KubeObject, part: "all" | "status"): FieldError[] =>
    collect((root) => checkScale(object, scale, root, part));
  const embeddedErrors = (object: KubeObject): FieldError[] => collect((root) => checkEmbedded(object, schema, root));
  const listErrors = (object: KubeObject): FieldError[] => collect((root) => checkLists(object, schema, root));
  /** Lists that were wrong before are borne with. */
  const newListErrors = (object: KubeObject, old: KubeObject): FieldError[] =>
    listErrors(old).length > 0 ? [] : listErrors(object);
  return {
    validate(object) {
      const shape = validateValue(written, object);
      return judged(
        [...shape, ...scaleErrors(object, "all"), ...embeddedErrors(object), ...listErrors(object)],
        object,
      );
    },
    validateUpdate(object, old, warn) {
      const shape = validateValue(written, object, "", { value: old });
      const further = [...scaleErrors(object, "all"), ...embeddedErrors(object), ...newListErrors(object, old)];
      return judged([...shape, ...further], object, old, warn);
    },
    validateStatusUpdate(object, old, warn) {
      const shape = statusErrors(written, object, old);
      return judged([...shape, ...scaleErrors(object, "status"), ...newListErrors(object, old)], object, old, warn);
    },
  };
}

type Written = NonNullable<NonNullable<CustomResourceDefinitionVersion["schema"]>["openAPIV3Schema"]>;

/** The status by its own part of the schema. */
function statusErrors(written: Written, object: KubeObject, old: KubeObject): FieldError[] {
  const schema = written.properties?.["status"];
  const value = fieldsOf(object)["status"];
  if (!schema || value === undefined) return [];
  const before = { value: fieldsOf(old)["status"] };
  return validateValue(schema, value, "", before).map((error) => ({
    ...error,
    field: error.field === "<nil>" ? "status" : `status.${error.field}`,
  }));
}

function basisOf(object: KubeObject, hasStatus: boolean): unknown {
  const { metadata: _, status: state, ...rest } = fieldsOf(object);
  return hasStatus || state === undefined ? rest : { ...rest, status: state };
}

const standardFinalizers = ["orphan", "foregroundDeletion", "kubernetes"];

function finalizerWarnings({ metadata }: KubeObject, old: KubeObject | undefined): string[] {
  const known = new Set(old?.metadata.finalizers);
  const added = [...new Set(metadata.finalizers)].filter((each) => !known.has(each)).sort();
  return added.flatMap((name) => {
    const shown = `metadata.finalizers: ${JSON.stringify(name)}`;
    const warnings = isQualifiedName(name).map((problem) => `${shown}: ${problem}`);
    if (name.includes("/") || standardFinalizers.includes(name)) return warnings;
    const path = name.includes(".") ? " including a path (/)" : "";
    return [
      ...warnings,
      `${shown}: prefer a domain-qualified finalizer name${path} to avoid accidental conflicts with other finalizer writers`,
    ];
  });
}
