/** The operations of a resource, in the terms that both dialects of OpenAPI are rendered from. */
import type { GroupVersionKind } from "../object.ts";
import { modelOfKind } from "../schema/facts.ts";
import { publishedName } from "./models.ts";
import {
  customModelName,
  documentName,
  type PublishedResource,
  type PublishedSubresource,
} from "./published-resource.ts";

export type Method = "get" | "post" | "put" | "patch" | "delete";

export interface Parameter {
  readonly name: string;
  readonly type: "string" | "integer" | "boolean";
}

export interface Operation {
  readonly method: Method;
  readonly operationId: string;
  /** x-kubernetes-action */
  readonly action: string;
  readonly gvk: GroupVersionKind;
  readonly parameters: readonly Parameter[];
  /** Model of the request's body; `patch` has one of its own, DELETE's is optional. */
  readonly body?: string | undefined;
  /** Model of the answer; absent: text. */
  readonly answer?: string | undefined;
  readonly codes: readonly number[];
}

export interface PathItem {
  readonly path: string;
  readonly tag: string;
  readonly pathParameters: readonly string[];
  readonly operations: readonly Operation[];
}

const metaModel = (name: string) => publishedName(`apimachinery.pkg.apis.meta.v1.${name}`);
export const patchModel = metaModel("Patch");
export const deleteOptionsModel = metaModel("DeleteOptions");

const text = (name: string): Parameter => ({ name, type: "string" });
const number = (name: string): Parameter => ({ name, type: "integer" });
const flag = (name: string): Parameter => ({ name, type: "boolean" });

const createParameters = [text("dryRun"), text("fieldManager"), text("fieldValidation")];
const patchParameters = [...createParameters, flag("force")];
const deleteParameters = [
  text("dryRun"),
  number("gracePeriodSeconds"),
  flag("ignoreStoreReadErrorWithClusterBreakingPotential"),
  flag("orphanDependents"),
  text("propagationPolicy"),
];
const selectionParameters = [
  text("continue"),
  text("fieldSelector"),
  text("labelSelector"),
  number("limit"),
  text("resourceVersion"),
  text("resourceVersionMatch"),
  flag("sendInitialEvents"),
  number("timeoutSeconds"),
];
const listParameters = [flag("allowWatchBookmarks"), ...selectionParameters, flag("watch")];
const deleteCollectionParameters = [...selectionParameters, ...deleteParameters];

/** `RbacAuthorizationV1`, `CoreV1`, `StableExampleComV1`: a group version within an operation's identifier. */
function identifierOf({ group, version }: { readonly group: string; readonly version: string }): string {
  const labels = group === "" ? ["core"] : group.replace(/\.k8s\.io$/, "").split(".");
  return [...labels, version].map(capitalized).join("");
}

/** Tag of a group version's operations, `rbacAuthorization_v1`. */
export function tagOf({ group, version }: { readonly group: string; readonly version: string }): string {
  const labels = group === "" ? ["core"] : group.replace(/\.k8s\.io$/, "").split(".");
  return `${labels.map((label, index) => (index === 0 ? label : capitalized(label))).join("")}_${version}`;
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** Published name of the model of a kind; for a kind of no facts that of a custom resource. */
function modelName(gvk: GroupVersionKind): string {
  const model = modelOfKind(gvk);
  return model === undefined ? customModelName(gvk) : publishedName(model);
}

/** All paths of a resource, those of its subresources included. */
export function pathItems(resource: PublishedResource): PathItem[] {
  const root = `/${documentName(resource)}`;
  const names = {
    tag: tagOf(resource),
    id: identifierOf(resource),
    scope: resource.namespaced ? "Namespaced" : "",
  };
  const prefix = resource.namespaced ? `${root}/namespaces/{namespace}` : root;
  const scopeParameters = resource.namespaced ? ["namespace"] : [];
  const items: PathItem[] = [
    {
      path: `${prefix}/${resource.plural}`,
      tag: names.tag,
      pathParameters: scopeParameters,
      operations: collectionOperations(resource, names),
    },
    {
      path: `${prefix}/${resource.plural}/{name}`,
      tag: names.tag,
      pathParameters: ["name", ...scopeParameters],
      operations: itemOperations(resource, names),
    },
  ];
  for (const subresource of resource.subresources) {
    const path = `${prefix}/${resource.plural}/{name}/${subresource.name}`;
    const pathParameters = ["name", ...scopeParameters];
    items.push({
      path,
      tag: names.tag,
      pathParameters,
      operations: subresourceOperations(resource, subresource, names),
    });
  }
  if (resource.namespaced && resource.verbs.includes("list")) {
    const list = collectionOperations(resource, names).filter(({ action }) => action === "list");
    const operationId = `list${names.id}${resource.kind}ForAllNamespaces`;
    items.push({
      path: `${root}/${resource.plural}`,
      tag: names.tag,
      pathParameters: [],
      operations: list.map((operation) => ({ ...operation, operationId })),
    });
  }
  return items.filter(({ operations }) => operations.length > 0);
}

interface Names {
  readonly id: string;
  readonly scope: string;
}

function collectionOperations(resource: PublishedResource, { id, scope }: Names): Operation[] {
  const { group, version, kind, verbs } = resource;
  const gvk = { group, version, kind };
  const model = modelName(gvk);
  const listModel = modelName({ group, version, kind: resource.listKind ?? `${kind}List` });
  const operations: Operation[] = [];
  if (verbs.includes("list")) {
    operations.push({
      method: "get",
      operationId: `list${id}${scope}${kind}`,
      action: "list",
      gvk,
      parameters: listParameters,
      answer: listModel,
      codes: [200],
    });
  }
  if (verbs.includes("create")) {
    operations.push({
      method: "post",
      operationId: `create${id}${scope}${kind}`,
      action: "post",
      gvk,
      parameters: createParameters,
      body: model,
      answer: model,
      codes: [200, 201, 202],
    });
  }
  if (verbs.includes("deletecollection")) {
    operations.push({
      method: "delete",
      operationId: `delete${id}Collection${scope}${kind}`,
      action: "deletecollection",
      gvk,
      parameters: deleteCollectionParameters,
      body: deleteOptionsModel,
      answer: metaModel("Status"),
      codes: [200],
    });
  }
  return operations;
}

function itemOperations(resource: PublishedResource, { id, scope }: Names): Operation[] {
  const { group, version, kind, verbs } = resource;
  const gvk = { group, version, kind };
  const operations = objectOperations(verbs, gvk, modelName(gvk), `${id}${scope}${kind}`);
  if (verbs.includes("delete")) {
    operations.push({
      method: "delete",
      operationId: `delete${id}${scope}${kind}`,
      action: "delete",
      gvk,
      parameters: deleteParameters,
      body: deleteOptionsModel,
      answer: metaModel("Status"),
      codes: [200, 202],
    });
  }
  return operations;
}

/** GET, PUT and PATCH of one object. */
function objectOperations(verbs: readonly string[], gvk: GroupVersionKind, model: string, id: string): Operation[] {
  const operations: Operation[] = [];
  const common = { gvk, answer: model };
  if (verbs.includes("get")) {
    operations.push({
      ...common,
      method: "get",
      operationId: `read${id}`,
      action: "get",
      parameters: [],
      codes: [200],
    });
  }
  if (verbs.includes("update")) {
    const operation = { method: "put", operationId: `replace${id}`, action: "put", body: model } as const;
    operations.push({ ...common, ...operation, parameters: createParameters, codes: [200, 201] });
  }
  if (verbs.includes("patch")) {
    const operation = { method: "patch", operationId: `patch${id}`, action: "patch", body: patchModel } as const;
    operations.push({ ...common, ...operation, parameters: patchParameters, codes: [200, 201] });
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
  if (subresource.connects) return connectOperations(subresource, subresource.body ?? own, id, suffix);
  const gvk = subresource.body ?? own;
  const model = modelName(gvk);
  const operations = objectOperations(subresource.verbs, gvk, model, id + suffix);
  if (subresource.verbs.includes("create")) {
    operations.push({
      method: "post",
      operationId: `create${id}${suffix}`,
      action: "post",
      gvk,
      parameters: createParameters,
      body: model,
      answer: model,
      codes: [200, 201, 202],
    });
  }
  return operations;
}

const connectMethods: readonly (readonly [verb: string, method: Method])[] = [
  ["get", "get"],
  ["create", "post"],
  ["update", "put"],
  ["patch", "patch"],
  ["delete", "delete"],
];

function connectOperations(
  { verbs }: PublishedSubresource,
  gvk: GroupVersionKind,
  id: string,
  suffix: string,
): Operation[] {
  return connectMethods
    .filter(([verb]) => verbs.includes(verb))
    .map(([, method]) => ({
      method,
      operationId: `connect${id}${capitalized(method)}${suffix}`,
      action: "connect",
      gvk,
      parameters: [],
      codes: [200],
    }));
}
