/** Who may name which params: the policies and bindings of people who may read some things only. */
import type { Json, WireGroup, WireRequest } from "../wire/request.ts";

const group = "admissionregistration.k8s.io";
const rbac = "rbac.authorization.k8s.io";
const families = [
  {
    version: "v1",
    word: "validating",
    title: "Validating",
    spec: { validations: [{ expression: "true" }] },
    bound: { validationActions: ["Deny"] },
  },
  {
    version: "v1beta1",
    word: "mutating",
    title: "Mutating",
    spec: {
      mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression: "Object{}" } }],
      reinvocationPolicy: "Never",
    },
    bound: {},
  },
] as const;
type Family = (typeof families)[number];

const matchConstraints = {
  resourceRules: [{ operations: ["CREATE"], apiGroups: ["example.com"], apiVersions: ["v1"], resources: ["things"] }],
};

const make = (name: string, path: string, body: Json, user?: string): WireRequest => ({
  name: `${user ?? "the administrator"} makes ${name}`,
  method: "POST",
  path,
  body,
  ...(user && { headers: { "impersonate-user": user } }),
});

const role = (name: string, ...rules: readonly object[]): WireRequest[] => [
  make(`the role of ${name}`, `/apis/${rbac}/v1/clusterroles`, {
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRole",
    metadata: { name: `params-${name}` },
    rules: [{ apiGroups: [group], resources: ["*"], verbs: ["*"] }, ...rules],
  }),
  make(`the binding of ${name}`, `/apis/${rbac}/v1/clusterrolebindings`, {
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name: `params-${name}` },
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name: `params-${name}` },
    subjects: [{ apiGroup: rbac, kind: "User", name }],
  }),
];

const kinds: Readonly<Record<string, object>> = {
  configmaps: { apiVersion: "v1", kind: "ConfigMap" },
  secrets: { apiVersion: "v1", kind: "Secret" },
  unserved: { apiVersion: "example.com/v1", kind: "Thing" },
};

const collection = ({ version, word }: Family, rest: string): string =>
  `/apis/${group}/${version}/${word}admissionpolic${rest}`;

const policy = ({ version, title, spec }: Family, name: string, paramKind?: object): Json => ({
  apiVersion: `${group}/${version}`,
  kind: `${title}AdmissionPolicy`,
  metadata: { name },
  spec: { matchConstraints, ...spec, ...(paramKind && { paramKind }) },
});

const binding = ({ version, title, bound }: Family, policyName: string, paramRef: object): Json => ({
  apiVersion: `${group}/${version}`,
  kind: `${title}AdmissionPolicyBinding`,
  metadata: { name: "param-binding" },
  spec: { policyName, ...bound, paramRef: { parameterNotFoundAction: "Deny", ...paramRef } },
});

const refs: Readonly<Record<string, object>> = {
  "one by name": { name: "tiers", namespace: "default" },
  "one by name anywhere": { name: "tiers" },
  "another by name": { name: "others", namespace: "default" },
  "some by labels": { selector: {}, namespace: "default" },
};
const users = ["param-reader", "param-getter", "param-nobody", "param-all"];

function requestsOf(family: Family): WireRequest[] {
  const own = Object.entries(kinds);
  return users.flatMap((user) => [
    ...own.map(([name, kind]) =>
      make(
        `a ${family.word} policy by ${name}`,
        `${collection(family, "ies")}?dryRun=All`,
        policy(family, "param-new", kind),
        user,
      ),
    ),
    ...[...own.map(([name]) => `params-${name}`), "params-plain", "params-absent"].flatMap((name) =>
      Object.entries(refs).map(([words, ref]) =>
        make(
          `a binding of ${family.word} ${name} to ${words}`,
          `${collection(family, "ybindings")}?dryRun=All`,
          binding(family, name, ref),
          user,
        ),
      ),
    ),
    {
      name: `${user} changes a ${family.word} policy in another place`,
      method: "PATCH",
      path: `${collection(family, "ies")}/params-secrets?dryRun=All`,
      headers: { "impersonate-user": user, "content-type": "application/merge-patch+json" },
      body: { spec: { failurePolicy: "Ignore" } },
    },
    {
      name: `${user} changes the kind of params of a ${family.word} policy`,
      method: "PATCH",
      path: `${collection(family, "ies")}/params-configmaps?dryRun=All`,
      headers: { "impersonate-user": user, "content-type": "application/merge-patch+json" },
      body: { spec: { paramKind: { kind: "Secret" } } },
    },
  ]);
}

export const permissionGroups: readonly WireGroup[] = [
  {
    name: "people and policies with params",
    inOrder: true,
    requests: [
      ...role("param-reader", { apiGroups: [""], resources: ["configmaps"], verbs: ["get", "list"] }),
      ...role("param-getter", { apiGroups: [""], resources: ["configmaps"], resourceNames: ["tiers"], verbs: ["get"] }),
      ...role("param-nobody"),
      ...role("param-all", { apiGroups: ["*"], resources: ["*"], verbs: ["*"] }),
      ...families.flatMap((family) =>
        [...Object.entries(kinds), ["plain", undefined] as const].map(([name, kind]) =>
          make(`a ${family.word} policy of ${name}`, collection(family, "ies"), policy(family, `params-${name}`, kind)),
        ),
      ),
    ],
  },
  ...families.map((family) => ({ name: `who may name ${family.word} params`, requests: requestsOf(family) })),
];
