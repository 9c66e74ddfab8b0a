/** What requests take in their path and query. */
import type { GroupVersionKind } from "../object.ts";
import { type FieldFacts, modelFacts } from "../schema/facts.ts";
import { metaShortName, shortName } from "./models.ts";
import type { Parameter } from "./operation.ts";
import { modelName } from "./published-resource.ts";

type ParameterType = Parameter["type"];
const optionsOf =
  (kind: string) =>
  (name: string, type: ParameterType = "string"): Parameter => ({
    name,
    in: "query",
    type,
    model: metaShortName(kind),
  });

/** Of all requests for objects; no model of options has it, so its description stands under the name of none. */
export const pretty = optionsOf("Options")("pretty");
const createOption = optionsOf("CreateOptions");
export const writeParameters = [createOption("dryRun"), createOption("fieldManager"), createOption("fieldValidation")];
const patchOption = optionsOf("PatchOptions");
export const patchParameters = [
  createOption("dryRun"),
  patchOption("fieldManager"),
  createOption("fieldValidation"),
  patchOption("force", "boolean"),
];
const deleteOption = optionsOf("DeleteOptions");
export const deleteParameters = [
  createOption("dryRun"),
  deleteOption("gracePeriodSeconds", "integer"),
  deleteOption("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"),
  deleteOption("orphanDependents", "boolean"),
  deleteOption("propagationPolicy"),
];
const listOption = optionsOf("ListOptions");
const selectionParameters = [
  listOption("continue"),
  listOption("fieldSelector"),
  listOption("labelSelector"),
  listOption("limit", "integer"),
  listOption("resourceVersion"),
  listOption("resourceVersionMatch"),
  listOption("sendInitialEvents", "boolean"),
  listOption("timeoutSeconds", "integer"),
];
export const listParameters = [
  listOption("allowWatchBookmarks", "boolean"),
  ...selectionParameters,
  listOption("watch", "boolean"),
];
export const getParameters = [listOption("resourceVersion")];
export const deleteCollectionParameters = [...selectionParameters, ...deleteParameters];

const pathParameter = (name: string, description: string): Parameter => ({
  name,
  in: "path",
  type: "string",
  description,
});
export const nameParameter = (kind: string) => pathParameter("name", `name of the ${kind}`);
export const namespaceParameter = pathParameter(
  "namespace",
  "object name and auth scope, such as for teams and projects",
);
export const furtherPathParameter = pathParameter("path", "path to the resource");

/** Fields of a kind of options, by its facts. */
export function optionFields(options: GroupVersionKind): readonly FieldFacts[] {
  return modelFacts(shortName(modelName(options))).fields;
}

const parameterTypes: Readonly<Record<string, ParameterType>> = {
  string: "string",
  bool: "boolean",
  int32: "integer",
  int64: "integer",
};

/** Parameters for the fields of options, as far as they are plain values or lists of such. */
export function fieldParameters(options: GroupVersionKind): Parameter[] {
  const model = shortName(modelName(options));
  return optionFields(options).flatMap(({ name, type }) => {
    const value = type.kind === "list" ? type.element : type;
    const scalar = value.kind === "scalar" ? parameterTypes[value.scalar] : undefined;
    const isOfTypeMeta = name === "kind" || name === "apiVersion";
    return scalar === undefined || isOfTypeMeta ? [] : [{ name, in: "query" as const, type: scalar, model }];
  });
}
