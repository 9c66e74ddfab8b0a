/** Configurations, policies and bindings with something wrong in each, or with what is only warned of. */
import type { Sent } from "./webhook-cases.ts";

const base = "/apis/admissionregistration.k8s.io/v1";
const apiVersion = "admissionregistration.k8s.io/v1";
const maps = { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] };

const hook = (fields: object): object => ({
  name: "a.example.com",
  clientConfig: { url: "https://127.0.0.1/a" },
  admissionReviewVersions: ["v1"],
  sideEffects: "None",
  rules: [maps],
  ...fields,
});

function configured(kind: "Validating" | "Mutating", name: string, ...webhooks: readonly object[]): Sent {
  return {
    name: `${kind}: ${name}`,
    path: `${base}/${kind.toLowerCase()}webhookconfigurations?dryRun=All`,
    body: { apiVersion, kind: `${kind}WebhookConfiguration`, metadata: { name: "x" }, webhooks },
  };
}

const url = (text: string) => hook({ clientConfig: { url: text } });
const service = (fields: object) => hook({ clientConfig: { service: { namespace: "n", name: "s", ...fields } } });
const rule = (fields: object) => hook({ rules: [{ ...maps, ...fields }] });
const when = (...conditions: readonly object[]) => hook({ matchConditions: conditions });

const hooks: Readonly<Record<string, readonly object[]>> = {
  "no webhooks": [],
  "plain http": [url("http://a/b")],
  "no scheme": [url("127.0.0.1/a")],
  "no host": [url("https:///a")],
  user: [url("https://user:secret@a/b")],
  fragment: [url("https://a/b#c")],
  query: [url("https://a/b?c")],
  "unreadable url": [url("https://a:b/%")],
  "no url": [url("")],
  "url and service": [hook({ clientConfig: { url: "https://a", service: { namespace: "n", name: "s" } } })],
  "neither url nor service": [hook({ clientConfig: {} })],
  "no client": [hook({ clientConfig: undefined })],
  "service without names": [hook({ clientConfig: { service: {} } })],
  "path without slash": [service({ path: "a" })],
  "path with empty step": [service({ path: "/a//b" })],
  "path with dots": [service({ path: "/a/../b" })],
  "path with odd step": [service({ path: "/a/B_c" })],
  "path is a slash": [service({ path: "/" })],
  "port 0": [service({ port: 0 })],
  "port too high": [service({ port: 65_536 })],
  "bundle is none": [hook({ clientConfig: { url: "https://a", caBundle: Buffer.from("odd").toString("base64") } })],
  "bundle is no base64": [hook({ clientConfig: { url: "https://a", caBundle: "?" } })],
  "timeout 0": [hook({ timeoutSeconds: 0 })],
  "timeout 31": [hook({ timeoutSeconds: 31 })],
  "side effects": [hook({ sideEffects: "Some" })],
  "no side effects": [hook({ sideEffects: undefined })],
  "no versions": [hook({ admissionReviewVersions: [] })],
  "unknown versions": [hook({ admissionReviewVersions: ["v3"] })],
  "versions twice": [hook({ admissionReviewVersions: ["v1", "v1"] })],
  "version odd": [hook({ admissionReviewVersions: ["v1", "V 1"] })],
  "name short": [hook({ name: "a" })],
  "name odd": [hook({ name: "A.example.com" })],
  "name none": [hook({ name: undefined })],
  "names twice": [hook({}), hook({})],
  "failure policy": [hook({ failurePolicy: "Odd" })],
  "match policy": [hook({ matchPolicy: "Odd" })],
  "reinvocation policy": [hook({ reinvocationPolicy: "Odd" })],
  scope: [rule({ scope: "Odd" })],
  operations: [rule({ operations: ["GET"] })],
  "operations all and one": [rule({ operations: ["*", "CREATE"] })],
  "no operations": [rule({ operations: [] })],
  "no groups": [rule({ apiGroups: [] })],
  "groups all and one": [rule({ apiGroups: ["*", "a"] })],
  "no versions in rule": [rule({ apiVersions: [] })],
  "no resources": [rule({ resources: [] })],
  "resources all and one": [rule({ resources: ["*/*", "pods"] })],
  "resource with part of all": [rule({ resources: ["*/a", "pods/a"] })],
  "resource with parts": [rule({ resources: ["pods/*", "pods/a"] })],
  "resource of nothing": [rule({ resources: ["", "/a"] })],
  "selector odd": [hook({ objectSelector: { matchExpressions: [{ key: "a", operator: "Odd" }] } })],
  "selector value": [hook({ namespaceSelector: { matchLabels: { a: "b c" } } })],
  "condition without name": [when({ expression: "true" })],
  "condition without expression": [when({ name: "a" })],
  "condition names twice": [when({ name: "a", expression: "true" }, { name: "a", expression: "true" })],
  "condition name odd": [when({ name: "a b", expression: "true" })],
  "condition broken": [when({ name: "a", expression: "object." })],
  "condition of text": [when({ name: "a", expression: "'x'" })],
  "condition of anything": [when({ name: "a", expression: "object.x" })],
  "condition with params": [when({ name: "a", expression: "params == null" })],
  "condition with variables": [when({ name: "a", expression: "variables.a" })],
  conditions: [when(...Array.from({ length: 65 }, (_, index) => ({ name: `c${index}`, expression: "true" })))],
};

function policied(name: string, spec: object, metadata: object = { name: "x" }): Sent {
  return {
    name: `policy: ${name}`,
    path: `${base}/validatingadmissionpolicies?dryRun=All`,
    body: {
      apiVersion,
      kind: "ValidatingAdmissionPolicy",
      metadata,
      spec: { matchConstraints: { resourceRules: [maps] }, validations: [{ expression: "true" }], ...spec },
    },
  };
}

const constrained = (fields: object): object => ({
  matchConstraints: { resourceRules: [{ ...maps, ...fields }] },
});
const validating = (...validations: readonly object[]): object => ({ validations });
const variables = (...names: readonly string[]): object => ({
  variables: names.map((name) => ({ name, expression: "1" })),
});
const audits = (...auditAnnotations: readonly object[]): object => ({ auditAnnotations });

const specs: Readonly<Record<string, object>> = {
  "no constraints": { matchConstraints: undefined },
  "no rules": { matchConstraints: {} },
  "nothing to check": { validations: [] },
  "failure policy": { failurePolicy: "Odd" },
  "match policy": { matchConstraints: { resourceRules: [maps], matchPolicy: "Odd" } },
  "rule scope": constrained({ scope: "Odd" }),
  "rule operations": constrained({ operations: ["GET"] }),
  "rule resources": constrained({ resources: ["*", "pods"] }),
  "rule names twice": constrained({ resourceNames: ["a", "a"] }),
  "rule name odd": constrained({ resourceNames: ["a/b"] }),
  "exclude rule": { matchConstraints: { resourceRules: [maps], excludeResourceRules: [{}] } },
  "param kind empty": { paramKind: {} },
  "param kind odd": { paramKind: { apiVersion: "a/b/c", kind: "K k" } },
  "param kind without group": { paramKind: { apiVersion: "v1", kind: "ConfigMap" } },
  "params without kind": validating({ expression: "params.a == 1" }),
  "no expression": validating({}),
  "blank expression": validating({ expression: "  " }),
  "expression of text": validating({ expression: "'a'" }),
  "expression broken": validating({ expression: "object.a ==" }),
  "reason unknown": validating({ expression: "true", reason: "Odd" }),
  "message blank": validating({ expression: "true", message: "  " }),
  "message with lines": validating({ expression: "true", message: "a\nb" }),
  "message missing for lines": validating({ expression: "true ||\nfalse" }),
  "message expression of number": validating({ expression: "true", messageExpression: "1" }),
  "message expression with authorizer": validating({
    expression: "true",
    messageExpression: "string(authorizer == null)",
  }),
  "variable names twice": variables("a", "a"),
  "variable name odd": variables("a-b"),
  "variable name reserved": variables("in"),
  "variable without name": variables(""),
  "variable of later one": {
    variables: [
      { name: "a", expression: "variables.b" },
      { name: "b", expression: "1" },
    ],
  },
  "annotation without key": audits({ valueExpression: "'a'" }),
  "annotation keys twice": audits({ key: "a", valueExpression: "'a'" }, { key: "a", valueExpression: "'a'" }),
  "annotation key odd": audits({ key: "a/b c", valueExpression: "'a'" }),
  "annotation of number": audits({ key: "a", valueExpression: "1" }),
  "annotation blank": audits({ key: "a", valueExpression: " " }),
  annotations: audits(...Array.from({ length: 21 }, (_, index) => ({ key: `k${index}`, valueExpression: "'a'" }))),
  "condition with variables": { ...variables("a"), matchConditions: [{ name: "c", expression: "variables.a == 1" }] },
  "condition with params": { matchConditions: [{ name: "c", expression: "params == null" }] },
};

function bound(name: string, spec: object): Sent {
  return {
    name: `binding: ${name}`,
    path: `${base}/validatingadmissionpolicybindings?dryRun=All`,
    body: {
      apiVersion,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name: "x" },
      spec: { policyName: "p", validationActions: ["Deny"], ...spec },
    },
  };
}

const bindings: Readonly<Record<string, object>> = {
  "no policy": { policyName: undefined },
  "policy name odd": { policyName: "A b" },
  "no actions": { validationActions: undefined },
  "actions twice": { validationActions: ["Warn", "Warn"] },
  "action unknown": { validationActions: ["Odd"] },
  "warn and deny": { validationActions: ["Warn", "Deny"] },
  "param empty": { paramRef: {} },
  "param without action": { paramRef: { name: "a" } },
  "param by name and selector": { paramRef: { name: "a", selector: {}, parameterNotFoundAction: "Allow" } },
  "param action unknown": { paramRef: { name: "a", parameterNotFoundAction: "Odd" } },
  "param name odd": { paramRef: { name: "a/b", parameterNotFoundAction: "Allow" } },
  "param namespace odd": { paramRef: { name: "a", namespace: "A", parameterNotFoundAction: "Allow" } },
  "match policy": { matchResources: { matchPolicy: "Odd" } },
  "match selector": { matchResources: { objectSelector: { matchLabels: { a: "b c" } } } },
  "match rule": { matchResources: { resourceRules: [{}] } },
};

export const refusedRequests: readonly Sent[] = [
  ...(["Validating", "Mutating"] as const).flatMap((kind) =>
    Object.entries(hooks).map(([name, webhooks]) => configured(kind, name, ...webhooks)),
  ),
  ...Object.entries(specs).map(([name, spec]) => policied(name, spec)),
  policied("name odd", {}, { name: "A b" }),
  policied("name long with annotation", audits({ key: "k".repeat(60), valueExpression: "'a'" }), {
    name: "n".repeat(250),
  }),
  ...Object.entries(bindings).map(([name, spec]) => bound(name, spec)),
];
