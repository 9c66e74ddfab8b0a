/**
 * OpenAPI documents as lists of members, each rendered when it is asked for, so that neither a whole document is ever
 * held as objects nor an event loop kept busy: the publisher waits between members.
 */

import { renderCustomModels } from "./custom-resource.ts";
import type { Descriptions } from "./descriptions.ts";
import {
  type Dialect,
  type DocumentKind,
  type JsonObject,
  metaShortName,
  publishedName,
  reachableModels,
  reference,
  renderModel,
  shortName,
} from "./models.ts";
import type { Operation, Parameter, PathItem } from "./operation.ts";
import { deleteOptionsModel } from "./operations.ts";
import { customModelNames, type OtherNames, type PublishedResource } from "./published-resource.ts";
import type { SharedParameters } from "./shared-parameters.ts";

const answerTexts: Readonly<Record<number, string>> = { 200: "OK", 201: "Created", 202: "Accepted" };
const unauthorized = { description: "Unauthorized" } as const;

/** One member of `paths`, `definitions` or `components.schemas`. */
export interface Member {
  readonly name: string;
  render(): JsonObject;
}

/** The JSON text of a member. */
export function memberText({ name, render }: Member): string {
  return `${JSON.stringify(name)}:${JSON.stringify(render())}`;
}

const bearerToken = {
  description: "Bearer Token authentication",
  type: "apiKey",
  name: "authorization",
  in: "header",
} as const;

export interface Info {
  readonly title: string;
  readonly version: string;
}

/** Upstream makes the documents of custom resources apart. */
export const customInfo: Info = { title: "Kubernetes CRD Swagger", version: "v0.1.0" };

/** `components.securitySchemes` of a document of OpenAPI 3.0. */
export function v3Security(info: Info): Readonly<Record<string, typeof bearerToken>> {
  return info === customInfo ? {} : { BearerToken: bearerToken };
}

/** A document of OpenAPI 3.0 around its paths and models. */
export function v3Text(info: Info, paths: readonly string[], models: readonly string[]): string {
  const components = [
    ...(models.length > 0 ? [`"schemas":{${models.join(",")}}`] : []),
    ...(info === customInfo ? [] : [`"securitySchemes":${JSON.stringify(v3Security(info))}`]),
  ];
  return [
    `{"openapi":"3.0.0","info":${JSON.stringify(info)},"paths":{`,
    paths.join(","),
    `},"components":{${components.join(",")}}}`,
  ].join("");
}

/** What a document of OpenAPI 2.0 holds beside paths, definitions and parameters. */
export function v2Head(info: Info) {
  return {
    swagger: "2.0",
    info,
    securityDefinitions: { BearerToken: bearerToken },
    security: [{ BearerToken: [] as string[] }],
  } as const;
}

/** A document of OpenAPI 2.0 around its paths, definitions and shared parameters. */
export function v2Text(
  head: Info,
  paths: readonly string[],
  models: readonly string[],
  parameters: readonly string[],
): string {
  const { swagger, info, ...security } = v2Head(head);
  return [
    `${JSON.stringify({ swagger, info }).slice(0, -1)},"paths":{`,
    paths.join(","),
    '},"definitions":{',
    models.join(","),
    '},"parameters":{',
    parameters.join(","),
    `},${JSON.stringify(security).slice(1)}`,
  ].join("");
}

export function v3PathMembers(items: readonly PathItem[], descriptions: Descriptions): Member[] {
  return items.map((item) => ({ name: item.path, render: () => v3PathItem(item, descriptions) }));
}

/** What many paths have in common is found in `shared` once they are rendered. */
export function v2PathMembers(
  items: readonly PathItem[],
  descriptions: Descriptions,
  shared: SharedParameters,
): Member[] {
  return items.map((item) => ({ name: item.path, render: () => v2PathItem(item, descriptions, shared) }));
}

/** Models that paths reach, each once, those of the custom resources among them. */
export function modelMembers(
  items: readonly PathItem[],
  resources: readonly PublishedResource[],
  kind: DocumentKind,
  descriptions: Descriptions,
  names: OtherNames = new Map(),
): Member[] {
  const customs = resources.filter(({ custom }) => custom);
  const builtIn = reachableModels(builtInRoots(items, customs, names)).map((model) => ({
    name: publishedName(model),
    render: () => renderModel(model, kind, descriptions),
  }));
  const custom = customs
    .flatMap((resource) => renderCustomModels(resource, kind.dialect, names))
    .map(([name, schema]) => ({ name, render: () => schema }));
  return [...builtIn, ...custom];
}

/**
 * In a document of all resources a custom model may come to have the name of a built-in one. That stays what it is, and the
 * custom one is called `NAME_v2`, as upstream's aggregator has it.
 * @param items of the built-in resources
 */
export function namesBesideBuiltIn(items: readonly PathItem[], resources: readonly PublishedResource[]): OtherNames {
  const customs = resources.filter(({ custom }) => custom).flatMap(customModelNames);
  // Whatever a built-in model is called.
  const asked = customs.filter((name) => name.startsWith("io.k8s."));
  if (asked.length === 0) return new Map();
  const roots = [...builtInRoots(items, [], new Map()), ...metaRoots];
  const builtIn = new Set(reachableModels(roots).map(publishedName));
  return new Map(asked.filter((name) => builtIn.has(name)).map((name) => [name, `${name}_v2`]));
}

/** Paths whose operations take and give models under these names. */
export function withNames(items: readonly PathItem[], names: OtherNames): readonly PathItem[] {
  if (names.size === 0) return items;
  const named = (model: string | undefined): string | undefined => names.get(model ?? "") ?? model;
  return items.map((item) => ({
    ...item,
    operations: item.operations.map((each) => ({ ...each, body: named(each.body), answer: named(each.answer) })),
  }));
}

const metaRoots = ["ObjectMeta", "ListMeta"].map(metaShortName);

/** Short names of the built-in models that operations name, and those that custom ones are made of. */
function builtInRoots(
  items: readonly PathItem[],
  customs: readonly PublishedResource[],
  names: OtherNames,
): Set<string> {
  const own = new Set(customs.flatMap(customModelNames).map((name) => names.get(name) ?? name));
  const roots = new Set(customs.length > 0 ? metaRoots : []);
  for (const { operations } of items) {
    for (const { body, answer } of operations) {
      for (const model of [body, answer]) if (model !== undefined && !own.has(model)) roots.add(shortName(model));
    }
  }
  return roots;
}

function descriptionOf({ name, description, model }: Parameter, descriptions: Descriptions): JsonObject {
  const text = description ?? (model === undefined ? undefined : descriptions.of(model)[name]);
  return text === undefined ? {} : { description: text };
}

function v3PathItem(item: PathItem, descriptions: Descriptions): JsonObject {
  const parameterOf = (parameter: Parameter) => v3Parameter(parameter, descriptions);
  const rendered: JsonObject = {};
  for (const operation of item.operations) rendered[operation.method] = v3Operation(operation, item.tag, parameterOf);
  if (item.parameters.length > 0) rendered["parameters"] = item.parameters.map(parameterOf);
  return rendered;
}

function v3Parameter(parameter: Parameter, descriptions: Descriptions): JsonObject {
  const { name, in: place, type } = parameter;
  return {
    name,
    in: place,
    ...descriptionOf(parameter, descriptions),
    ...(place === "path" ? { required: true } : {}),
    schema: { type, uniqueItems: true },
  };
}

function v3Operation(operation: Operation, tag: string, parameterOf: (parameter: Parameter) => JsonObject): JsonObject {
  const { operationId, description, parameters, body } = operation;
  const rendered: JsonObject = { tags: [tag], description, operationId };
  if (parameters.length > 0) rendered["parameters"] = parameters.map(parameterOf);
  if (body !== undefined) {
    const content = contentOf(operation.consumes ?? [], body);
    rendered["requestBody"] = body === deleteOptionsModel ? { content } : { content, required: true };
  }
  const content = contentOf(operation.produces, operation.answer);
  rendered["responses"] = Object.fromEntries([
    ...operation.codes.map((code) => [code, { description: answerTexts[code], content }]),
    [401, unauthorized],
  ]);
  return { ...rendered, ...extensionsOf(operation) };
}

function contentOf(mediaTypes: readonly string[], model: string | undefined): JsonObject {
  const schema = schemaOf(model, "v3");
  return Object.fromEntries(mediaTypes.toSorted().map((type) => [type, { schema }]));
}

function schemaOf(model: string | undefined, dialect: Dialect): JsonObject {
  return model === undefined ? { type: "string" } : { $ref: reference(dialect, model) };
}

function extensionsOf({ on }: Operation): JsonObject {
  return on ? { "x-kubernetes-action": on.action, "x-kubernetes-group-version-kind": on.gvk } : {};
}

function v2PathItem(item: PathItem, descriptions: Descriptions, shared: SharedParameters): JsonObject {
  const parameterOf = (parameter: Parameter) => shared.sharing(v2Parameter(parameter, descriptions));
  const rendered: JsonObject = {};
  for (const operation of item.operations) {
    const parameters = operation.parameters.map(parameterOf);
    if (operation.body !== undefined) parameters.unshift(shared.sharing(v2Body(operation.body)));
    rendered[operation.method] = v2Operation(operation, item.tag, parameters);
  }
  if (item.parameters.length > 0) rendered["parameters"] = item.parameters.map(parameterOf);
  return rendered;
}

function v2Parameter(parameter: Parameter, descriptions: Descriptions): JsonObject {
  const { name, in: place, type } = parameter;
  return {
    uniqueItems: true,
    type,
    ...descriptionOf(parameter, descriptions),
    name,
    in: place,
    ...(place === "path" ? { required: true } : {}),
  };
}

function v2Body(model: string): JsonObject {
  const required = model === deleteOptionsModel ? {} : { required: true };
  return { name: "body", in: "body", ...required, schema: schemaOf(model, "v2") };
}

function v2Operation(operation: Operation, tag: string, parameters: readonly JsonObject[]): JsonObject {
  const { operationId, description, consumes, produces, answer } = operation;
  const rendered: JsonObject = { description };
  if (consumes) rendered["consumes"] = consumes;
  Object.assign(rendered, { produces, schemes: ["https"], tags: [tag], operationId });
  if (parameters.length > 0) rendered["parameters"] = parameters;
  const schema = schemaOf(answer, "v2");
  rendered["responses"] = Object.fromEntries([
    ...operation.codes.map((code) => [code, { description: answerTexts[code], schema }]),
    [401, unauthorized],
  ]);
  return { ...rendered, ...extensionsOf(operation) };
}
