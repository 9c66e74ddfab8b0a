/** Policies with their bindings, each for the objects that are labelled with its name, and what is sent while they are there. */
import type { Sent } from "./webhook-cases.ts";

export interface PolicyCase {
  readonly name: string;
  readonly spec: object;
  /** Beside the name of the policy. */
  readonly bindings: readonly object[];
}

const maps = { apiGroups: [""], apiVersions: ["v1"], operations: ["*"], resources: ["configmaps"] };

type Validation = string | object;

function policy(
  name: string,
  validations: readonly Validation[],
  fields: object = {},
  ...bindings: object[]
): PolicyCase {
  const { matchConstraints, ...more } = fields as { readonly matchConstraints?: object };
  return {
    name,
    spec: {
      matchConstraints: {
        resourceRules: [maps],
        objectSelector: { matchLabels: { case: name } },
        ...matchConstraints,
      },
      validations: validations.map((each) => (typeof each === "string" ? { expression: each } : each)),
      ...more,
    },
    bindings: bindings.length > 0 ? bindings : [{}],
  };
}

const says = (messageExpression: string, fields: object = {}): object => ({
  expression: "false",
  messageExpression: `string(${messageExpression})`,
  ...fields,
});
const lenient = { failurePolicy: "Ignore" };
const actions = (...validationActions: readonly string[]): object => ({ validationActions });
const when = (...expressions: readonly string[]): object => ({
  matchConditions: expressions.map((expression, index) => ({ name: `c${index}`, expression })),
});
const audit = (...valueExpressions: readonly string[]): object => ({
  auditAnnotations: valueExpressions.map((valueExpression, index) => ({ key: `k${index}`, valueExpression })),
});
const rules = (fields: object, more: object = {}): object => ({
  matchConstraints: { resourceRules: [{ ...maps, ...fields }], ...more },
});
const mapParams = { paramKind: { apiVersion: "v1", kind: "ConfigMap" } };
const param = (paramRef: object, fields: object = {}): object => ({
  paramRef: { parameterNotFoundAction: "Deny", ...paramRef },
  ...fields,
});
const selected = { selector: { matchLabels: { of: "params" } } };
const everyMap = { objectSelector: {} };

export const policies: readonly PolicyCase[] = [
  policy("plain", ["object.metadata.name == 'y'"]),
  policy("holds", ["true"]),
  ...["Forbidden", "RequestEntityTooLarge", "Invalid"].map((reason) =>
    policy(`reason-${reason.toLowerCase()}`, [{ expression: "false", message: "no", reason }]),
  ),
  policy("message", [{ expression: "false", message: "  spaces  " }]),
  policy("expression-lines", ["object.metadata.name ==\n 'y'"]),
  policy("message-by-expression", [says("'name: ' + object.metadata.name")]),
  policy("message-empty", [says("''", { message: "else" })]),
  policy("message-blank", [says("'   '")]),
  policy("message-lines", [says("'a\\nb'", { message: "else" })]),
  policy("message-long", [
    says("'a'.matches('b') ? '' : [1,2,3,4,5,6,7,8,9,10].map(i, object.data.long).join('')", { message: "else" }),
  ]),
  policy("message-error", [says("object.data.none", { message: "else" })]),
  policy("message-error-alone", [says("object.data.none")]),
  policy("message-two", [says("'first'"), says("'second'")]),
  policy("error", ["object.data.none == 'a'"]),
  policy("error-ignored", ["object.data.none == 'a'", "object.metadata.name == 'y'"], lenient),
  policy("error-warned", ["object.data.none == 'a'"], {}, actions("Warn")),
  policy("warned", ["false"], {}, actions("Warn")),
  policy("warned-audited", ["false", says("'other'")], {}, actions("Warn", "Audit")),
  policy("denied-audited", ["false"], {}, actions("Audit", "Deny")),
  policy("two-bindings", ["false"], {}, actions("Warn"), actions("Deny")),
  policy("two-warned", ["false", says("'b'"), says("'b'")], {}, actions("Warn")),
  policy("no-binding", ["false"]),
  policy("audited", [], audit("'a'", "null", "'  '", "string(object.metadata.name)")),
  policy("audit-error", ["true"], audit("'a'", "string(object.data.none)")),
  policy("audit-error-warned", ["true"], audit("string(object.data.none)"), actions("Warn")),
  policy("audit-error-ignored", ["true"], { ...audit("string(object.data.none)", "'b'"), ...lenient }),
  policy("variables", ["variables.a == 'x'"], {
    variables: [
      { name: "a", expression: "variables.b + object.metadata.name" },
      { name: "b", expression: "''" },
    ].reverse(),
  }),
  policy("variable-error", ["variables.a == 'x'"], {
    variables: [{ name: "a", expression: "object.data.none" }],
  }),
  policy("variable-error-twice", ["variables.b == 'x'"], {
    variables: [
      { name: "a", expression: "object.data.none" },
      { name: "b", expression: "variables.a" },
    ],
  }),
  policy("variable-error-unasked", ["true || variables.a == 'x'"], {
    variables: [{ name: "a", expression: "object.data.none" }],
  }),
  policy("when-false", ["false"], when("true", "false")),
  policy("when-error", ["false"], when("object.data.none == 'a'", "true")),
  policy("when-error-ignored", ["false"], { ...when("object.data.none == 'a'"), ...lenient }),
  policy("when-error-and-false", ["false"], when("object.data.none == 'a'", "false")),
  policy("when-two-errors", ["false"], when("object.data.none == 'a'", "object.spec.x == 'a'")),
  policy("when-params", ["false"], { ...when("params.data.on == 'no'"), ...mapParams }, param({ name: "one" })),
  policy("param", [says("params.data.text")], mapParams, param({ name: "one" })),
  policy(
    "param-fields",
    [says("params.kind + params.apiVersion + params.metadata.name")],
    mapParams,
    param({ name: "one" }),
  ),
  policy("param-missing", ["false"], mapParams, param({ name: "none" })),
  policy("param-missing-allowed", ["false"], mapParams, param({ name: "none", parameterNotFoundAction: "Allow" })),
  policy("param-missing-ignored", ["false"], { ...mapParams, ...lenient }, param({ name: "none" })),
  policy("param-missing-warned", ["false"], mapParams, param({ name: "none" }, actions("Warn"))),
  policy("param-elsewhere", ["false"], mapParams, param({ name: "one", namespace: "default" })),
  policy("param-none-named", ["params == null", says("string(params == null)")], mapParams, {}),
  policy("param-unasked", ["true", says("'x'")], {}, param({ name: "one" })),
  policy("param-selected", [says("params.metadata.name")], mapParams, param(selected, actions("Warn"))),
  policy("param-selects-none", ["false"], mapParams, param({ selector: { matchLabels: { of: "none" } } })),
  policy("param-selects-all", ["params.kind == 'ConfigMap'"], mapParams, param({ selector: {} })),
  policy(
    "param-unserved",
    ["false"],
    { paramKind: { apiVersion: "none.example.com/v1", kind: "None" } },
    param({ name: "one" }),
  ),
  policy("param-unserved-core", ["false"], { paramKind: { apiVersion: "v1", kind: "None" } }, param({ name: "one" })),
  policy(
    "param-unserved-ignored",
    ["false"],
    { paramKind: { apiVersion: "v1", kind: "None" }, ...lenient },
    param({ name: "one" }),
  ),
  policy("param-unserved-unnamed", ["false"], { paramKind: { apiVersion: "v1", kind: "None" } }, {}),
  policy(
    "param-cluster",
    [says("params.metadata.name")],
    { paramKind: { apiVersion: "v1", kind: "Namespace" } },
    param({ name: "default" }),
  ),
  policy(
    "param-cluster-in-namespace",
    ["false"],
    { paramKind: { apiVersion: "v1", kind: "Namespace" } },
    param({ name: "default", namespace: "default" }),
  ),
  policy(
    "param-of-cluster",
    ["false"],
    { ...mapParams, ...rules({ resources: ["persistentvolumes"] }) },
    param({ name: "one" }),
  ),
  policy(
    "param-of-namespace",
    ["false"],
    { ...mapParams, ...rules({ resources: ["namespaces"] }) },
    param({ name: "one" }),
  ),
  policy(
    "two-params",
    [says("params.metadata.name")],
    mapParams,
    param({ name: "one" }, actions("Warn")),
    param({ name: "two" }, actions("Warn")),
  ),
  policy("excluded", ["false"], {
    matchConstraints: { resourceRules: [maps], excludeResourceRules: [{ ...maps, resourceNames: ["x"] }] },
  }),
  policy("excluded-other", ["false"], {
    matchConstraints: { resourceRules: [maps], excludeResourceRules: [{ ...maps, resourceNames: ["y"] }] },
  }),
  policy("named", ["false"], rules({ resourceNames: ["x"] })),
  policy("named-other", ["false"], rules({ resourceNames: ["y"] })),
  policy("named-generated", ["false"], rules({ resourceNames: ["x"] })),
  policy("bound-elsewhere", ["false"], {}, { matchResources: { namespaceSelector: { matchLabels: { none: "1" } } } }),
  policy("bound-here", ["false"], {}, { matchResources: { objectSelector: { matchLabels: { case: "bound-here" } } } }),
  policy("bound-excluded", ["false"], {}, { matchResources: { excludeResourceRules: [maps] } }),
  policy("bound-other-rules", ["false"], {}, { matchResources: { resourceRules: [{ ...maps, resources: ["pods"] }] } }),
  policy("namespace", [
    says("namespaceObject.metadata.name + string(has(namespaceObject.metadata.labels)) + namespaceObject.status.phase"),
  ]),
  policy(
    "namespace-of-cluster",
    [says("string(namespaceObject == null)")],
    rules({ resources: ["persistentvolumes", "namespaces"] }),
  ),
  policy("authorizer", [
    says("'x'", { expression: "authorizer.requestResource.check('create').allowed()" }),
    says("'x'", {
      expression: "authorizer.group('').resource('secrets').namespace('hooked').name('s').check('get').allowed()",
    }),
    says("'x'", { expression: "authorizer.path('/healthz').check('get').allowed()" }),
    says("'told'", {
      expression: "authorizer.serviceAccount('hooked', 'nobody').group('').resource('secrets').check('get').allowed()",
    }),
  ]),
  policy("authorizer-reason", [
    {
      expression:
        "authorizer.serviceAccount('hooked', 'nobody').group('').resource('secrets').check('get').reason() == 'x'",
      message: "reason",
    },
  ]),
  policy(
    "authorizer-variable",
    [
      "variables.may",
      says("string(variables.may)", { message: "else" }),
      says("'x'", { expression: "!variables.may" }),
    ],
    {
      variables: [{ name: "may", expression: "authorizer.requestResource.check('create').allowed()" }],
      ...lenient,
      ...audit("string(variables.may)"),
    },
    actions("Warn"),
  ),
  policy("authorizer-bad", [
    "authorizer.serviceAccount('Bad', 'nobody').group('').resource('secrets').check('get').allowed()",
  ]),
  policy("request", [
    says(
      "request.operation + request.kind.kind + request.kind.version + request.resource.resource + request.name + request.namespace + request.userInfo.username + string(request.dryRun) + string(has(request.subResource))",
    ),
  ]),
  policy("request-groups", [says("request.userInfo.groups.join(' ')")]),
  policy("request-options", [
    says("request.options.kind + string(has(request.options.dryRun)) + string(has(request.options.fieldManager))"),
  ]),
  policy("object-fields", [
    says(
      "string(has(object.metadata.creationTimestamp)) + string(has(object.metadata.uid)) + string(has(object.metadata.namespace)) + string(has(object.metadata.generation)) + string(has(object.metadata.managedFields)) + string(has(object.binaryData)) + string(has(object.immutable)) + string(oldObject == null)",
    ),
  ]),
  policy(
    "on-delete",
    [says("string(object == null) + oldObject.metadata.name + request.name")],
    rules({ operations: ["DELETE"] }),
  ),
  policy(
    "on-update",
    [says("oldObject.data.kept + object.data.kept + request.operation")],
    rules({ operations: ["UPDATE"] }),
  ),
  policy(
    "on-status",
    [says("request.subResource + string(has(object.status))")],
    rules({ resources: ["namespaces/status", "persistentvolumes/status"] }),
  ),
  policy("on-every-part", ["request.subResource == 'none'"], rules({ resources: ["persistentvolumes/*"] })),
  policy("on-reviews", ["false"], {
    matchConstraints: {
      objectSelector: {},
      resourceRules: [
        { ...maps, apiGroups: ["authentication.k8s.io", "authorization.k8s.io"], apiVersions: ["*"], resources: ["*"] },
      ],
    },
  }),
  policy("on-policies", ["false"], {
    matchConstraints: {
      objectSelector: {},
      resourceRules: [
        {
          apiGroups: ["admissionregistration.k8s.io"],
          apiVersions: ["*"],
          operations: ["CREATE"],
          resources: ["*"],
          resourceNames: ["dry"],
        },
      ],
    },
  }),
  policy("on-exec", [says("request.operation + request.kind.kind + object.command[0] + request.name")], {
    matchConstraints: { ...everyMap, resourceRules: [{ ...maps, operations: ["CONNECT"], resources: ["pods/exec"] }] },
  }),
  policy("on-token", [says("request.kind.kind + request.resource.resource + request.subResource + object.kind")], {
    matchConstraints: { ...everyMap, resourceRules: [{ ...maps, resources: ["serviceaccounts/token"] }] },
  }),
  ...(
    [
      ["on-eviction", "pods/eviction", "object.metadata.name + object.metadata.namespace"],
      ["on-binding", "pods/binding", "object.target.name + string(has(object.metadata.uid))"],
      ["on-ephemeral", "pods/ephemeralcontainers", "string(size(object.spec.ephemeralContainers))"],
      ["on-resize", "pods/resize", "object.metadata.name + string(has(oldObject.spec))"],
      ["on-scale", "deployments/scale", "string(object.spec.replicas) + string(oldObject.spec.replicas)"],
      ["on-proxy", "services/proxy", "object.path + request.name"],
      ["on-finalize", "namespaces/finalize", "object.metadata.name + string(namespaceObject == null)"],
    ] as const
  ).map(([name, resource, shown]) =>
    policy(name, [says(`request.operation + request.kind.kind + object.kind + request.subResource + ${shown}`)], {
      matchConstraints: {
        ...everyMap,
        resourceRules: [{ ...maps, apiGroups: ["", "apps"], resources: [resource] }],
      },
    }),
  ),
  policy(
    "two-policies-a",
    [says("'a'")],
    { matchConstraints: { objectSelector: { matchLabels: { two: "1" } } } },
    actions("Warn"),
  ),
  policy("two-policies-b", [says("'b'")], { matchConstraints: { objectSelector: { matchLabels: { two: "1" } } } }),
  policy(
    "equivalent",
    [says("object.apiVersion + request.kind.version + request.requestKind.version + request.resource.version")],
    {
      matchConstraints: {
        resourceRules: [
          { ...maps, apiGroups: ["autoscaling"], apiVersions: ["v1"], resources: ["horizontalpodautoscalers"] },
        ],
      },
    },
  ),
];

/** What is in the namespace beside what is sent. */
export const params = ["one", "two"].map((name) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels: { of: "params" } },
  data: { text: `of ${name}`, on: "yes" },
}));

const configMap = (labels: object, metadata: object = { name: "x" }): object => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { ...metadata, labels },
  data: { kept: "1", long: "0123456789".repeat(60) },
});
const created = (name: string, of = name): Sent => ({
  name,
  path: "configmaps?dryRun=All&fieldManager=m",
  body: configMap({ case: of }),
});
const volume = (of: string) => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name: of, labels: { case: of } },
  spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/x" } },
});
const volumes = "/api/v1/persistentvolumes";
const namespace = (of: string) => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: of, labels: { case: of } },
});

const others = new Set([
  "on-delete",
  "on-update",
  "on-status",
  "on-every-part",
  "on-reviews",
  "on-policies",
  "on-exec",
  "on-token",
  "on-eviction",
  "on-binding",
  "on-ephemeral",
  "on-resize",
  "on-scale",
  "on-proxy",
  "on-finalize",
  "param-of-cluster",
  "param-of-namespace",
  "namespace-of-cluster",
  "named-generated",
  "equivalent",
  "two-policies-a",
  "two-policies-b",
]);

export const policyRequests: readonly Sent[] = [
  ...policies.filter(({ name }) => !others.has(name)).map(({ name }) => created(name)),
  ...["param-of-cluster", "namespace-of-cluster"].map((of) => ({
    name: of,
    path: `${volumes}?dryRun=All`,
    body: volume(of),
  })),
  ...["param-of-namespace", "namespace-of-cluster"].map((of) => ({
    name: `${of} itself`,
    path: "/api/v1/namespaces?dryRun=All",
    body: namespace(of),
  })),
  {
    name: "named-generated",
    path: "configmaps?dryRun=All",
    body: configMap({ case: "named-generated" }, { generateName: "x" }),
  },
  {
    name: "generated name refused",
    path: "configmaps?dryRun=All",
    body: configMap({ case: "plain" }, { generateName: "x-" }),
  },
  ...["on-delete", "on-update"].flatMap((of): Sent[] => [
    { name: `${of} made`, path: "configmaps", body: configMap({ case: of }) },
    {
      name: `${of} changed`,
      method: "PATCH",
      path: "configmaps/x",
      type: "application/merge-patch+json",
      body: { data: { kept: "2" } },
    },
    { name: `${of} of all`, method: "DELETE", path: `configmaps?labelSelector=case%3D${of}` },
    { name: `${of} gone`, method: "DELETE", path: "configmaps/x" },
  ]),
  ...["on-status", "on-every-part"].flatMap((of): Sent[] => [
    { name: `${of} made`, path: volumes, body: volume(of) },
    {
      name: of,
      method: "PATCH",
      path: `${volumes}/${of}/status`,
      type: "application/merge-patch+json",
      body: { status: { phase: "Available" } },
    },
    { name: `${of} gone`, method: "DELETE", path: `${volumes}/${of}` },
  ]),
  {
    name: "on-reviews",
    path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes: { verb: "get", resource: "pods" } },
    },
  },
  {
    name: "on-policies",
    path: "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies?dryRun=All",
    body: {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name: "dry" },
      spec: { matchConstraints: { resourceRules: [maps] }, validations: [{ expression: "true" }] },
    },
  },
  { name: "on-exec", path: "pods/none/exec?command=ls" },
  {
    name: "on-token",
    path: "serviceaccounts/default/token",
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} },
  },
  {
    name: "on-eviction made",
    path: "pods",
    body: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p" },
      spec: { containers: [{ name: "c", image: "c" }] },
    },
  },
  {
    name: "on-eviction",
    path: "pods/p/eviction",
    body: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "p" } },
  },
  {
    name: "on-binding",
    path: "pods/p/binding",
    body: { apiVersion: "v1", kind: "Binding", metadata: { name: "p" }, target: { kind: "Node", name: "n" } },
  },
  {
    name: "on-ephemeral",
    method: "PATCH",
    path: "pods/p/ephemeralcontainers",
    type: "application/strategic-merge-patch+json",
    body: { spec: { ephemeralContainers: [{ name: "e", image: "e" }] } },
  },
  {
    name: "on-resize",
    method: "PATCH",
    path: "pods/p/resize",
    type: "application/strategic-merge-patch+json",
    body: { spec: { containers: [{ name: "c", resources: { requests: { cpu: "1" } } }] } },
  },
  {
    name: "on-scale",
    method: "PATCH",
    path: "/apis/apps/v1/namespaces/hooked/deployments/on-scale/scale",
    type: "application/merge-patch+json",
    body: { spec: { replicas: 9 } },
  },
  { name: "on-proxy", method: "GET", path: "services/there:443/proxy/a" },
  {
    name: "on-finalize",
    method: "PUT",
    path: "/api/v1/namespaces/default/finalize",
    body: { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" }, spec: { finalizers: ["kubernetes"] } },
  },
  { name: "two-policies", path: "configmaps?dryRun=All", body: configMap({ two: "1" }) },
  {
    name: "equivalent",
    path: "/apis/autoscaling/v2/namespaces/hooked/horizontalpodautoscalers?dryRun=All",
    body: {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata: { name: "x", labels: { case: "equivalent" } },
      spec: { maxReplicas: 2, scaleTargetRef: { kind: "Deployment", name: "d", apiVersion: "apps/v1" } },
    },
  },
];
