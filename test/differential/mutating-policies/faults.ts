/** Changes to a policy and to a binding that are in order, to see what is said about them: most of them are wrong. */
import type { Change } from "../resources/change.ts";

const apply = (expression: unknown, more: object = {}): object[] => [
  { patchType: "ApplyConfiguration", applyConfiguration: { expression }, ...more },
];
const patch = (expression: unknown, more: object = {}): object[] => [
  { patchType: "JSONPatch", jsonPatch: { expression }, ...more },
];
const rule = (more: object): object => ({
  resourceRules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"], ...more }],
});
const of = (kind: string, changes: readonly (readonly [string, unknown])[]): Change[] =>
  changes.map(([path, value]) => [kind, path, value]);

const mutations: readonly (readonly [string, unknown])[] = [
  ["spec.mutations", []],
  ["spec.mutations", null],
  ["spec.mutations", [{}]],
  ["spec.mutations", [{ patchType: "" }]],
  ["spec.mutations", [{ patchType: "MergePatch" }]],
  ["spec.mutations", [{ patchType: "ApplyConfiguration" }]],
  ["spec.mutations", [{ patchType: "JSONPatch" }]],
  ["spec.mutations", apply("")],
  ["spec.mutations", apply("  ")],
  ["spec.mutations", patch("")],
  ["spec.mutations", [{ patchType: "JSONPatch", jsonPatch: {} }]],
  ["spec.mutations", apply("Object{}", { jsonPatch: { expression: "[]" } })],
  ["spec.mutations", patch("[]", { applyConfiguration: { expression: "Object{}" } })],
  ["spec.mutations", [{ patchType: "JSONPatch", applyConfiguration: { expression: "Object{}" } }]],
  ["spec.mutations", [{ patchType: "ApplyConfiguration", jsonPatch: { expression: "[]" } }]],
  ["spec.mutations", apply("Object{")],
  ["spec.mutations", apply("object.x ==")],
  ["spec.mutations", apply("1")],
  ["spec.mutations", apply("true")],
  ["spec.mutations", apply("object")],
  ["spec.mutations", apply("{'a': 'b'}")],
  ["spec.mutations", apply("Object.spec{}")],
  ["spec.mutations", apply("Other{}")],
  ["spec.mutations", apply("[JSONPatch{}]")],
  ["spec.mutations", apply("params.x")],
  ["spec.mutations", apply("variables.x")],
  ["spec.mutations", apply("unknown")],
  ["spec.mutations", patch("Object{}")],
  ["spec.mutations", patch("JSONPatch{}")],
  ["spec.mutations", patch("[]")],
  ["spec.mutations", patch("[1]")],
  ["spec.mutations", patch("[JSONPatch{op: 1}]")],
  ["spec.mutations", patch("[JSONPatch{other: 'x'}]")],
  ["spec.mutations", patch("[JSONPatch{op: 'remove', path: jsonpatch.escapeKey(1)}]")],
  ["spec.mutations", patch("authorizer.group('').resource('pods').check('get').allowed() ? [] : []")],
  ["spec.mutations", [...apply("1"), ...patch("2"), {}]],
];

export const policyFaults: readonly Change[] = of("policy", [
  ...mutations,
  ["metadata.name", "Wrong_Name"],
  ["metadata.generateName", "Wrong_Name-"],
  ["spec", {}],
  ["spec.failurePolicy", "Perhaps"],
  ["spec.reinvocationPolicy", null],
  ["spec.reinvocationPolicy", ""],
  ["spec.reinvocationPolicy", "Always"],
  ["spec.paramKind", {}],
  ["spec.paramKind", { apiVersion: "a/b/c", kind: "A/b" }],
  ["spec.paramKind", { apiVersion: "Group_/1", kind: "ConfigMap" }],
  ["spec.matchConstraints", null],
  ["spec.matchConstraints", {}],
  ["spec.matchConstraints", { resourceRules: [] }],
  ["spec.matchConstraints", { resourceRules: [{}] }],
  ["spec.matchConstraints", rule({ operations: ["DELETE"] })],
  ["spec.matchConstraints", rule({ operations: ["CREATE", "DELETE", "OTHER"] })],
  ["spec.matchConstraints", rule({ operations: ["*", "CREATE"] })],
  ["spec.matchConstraints", rule({ resources: ["*", "pods"], apiVersions: [""], apiGroups: [] })],
  ["spec.matchConstraints", rule({ scope: "Local", resourceNames: ["a", "a", "a/b"] })],
  ["spec.matchConstraints", { ...rule({}), matchPolicy: "Loose" }],
  ["spec.matchConstraints", { ...rule({}), excludeResourceRules: [{ operations: ["DELETE"] }] }],
  ["spec.matchConstraints", { ...rule({}), objectSelector: { matchLabels: { "bad key": "x" } } }],
  [
    "spec.matchConstraints",
    { ...rule({}), namespaceSelector: { matchExpressions: [{ key: "a", operator: "In", values: [] }] } },
  ],
  ["spec.matchConditions", [{}]],
  ["spec.matchConditions", [{ name: "a b", expression: "1" }]],
  ["spec.matchConditions", [{ name: "a", expression: "params.x" }]],
  ["spec.matchConditions", [{ name: "a", expression: "Object{} == Object{}" }]],
  [
    "spec.matchConditions",
    [
      { name: "a", expression: "true" },
      { name: "b", expression: "variables.x" },
    ],
  ],
  ["spec.variables", [{}]],
  ["spec.variables", [{ name: "a-b", expression: "1 +" }]],
  ["spec.variables", [{ name: "in", expression: "unknown" }]],
  ["spec.variables", [{ name: "made", expression: "Object{}" }]],
  [
    "spec.variables",
    [
      { name: "a", expression: "variables.b" },
      { name: "b", expression: "1" },
      { name: "c", expression: "variables.b + 'x'" },
    ],
  ],
]);

export const policyUpdates: readonly Change[] = of("policy", [
  ...mutations.slice(0, 12),
  ["spec.reinvocationPolicy", "Always"],
  ["spec.matchConstraints", rule({ operations: ["DELETE"] })],
  ["spec.paramKind", null],
  ["metadata.generateName", "Wrong_Name-"],
]);

export const bindingFaults: readonly Change[] = of("binding", [
  ["spec", {}],
  ["spec.policyName", ""],
  ["spec.policyName", "Wrong_Name"],
  ["spec.paramRef", {}],
  ["spec.paramRef", { name: "a/b", parameterNotFoundAction: "Perhaps" }],
  ["spec.paramRef", { name: "a", selector: {}, parameterNotFoundAction: "Deny" }],
  ["spec.paramRef", { selector: { matchLabels: { "bad key": "x" } }, parameterNotFoundAction: "Allow" }],
  ["spec.matchResources", rule({ operations: ["DELETE"] })],
  ["spec.matchResources", rule({ operations: [] })],
  ["spec.matchResources", { matchPolicy: "Loose", excludeResourceRules: [{}] }],
  ["metadata.name", "Wrong_Name"],
]);

/** Changes that are taken. */
export const policyForms: readonly Change[] = of("policy", [
  ["spec.mutations", apply("Object{spec: Object.spec{replicas: object.spec.replicas + 1}}")],
  ["spec.mutations", apply("Object{spec: Object.metadata{}}")],
  ["spec.mutations", apply("Object{metadata: {'labels': {'a': 'b'}}}")],
  ["spec.mutations", apply("has(object.spec) ? Object{} : Object{spec: Object.spec{a: 1}}")],
  ["spec.mutations", patch("[JSONPatch{op: 'add', path: '/a', value: Object.spec{a: 1}}]")],
  ["spec.mutations", apply("  Object{}  ")],
  ["spec.mutations", patch("has(object.x) ? [JSONPatch{op: 'remove', path: '/x'}] : []")],
  ["spec.matchConstraints", rule({ operations: ["CONNECT", "UPDATE"] })],
  ["spec.mutations", patch("[JSONPatch{op: 'add', path: '/a', value: 1}]")],
  ["spec.matchConstraints", rule({ operations: ["*"] })],
  ["spec.other", 1],
]);

export const policyRevisions: readonly Change[] = of("policy", [
  ["spec.failurePolicy", null],
  ["spec.matchConditions", [{ name: "other", expression: "params.x == 1" }]],
]);

export const bindingForms: readonly Change[] = of("binding", [
  ["spec.matchResources", rule({ operations: ["*"] })],
  ["spec.validationActions", ["Deny"]],
  ["spec.matchResources", {}],
]);
