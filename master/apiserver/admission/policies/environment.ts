/** What expressions of admission may look at: the request, its objects, their namespace, params, variables, the authorizer. */

import type { Environment } from "#shared/cel/checker.ts";
import { FunctionTable } from "#shared/cel/functions.ts";
import { kubernetesLibrary } from "#shared/cel/kubernetes-library.ts";
import { jsonPatchLibrary, mutationTypes } from "#shared/cel/mutation-types.ts";
import { standardLibrary } from "#shared/cel/standard-library.ts";
import { bool, dyn, int, listOf, mapOf, objectOf, string, type Type, timestamp } from "#shared/cel/types.ts";
import { authorizerLibrary, authorizerType, resourceCheckType } from "./authorizer-library.ts";

const groupVersionKind = objectOf("kubernetes.GroupVersionKind", { group: string, version: string, kind: string });
const groupVersionResource = objectOf("kubernetes.GroupVersionResource", {
  group: string,
  version: string,
  resource: string,
});
export const userInfoType = objectOf("kubernetes.UserInfo", {
  username: string,
  uid: string,
  groups: listOf(string),
  extra: mapOf(string, listOf(string)),
});

export const requestType = objectOf("kubernetes.AdmissionRequest", {
  kind: groupVersionKind,
  resource: groupVersionResource,
  subResource: string,
  requestKind: groupVersionKind,
  requestResource: groupVersionResource,
  requestSubResource: string,
  name: string,
  namespace: string,
  operation: string,
  userInfo: userInfoType,
  dryRun: bool,
  options: dyn,
});

const condition = objectOf("kubernetes.NamespaceCondition", {
  status: string,
  type: string,
  lastTransitionTime: timestamp,
  message: string,
  reason: string,
});

export const namespaceType = objectOf("kubernetes.Namespace", {
  metadata: objectOf("kubernetes.NamespaceMetadata", {
    name: string,
    generateName: string,
    namespace: string,
    labels: mapOf(string, string),
    annotations: mapOf(string, string),
    UID: string,
    creationTimestamp: timestamp,
    deletionGracePeriodSeconds: int,
    deletionTimestamp: timestamp,
    generation: int,
    resourceVersion: string,
    finalizers: listOf(string),
  }),
  spec: objectOf("kubernetes.NamespaceSpec", { finalizers: listOf(string) }),
  status: objectOf("kubernetes.NamespaceStatus", { conditions: listOf(condition), phase: string }),
});

const libraries = [standardLibrary, kubernetesLibrary, authorizerLibrary] as const;
const functions = new FunctionTable(...libraries);
const mutationFunctions = new FunctionTable(...libraries, jsonPatchLibrary);

export interface EnvironmentOptions {
  /** True where their type is not known. */
  readonly params?: boolean | Type;
  readonly authorizer?: boolean;
  /** Types of `variables`, by name: those that an expression may refer to. */
  readonly variables?: ReadonlyMap<string, Type>;
  /** Whether it makes what an object is changed by: expressions of mutations alone do. */
  readonly isMutation?: boolean;
  /** Of the object, where it is known; it is dyn otherwise. */
  readonly object?: Type;
}

export function admissionEnvironment(options: EnvironmentOptions): Environment {
  const variables = new Map<string, Type>([
    ["object", options.object ?? dyn],
    ["oldObject", options.object ?? dyn],
    ["namespaceObject", namespaceType],
    ["request", requestType],
  ]);
  if (options.params) variables.set("params", options.params === true ? dyn : options.params);
  if (options.authorizer) {
    variables.set("authorizer", authorizerType);
    variables.set("authorizer.requestResource", resourceCheckType);
  }
  if (options.variables)
    variables.set("variables", { kind: "object", name: "kubernetes.variables", fields: options.variables });
  return options.isMutation
    ? { variables, functions: mutationFunctions, types: mutationTypes }
    : { variables, functions };
}
