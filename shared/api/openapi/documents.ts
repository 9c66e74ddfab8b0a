/**
 * OpenAPI documents as lists of members, each rendered when it is asked for, so that neither a whole document is ever
 * held as objects nor an event loop kept busy: the publisher waits between members.
 */

import { renderCustomModels } from "./custom-resource.ts";
import type { Descriptions } from "./descriptions.ts";
import {
  type Dialect,
  type JsonObject,
  publishedName,
  reachableModels,
  reference,
  renderModel,
  shortName,
} from "./models.ts";
import {
  deleteOptionsModel,
  type Operation,
  type Parameter,
  type PathItem,
  patchModel,
  pathItems,
} from "./operations.ts";
import { customModelName, type PublishedResource } from "./published-resource.ts";

export interface GroupVersionName {
  readonly group: string;
  readonly version: string;
}

const mediaTypes = ["application/json", "application/vnd.kubernetes.protobuf", "application/yaml"];
const watchMediaTypes = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
const customMediaTypes = ["application/json", "application/yaml"];
const patchMediaTypes = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];
const answerTexts: Readonly<Record<number, string>> = { 200: "OK", 201: "Created", 202: "Accepted" };

/** One member of `paths`, `definitions` or `components.schemas`. */
export interface Member {
  readonly name: string;
  render(): JsonObject;
}

/** The JSON text of a member. */
export function memberText({ name, render }: Member): string {
  return `${JSON.stringify(name)}:${JSON.stringify(render())}`;
}

/** Text around two lists of members. */
export interface Frame {
  readonly before: string;
  readonly between: string;
  readonly after: string;
}

const bearerToken = {
  description: "Bearer Token authentication",
  type: "apiKey",
  name: "authorization",
  in: "header",
} as const;

/** Around `paths` and `components.schemas` of a document of OpenAPI 3.0. */
export function v3Frame(version: string): Frame {
  return {
    before: `{"openapi":"3.0.0","info":${JSON.stringify({ title: "Kubernetes", version })},"paths":{`,
    between: '},"components":{"schemas":{',
    after: `},"securitySchemes":${JSON.stringify({ BearerToken: bearerToken })}}}`,
  };
}

/** What a document of OpenAPI 2.0 holds beside `paths` and `definitions`. */
export function v2Head(version: string) {
  return {
    swagger: "2.0",
    info: { title: "Kubernetes", version },
    securityDefinitions: { BearerToken: bearerToken },
    security: [{ BearerToken: [] as string[] }],
  } as const;
}

/** Around `paths` and `definitions` of a document of OpenAPI 2.0. */
export function v2Frame(version: string): Frame {
  const { swagger, info, ...security } = v2Head(version);
  return {
    before: `${JSON.stringify({ swagger, info }).slice(0, -1)},"paths":{`,
    between: '},"definitions":{',
    after: `},${JSON.stringify(security).slice(1)}`,
  };
}

/** Paths of some resources. */
export function pathMembers(resources: readonly PublishedResource[], dialect: Dialect): Member[] {
  const renderItem = dialect === "v3" ? v3PathItem : v2PathItem;
  return resources.flatMap((resource) =>
    pathItems(resource).map((item) => ({ name: item.path, render: () => renderItem(item, resource) })),
  );
}

/** Models that the paths of some resources reach, each once. `served` lists all group versions of the server. */
export function modelMembers(
  resources: readonly PublishedResource[],
  served: readonly GroupVersionName[],
  dialect: Dialect,
  descriptions: Descriptions,
): Member[] {
  const roots = new Set(resources.flatMap(builtInRoots));
  const builtIn = reachableModels(roots).map((model) => ({
    name: publishedName(model),
    render: () => renderModel(model, dialect, served, descriptions),
  }));
  const custom = resources
    .filter((resource) => resource.custom)
    .flatMap((resource) => renderCustomModels(resource, dialect))
    .map(([name, schema]) => ({ name, render: () => schema }));
  return [...builtIn, ...custom];
}

const metaRoots = ["ObjectMeta", "ListMeta"].map((model) => `apimachinery.pkg.apis.meta.v1.${model}`);

/** Short names of the built-in models that a resource's operations name. */
function builtInRoots(resource: PublishedResource): string[] {
  const { group, version, kind, listKind = `${kind}List`, custom } = resource;
  const own = custom ? [kind, listKind].map((name) => customModelName({ group, version, kind: name })) : [];
  const named = pathItems(resource).flatMap(({ operations }) =>
    operations.flatMap(({ body, answer }) => [body, answer]),
  );
  const builtIn = named.filter((model) => model !== undefined && !own.includes(model)) as string[];
  return [...builtIn.map(shortName), ...(custom ? metaRoots : [])];
}

function v3PathItem(item: PathItem, resource: PublishedResource): JsonObject {
  const rendered: JsonObject = {};
  for (const operation of item.operations) rendered[operation.method] = v3Operation(operation, item, resource);
  rendered["parameters"] = [
    ...item.pathParameters.map((name) => ({ ...v3Parameter({ name, type: "string" }), in: "path", required: true })),
    v3Parameter({ name: "pretty", type: "string" }),
  ];
  return rendered;
}

function v3Parameter({ name, type }: Parameter): JsonObject {
  return { name, in: "query", schema: { type, uniqueItems: true } };
}

function v3Operation(operation: Operation, item: PathItem, resource: PublishedResource): JsonObject {
  const { operationId, action, gvk, parameters, body } = operation;
  const rendered: JsonObject = { tags: [item.tag], operationId };
  if (parameters.length > 0) rendered["parameters"] = parameters.map(v3Parameter);
  if (body !== undefined) {
    const content = Object.fromEntries(
      bodyMediaTypes(body, resource).map((type) => [type, { schema: { $ref: reference("v3", body) } }]),
    );
    rendered["requestBody"] = body === deleteOptionsModel ? { content } : { content, required: true };
  }
  rendered["responses"] = Object.fromEntries([
    ...operation.codes.map((code) => [code, v3Answer(operation, code, resource)]),
    [401, { description: "Unauthorized" }],
  ]);
  return { ...rendered, "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk };
}

function bodyMediaTypes(body: string, { custom }: PublishedResource): readonly string[] {
  if (body !== patchModel) return custom ? customMediaTypes : ["*/*"];
  return custom ? patchMediaTypes.slice(0, 3) : patchMediaTypes;
}

function answerMediaTypes({ action }: Operation, { custom }: PublishedResource): readonly string[] {
  const types = custom ? customMediaTypes : mediaTypes;
  return action === "list" && !custom ? [...types, ...watchMediaTypes] : types;
}

function v3Answer(operation: Operation, code: number, resource: PublishedResource): JsonObject {
  const { answer } = operation;
  const schema = answer === undefined ? { type: "string" } : { $ref: reference("v3", answer) };
  const types = answer === undefined ? ["*/*"] : answerMediaTypes(operation, resource);
  return {
    description: answerTexts[code],
    content: Object.fromEntries(types.map((type) => [type, { schema }])),
  };
}

function v2PathItem(item: PathItem, resource: PublishedResource): JsonObject {
  const rendered: JsonObject = {};
  for (const operation of item.operations) rendered[operation.method] = v2Operation(operation, item, resource);
  rendered["parameters"] = [
    ...item.pathParameters.map((name) => ({ ...v2Parameter({ name, type: "string" }), in: "path", required: true })),
    v2Parameter({ name: "pretty", type: "string" }),
  ];
  return rendered;
}

function v2Parameter({ name, type }: Parameter): JsonObject {
  return { uniqueItems: true, type, name, in: "query" };
}

function v2Operation(operation: Operation, item: PathItem, resource: PublishedResource): JsonObject {
  const { operationId, action, gvk, parameters, body, answer } = operation;
  const all: JsonObject[] = parameters.map(v2Parameter);
  if (body !== undefined) {
    const schema = { $ref: reference("v2", body) };
    all.unshift(
      body === deleteOptionsModel
        ? { name: "body", in: "body", schema }
        : { name: "body", in: "body", required: true, schema },
    );
  }
  const schema = answer === undefined ? { type: "string" } : { $ref: reference("v2", answer) };
  const rendered: JsonObject = {
    consumes: body === undefined ? ["*/*"] : bodyMediaTypes(body, resource),
    produces: answer === undefined ? ["*/*"] : answerMediaTypes(operation, resource),
    schemes: ["https"],
    tags: [item.tag],
    operationId,
  };
  if (all.length > 0) rendered["parameters"] = all;
  rendered["responses"] = Object.fromEntries([
    ...operation.codes.map((code) => [code, { description: answerTexts[code], schema }]),
    [401, { description: "Unauthorized" }],
  ]);
  return { ...rendered, "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk };
}
