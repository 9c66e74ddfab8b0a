/** What is asked of a server that serves MutatingAdmissionPolicies: discovery, every verb, and what is wrong with some. */
import { type Change, changed } from "../resources/change.ts";
import type { Json, WireGroup, WireRequest } from "../wire/request.ts";
import { bindingFaults, bindingForms, policyFaults, policyForms, policyRevisions, policyUpdates } from "./faults.ts";
import { permissionGroups } from "./permission-requests.ts";

const group = "admissionregistration.k8s.io";
const version = `/apis/${group}/v1beta1`;
export const policiesPath = `${version}/mutatingadmissionpolicies`;
export const bindingsPath = `${version}/mutatingadmissionpolicybindings`;

export const policy = (name: string, spec: object = {}): Json => ({
  apiVersion: `${group}/v1beta1`,
  kind: "MutatingAdmissionPolicy",
  metadata: { name },
  spec: {
    matchConstraints: {
      resourceRules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }],
    },
    mutations: [
      {
        patchType: "ApplyConfiguration",
        applyConfiguration: { expression: 'Object{metadata: Object.metadata{labels: {"seen": "yes"}}}' },
      },
    ],
    reinvocationPolicy: "Never",
    ...spec,
  },
});

export const binding = (name: string, spec: object = {}): Json => ({
  apiVersion: `${group}/v1beta1`,
  kind: "MutatingAdmissionPolicyBinding",
  metadata: { name },
  spec: { policyName: "unbound", ...spec },
});

const asTable = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
const get = (path: string, headers?: WireRequest["headers"]): WireRequest => ({
  name: `get ${path}${headers ? ` as ${headers["accept"]}` : ""}`,
  method: "GET",
  path,
  ...(headers && { headers }),
});

const titled = ([kind, path, value]: Change): string => `${kind} ${path} ${JSON.stringify(value)?.slice(0, 200)}`;

const creates = (path: string, sample: Json, changes: readonly Change[]): WireRequest[] =>
  changes.map((change) => ({
    name: `create ${titled(change)}`,
    method: "POST",
    path: `${path}?dryRun=All`,
    body: changed(sample, change[1], change[2]),
  }));

const updates = (path: string, changes: readonly Change[]): WireRequest[] =>
  changes.map((change) => ({
    name: `update ${titled(change)}`,
    method: "PUT",
    path: `${path}?dryRun=All`,
    body: (live: Json) => changed(live, change[1], change[2]),
  }));

/** Of what is refused, the order of faults counts too. */
const inOrder = (requests: readonly WireRequest[]): WireRequest[] =>
  requests.map((request) => ({ ...request, isOrdered: true }));

const withParams = { paramKind: { apiVersion: "v1", kind: "ConfigMap" } };
const jsonPatch = (expression: string): object => ({ patchType: "JSONPatch", jsonPatch: { expression } });
const labelled = {
  matchLabels: { b: "c", a: "b" },
  matchExpressions: [
    { key: "c", operator: "In", values: ["d", "a"] },
    { key: "e", operator: "Exists" },
  ],
};
const one = `${policiesPath}/kept`;
const oneBinding = `${bindingsPath}/kept`;

const kept = policy("kept", {
  ...withParams,
  variables: [{ name: "tier", expression: "object.metadata.name + params.data.tier" }],
  matchConditions: [{ name: "named", expression: "object.metadata.name != ''" }],
  mutations: [
    jsonPatch('[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("a/b"), value: variables.tier}]'),
  ],
  reinvocationPolicy: "IfNeeded",
});
const keptBinding = binding("kept", {
  policyName: "kept",
  paramRef: { name: "tiers", namespace: "default", parameterNotFoundAction: "Deny" },
  matchResources: {
    namespaceSelector: { matchLabels: { a: "b" } },
    resourceRules: [{ operations: ["*"], apiGroups: ["*"], apiVersions: ["*"], resources: ["*"] }],
  },
});

export const groups: readonly WireGroup[] = [
  {
    name: "discovery",
    requests: [get(`/apis/${group}`), get(version), get(`${policiesPath}/none`), get(`${policiesPath}/none/status`)],
  },
  {
    name: "samples",
    inOrder: true,
    requests: [
      { name: "create a policy", method: "POST", path: policiesPath, body: kept },
      { name: "create a binding", method: "POST", path: bindingsPath, body: keptBinding },
      { name: "create one by defaults", method: "POST", path: policiesPath, body: policy("plain") },
      {
        name: "create a binding by defaults",
        method: "POST",
        path: bindingsPath,
        body: binding("plain", {
          paramRef: { selector: labelled, parameterNotFoundAction: "Allow" },
        }),
      },
      { name: "create a binding of nothing more", method: "POST", path: bindingsPath, body: binding("bare") },
    ],
  },
  {
    name: "tables",
    requests: [get(policiesPath, asTable), get(bindingsPath, asTable), get(policiesPath), get(oneBinding), get(one)],
  },
  {
    name: "writes",
    inOrder: true,
    requests: [
      { name: "put it as it is", method: "PUT", path: one, body: (live) => live },
      { name: "put it without a version", method: "PUT", path: one, body: kept },
      {
        name: "put another mutation",
        method: "PUT",
        path: one,
        body: (live) => changed(live, "spec.mutations", [jsonPatch('[JSONPatch{op: "remove", path: "/data"}]')]),
      },
      { name: "put one that is not there", method: "PUT", path: `${policiesPath}/absent`, body: policy("absent") },
      {
        name: "patch it",
        method: "PATCH",
        path: `${one}?fieldManager=a`,
        headers: { "content-type": "application/strategic-merge-patch+json" },
        body: { spec: { matchConditions: [{ name: "other", expression: "true" }] } },
      },
      {
        name: "merge into it",
        method: "PATCH",
        path: one,
        headers: { "content-type": "application/merge-patch+json" },
        body: { spec: { failurePolicy: "Ignore" }, metadata: { labels: { a: "b" } } },
      },
      {
        name: "apply to it",
        method: "PATCH",
        path: `${policiesPath}/applied?fieldManager=a&force=true`,
        headers: { "content-type": "application/apply-patch+yaml" },
        body: policy("applied"),
      },
      {
        name: "apply less to it",
        method: "PATCH",
        path: `${policiesPath}/applied?fieldManager=a&force=true`,
        headers: { "content-type": "application/apply-patch+yaml" },
        body: policy("applied", { mutations: [jsonPatch('[JSONPatch{op: "remove", path: "/data"}]')] }),
      },
      {
        name: "apply a binding",
        method: "PATCH",
        path: `${bindingsPath}/applied?fieldManager=a&force=true`,
        headers: { "content-type": "application/apply-patch+yaml" },
        body: binding("applied", { matchResources: {} }),
      },
      {
        name: "change the binding",
        method: "PATCH",
        path: oneBinding,
        headers: { "content-type": "application/merge-patch+json" },
        body: { spec: { policyName: "plain" } },
      },
      { name: "put its status", method: "PUT", path: `${one}/status`, body: kept },
      {
        name: "in the version of the stable kinds",
        method: "POST",
        path: `/apis/${group}/v1/mutatingadmissionpolicies`,
        body: kept,
      },
      {
        name: "with a field that nobody knows",
        method: "POST",
        path: `${policiesPath}?fieldValidation=Strict&dryRun=All`,
        body: policy("strict", { status: {}, validations: [] }),
      },
      { name: "delete a policy", method: "DELETE", path: `${policiesPath}/plain` },
      { name: "delete a binding", method: "DELETE", path: `${bindingsPath}/plain` },
      { name: "delete the rest", method: "DELETE", path: `${bindingsPath}` },
    ],
  },
  {
    name: "what is taken",
    requests: [
      ...creates(policiesPath, policy("right"), policyForms),
      ...creates(bindingsPath, binding("right"), bindingForms),
      ...updates(one, policyRevisions),
    ],
  },
  { name: "wrong policies", requests: inOrder(creates(policiesPath, policy("wrong"), policyFaults)) },
  { name: "wrong bindings", requests: inOrder(creates(bindingsPath, binding("wrong"), bindingFaults)) },
  ...permissionGroups,
  { name: "wrong updates", requests: inOrder(updates(one, policyUpdates)) },
];
