/** The paths and operations of a resource and its subresources. */
import type { GroupVersionKind } from "../object.ts";
import { metaModel } from "./models.ts";
import type { Method, Operation, Parameter, PathItem } from "./operation.ts";
import { capitalized, identifierOf, tagOf } from "./operation-names.ts";
import {
  deleteCollectionParameters,
  deleteParameters,
  fieldParameters,
  furtherPathParameter,
  getParameters,
  listParameters,
  nameParameter,
  namespaceParameter,
  optionFields,
  patchParameters,
  pretty,
  writeParameters,
} from "./operation-parameters.ts";
import { documentName, modelName, type PublishedResource, type PublishedSubresource } from "./published-resource.ts";

const patchModel = metaModel("Patch");
export const deleteOptionsModel = metaModel("DeleteOptions");

const anything = ["*/*"];
export const objectMediaTypes = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const streamMediaTypes = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
const customMediaTypes = ["application/json", "application/yaml"];
const jsonPatch = "application/json-patch+json";
const mergePatch = "application/merge-patch+json";
const strategicMergePatch = "application/strategic-merge-patch+json";
const applyPatch = "application/apply-patch+yaml";

/** All paths of a resource, those of its subresources included. */
export function pathItems(resource: PublishedResource): PathItem[] {
  const root = `/${documentName(resource)}`;
  const { plural, namespaced, kind } = resource;
  const tag = tagOf(resource);
  const scope = namespaced ? [namespaceParameter] : [];
  const below = namespaced ? `/namespaces/{namespace}/${plural}` : `/${plural}`;
  const names = { id: identifierOf(resource), scope: namespaced ? "Namespaced" : "" };
  const items: PathItem[] = [];
  const add = (path: string, parameters: readonly Parameter[], operations: readonly Operation[]) => {
    if (operations.length > 0) items.push(withShared({ path: root + path, tag, parameters, operations }));
  };
  const lists = listOperations(resource, `list${names.id}${names.scope}${kind}`);
  add(below, scope, [...lists, ...collectionOperations(resource, names)]);
  add(`${below}/{name}`, [nameParameter(kind), ...scope], itemOperations(resource, names));
  for (const subresource of resource.subresources) {
    const path = `${below}/{name}/${subresource.name}`;
    const named = resource.custom ? kind : (subresource.body?.kind ?? kind);
    const parameters = [nameParameter(named), ...scope];
    const operations = subresourceOperations(resource, subresource, names);
    add(path, parameters, operations);
    if (takesFurtherPath(subresource)) {
      const further = operations.map((each) => ({ ...each, operationId: `${each.operationId}WithPath` }));
      add(`${path}/{path}`, [...parameters, furtherPathParameter], further);
    }
  }
  if (namespaced) add(`/${plural}`, [], listOperations(resource, `list${names.id}${kind}ForAllNamespaces`));
  // Upstream publishes these old paths of built-in resources alone.
  if (!resource.custom && resource.verbs.includes("watch")) {
    const watch = `watch${names.id}${names.scope}${kind}`;
    const lists = resource.verbs.includes("list");
    if (lists) add(`/watch${below}`, scope, [watchOperation(resource, `${watch}List`, watchesLists)]);
    add(`/watch${below}/{name}`, [nameParameter(kind), ...scope], [watchOperation(resource, watch, watchesOne)]);
    const everywhere = `watch${names.id}${kind}ListForAllNamespaces`;
    if (lists && namespaced) add(`/watch/${plural}`, [], [watchOperation(resource, everywhere, watchesLists)]);
  }
  return items;
}

const same = (one: Parameter, other: Parameter) =>
  one.name === other.name && one.in === other.in && one.model === other.model;
const byName = (one: Parameter, other: Parameter) =>
  one.name === other.name ? Number(one.in > other.in) - 0.5 : one.name < other.name ? -1 : 1;

/** What all operations of a path take stands beside them. */
function withShared(item: PathItem): PathItem {
  const [first, ...others] = item.operations;
  const shared = (first?.parameters ?? []).filter((parameter) =>
    others.every(({ parameters }) => parameters.some((each) => same(each, parameter))),
  );
  return {
    ...item,
    parameters: [...item.parameters, ...shared].sort(byName),
    operations: item.operations.map((operation) => ({
      ...operation,
      parameters: operation.parameters.filter((each) => !shared.some((other) => same(each, other))),
    })),
  };
}

interface Names {
  readonly id: string;
  readonly scope: string;
}

/** What operations of a resource have in common, by whether it is a custom one. */
function mediaTypesOf({ custom }: PublishedResource) {
  return custom
    ? { consumes: customMediaTypes, produces: customMediaTypes }
    : { consumes: anything, produces: objectMediaTypes };
}

function listOperations(resource: PublishedResource, operationId: string): Operation[] {
  const { group, version, kind, verbs, custom, listKind = `${kind}List` } = resource;
  if (!verbs.includes("list")) return [];
  const watches = !custom && verbs.includes("watch");
  return [
    {
      ...mediaTypesOf(resource),
      ...(custom ? {} : { produces: [...objectMediaTypes, ...streamMediaTypes] }),
      method: "get",
      operationId,
      description: `${watches ? "list or watch" : "list"} objects of kind ${kind}`,
      on: { action: "list", gvk: { group, version, kind } },
      parameters: [...listParameters, pretty],
      answer: modelName({ group, version, kind: listKind }),
      codes: [200],
    },
  ];
}

interface Watching {
  readonly action: string;
  readonly description: (kind: string) => string;
}

const instead = "deprecated: use the 'watch' parameter with a list operation instead";
const watchesLists: Watching = {
  action: "watchlist",
  description: (kind) => `watch individual changes to a list of ${kind}. ${instead}.`,
};
const watchesOne: Watching = {
  action: "watch",
  description: (kind) =>
    `watch changes to an object of kind ${kind}. ${instead}, filtered to a single item with the 'fieldSelector' parameter.`,
};

function watchOperation(resource: PublishedResource, operationId: string, watching: Watching): Operation {
  const { group, version, kind } = resource;
  return {
    ...mediaTypesOf(resource),
    produces: [...objectMediaTypes, ...streamMediaTypes],
    method: "get",
    operationId,
    description: watching.description(kind),
    on: { action: watching.action, gvk: { group, version, kind } },
    parameters: [...listParameters, pretty],
    answer: metaModel("WatchEvent"),
    codes: [200],
  };
}

function collectionOperations(resource: PublishedResource, { id, scope }: Names): Operation[] {
  const { group, version, kind, verbs, custom } = resource;
  const gvk = { group, version, kind };
  const operations: Operation[] = [];
  if (verbs.includes("create")) {
    operations.push(createOperation(resource, gvk, `create${id}${scope}${kind}`, `create ${withArticle(kind)}`));
  }
  if (verbs.includes("deletecollection")) {
    operations.push({
      ...mediaTypesOf(resource),
      method: "delete",
      operationId: `delete${id}Collection${scope}${kind}`,
      description: `delete collection of ${kind}`,
      on: { action: "deletecollection", gvk },
      // Upstream says so of custom resources, though it takes the same of all.
      parameters: [...(custom ? listParameters : deleteCollectionParameters), pretty],
      body: custom ? undefined : deleteOptionsModel,
      answer: metaModel("Status"),
      codes: [200],
    });
  }
  return operations;
}

/** As upstream speaks of kinds, which takes one that ends like a plural for several. */
function withArticle(kind: string): string {
  if (/(^|[^s])s$/.test(kind)) return kind;
  return `${/^[aeiou]/i.test(kind) ? "an" : "a"} ${kind}`;
}

function createOperation(
  resource: PublishedResource,
  gvk: GroupVersionKind,
  operationId: string,
  description: string,
): Operation {
  const model = modelName(gvk);
  return {
    ...mediaTypesOf(resource),
    method: "post",
    operationId,
    description,
    on: { action: "post", gvk },
    parameters: [...writeParameters, pretty],
    body: model,
    answer: model,
    codes: [200, 201, 202],
  };
}

function itemOperations(resource: PublishedResource, { id, scope }: Names): Operation[] {
  const { group, version, kind, verbs } = resource;
  const gvk = { group, version, kind };
  const operations = objectOperations(resource, verbs, {
    gvk,
    model: modelName(gvk),
    id: `${id}${scope}${kind}`,
    of: kind,
  });
  if (verbs.includes("delete")) {
    operations.push({
      ...mediaTypesOf(resource),
      method: "delete",
      operationId: `delete${id}${scope}${kind}`,
      description: `delete ${withArticle(kind)}`,
      on: { action: "delete", gvk },
      parameters: [...deleteParameters, pretty],
      body: deleteOptionsModel,
      answer: resource.answersDeleteWithObject ? modelName(gvk) : metaModel("Status"),
      codes: [200, 202],
    });
  }
  return operations;
}

interface ObjectNames {
  readonly gvk: GroupVersionKind;
  readonly model: string;
  readonly id: string;
  /** What is read and written, in words. */
  readonly of: string;
  readonly part?: string;
}

/** GET, PUT and PATCH of one object. */
function objectOperations(
  resource: PublishedResource,
  verbs: readonly string[],
  { gvk, model, id, of, part }: ObjectNames,
): Operation[] {
  const { custom } = resource;
  const what = `${part === undefined ? "" : `${part} of `}the specified ${of}`;
  const common = { ...mediaTypesOf(resource), answer: model };
  const operations: Operation[] = [];
  if (verbs.includes("get")) {
    operations.push({
      ...common,
      method: "get",
      operationId: `read${id}`,
      description: `read ${what}`,
      on: { action: "get", gvk },
      parameters: [...(custom ? getParameters : []), pretty],
      codes: [200],
    });
  }
  if (verbs.includes("update")) {
    operations.push({
      ...common,
      method: "put",
      operationId: `replace${id}`,
      description: `replace ${what}`,
      on: { action: "put", gvk },
      parameters: [...writeParameters, pretty],
      body: model,
      codes: [200, 201],
    });
  }
  if (verbs.includes("patch")) {
    operations.push({
      ...common,
      method: "patch",
      operationId: `patch${id}`,
      description: `partially update ${what}`,
      on: { action: "patch", gvk },
      parameters: [...patchParameters, pretty],
      body: patchModel,
      consumes: custom ? [jsonPatch, mergePatch, applyPatch] : [jsonPatch, mergePatch, strategicMergePatch, applyPatch],
      codes: custom ? [200] : [200, 201],
    });
  }
  return operations;
}

function subresourceOperations(
  resource: PublishedResource,
  subresource: PublishedSubresource,
  { id, scope }: Names,
): Operation[] {
  const { group, version, kind } = resource;
  const own = { group, version, kind };
  const suffix = `${scope}${kind}${capitalized(subresource.name)}`;
  if (subresource.connects) return connectOperations(kind, subresource, subresource.body ?? own, id, suffix);
  const body = subresource.body ?? own;
  // Upstream names the resource's own kind with every subresource of a custom one.
  const gvk = resource.custom ? own : body;
  const part = subresource.name;
  const operations = objectOperations(resource, subresource.verbs, {
    gvk,
    model: modelName(body),
    id: id + suffix,
    of: kind,
    part,
  });
  const { textOptions } = subresource;
  if (textOptions) return operations.map((operation) => textOperation(operation, textOptions));
  if (subresource.verbs.includes("create")) {
    operations.push(createOperation(resource, gvk, `create${id}${suffix}`, `create ${part} of ${withArticle(kind)}`));
  }
  return operations;
}

function textOperation(operation: Operation, options: GroupVersionKind): Operation {
  return {
    ...operation,
    parameters: [...fieldParameters(options), pretty],
    answer: undefined,
    produces: ["text/plain", ...objectMediaTypes],
  };
}

const connectMethods: readonly (readonly [verb: string, method: Method])[] = [
  ["get", "get"],
  ["update", "put"],
  ["create", "post"],
  ["delete", "delete"],
  ["get", "options"],
  ["get", "head"],
  ["patch", "patch"],
];

/** What is behind it has paths of its own, and is asked with any method: proxy. */
function takesFurtherPath({ connects, body }: PublishedSubresource): boolean {
  return connects === true && body !== undefined && optionFields(body).some(({ name }) => name === "path");
}

function connectOperations(
  kind: string,
  subresource: PublishedSubresource,
  gvk: GroupVersionKind,
  id: string,
  suffix: string,
): Operation[] {
  const { name, verbs } = subresource;
  const any = takesFurtherPath(subresource);
  return connectMethods
    .filter(([verb, method]) => verbs.includes(verb) && (any || (method !== "options" && method !== "head")))
    .map(([, method]) => ({
      method,
      operationId: `connect${id}${capitalized(method)}${suffix}`,
      description: `connect ${method.toUpperCase()} requests to ${name} of ${kind}`,
      on: { action: "connect", gvk },
      parameters: fieldParameters(gvk),
      consumes: anything,
      produces: anything,
      codes: [200],
    }));
}
