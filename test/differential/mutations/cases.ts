/** MutatingAdmissionPolicies, one a case (upstream takes several in any order), each for what is labelled with the name of its case, and what is sent while they are there. */

export interface MutationPolicy {
  readonly spec: object;
  /** Of each binding; one that says nothing where none is given. */
  readonly bindings?: readonly object[];
}

export interface MutationCase {
  readonly name: string;
  readonly policy: MutationPolicy;
  readonly kind: keyof typeof paths;
  /** Put over the ordinary object of the kind. */
  readonly object?: Readonly<Record<string, unknown>>;
  readonly method?: "POST" | "PUT" | "PATCH";
  /** Behind the object's path. */
  readonly subresource?: string;
  /** To be sent in place of the object, or of what a patch says otherwise. */
  readonly body?: object;
  /** Of the body. */
  readonly type?: string;
  readonly query?: string;
}

const within = "/namespaces/mutated";
export const paths = {
  ConfigMap: `/api/v1${within}/configmaps`,
  Secret: `/api/v1${within}/secrets`,
  Service: `/api/v1${within}/services`,
  Pod: `/api/v1${within}/pods`,
  Deployment: `/apis/apps/v1${within}/deployments`,
  Thing: `/apis/m.example.com/v1${within}/things`,
  Namespace: "/api/v1/namespaces",
  HorizontalPodAutoscaler: `/apis/autoscaling/v2${within}/horizontalpodautoscalers`,
} as const;

const rules: Readonly<Record<MutationCase["kind"], readonly [group: string, version: string, plural: string]>> = {
  ConfigMap: ["", "v1", "configmaps"],
  Secret: ["", "v1", "secrets"],
  Service: ["", "v1", "services"],
  Pod: ["", "v1", "pods"],
  Deployment: ["apps", "v1", "deployments"],
  Thing: ["m.example.com", "v1", "things"],
  Namespace: ["", "v1", "namespaces"],
  HorizontalPodAutoscaler: ["autoscaling", "v1", "horizontalpodautoscalers"],
};

export const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "things.m.example.com" },
  spec: {
    group: "m.example.com",
    scope: "Namespaced",
    names: { plural: "things", singular: "thing", kind: "Thing", listKind: "ThingList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                properties: {
                  size: { type: "integer", maximum: 9 },
                  colour: { type: "string", default: "red" },
                  tags: { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" },
                  words: { type: "array", items: { type: "string" } },
                  parts: {
                    type: "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["id"],
                    items: {
                      type: "object",
                      required: ["id"],
                      properties: { id: { type: "string" }, weight: { type: "integer", default: 1 } },
                    },
                  },
                  whole: {
                    type: "object",
                    "x-kubernetes-map-type": "atomic",
                    properties: { a: { type: "string" }, b: { type: "string" } },
                  },
                  any: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
                },
              },
            },
          },
        },
      },
    ],
  },
};

/** What policies look at as params. */
export const params = [
  { metadata: { name: "one", labels: { of: "params" } }, data: { value: "first" } },
  { metadata: { name: "two", labels: { of: "params" } }, data: { value: "second" } },
];

const template = { spec: { containers: [{ name: "a", image: "a:1" }] } };
export const ordinary: Readonly<Record<MutationCase["kind"], Readonly<Record<string, unknown>>>> = {
  ConfigMap: { apiVersion: "v1", kind: "ConfigMap", data: { a: "1" } },
  Secret: { apiVersion: "v1", kind: "Secret", data: { a: "YQ==" } },
  Service: {
    apiVersion: "v1",
    kind: "Service",
    spec: { type: "ExternalName", externalName: "a.b", ports: [{ name: "a", port: 80 }] },
  },
  Pod: { apiVersion: "v1", kind: "Pod", ...template },
  Deployment: {
    apiVersion: "apps/v1",
    kind: "Deployment",
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "x" } },
      template: { ...template, metadata: { labels: { app: "x" } } },
    },
  },
  Thing: { apiVersion: "m.example.com/v1", kind: "Thing", spec: { size: 1, tags: ["a"], parts: [{ id: "p" }] } },
  Namespace: { apiVersion: "v1", kind: "Namespace" },
  HorizontalPodAutoscaler: {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    spec: {
      maxReplicas: 3,
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "x" },
      metrics: [
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } } },
      ],
    },
  },
};

const applied = (expression: string): object => ({
  patchType: "ApplyConfiguration",
  applyConfiguration: { expression },
});
const patch = (...operations: readonly string[]): object =>
  patches(`[${operations.map((each) => `JSONPatch{${each}}`).join(", ")}]`);
const patches = (expression: string): object => ({ patchType: "JSONPatch", jsonPatch: { expression } });
const labels = (text: string): string => `Object{metadata: Object.metadata{labels: Object.metadata.labels{${text}}}}`;
const data = (text: string): string => `Object{data: Object.data{${text}}}`;
const spec = (text: string): string => `Object{spec: Object.spec{${text}}}`;
const podSpec = (text: string): string =>
  spec(`template: Object.spec.template{spec: Object.spec.template.spec{${text}}}`);

function policyOf(
  name: string,
  kind: MutationCase["kind"],
  mutations: readonly object[],
  fields: object = {},
  rule: object = {},
): object {
  const [group, version, plural] = rules[kind];
  return {
    reinvocationPolicy: "Never",
    matchConstraints: {
      objectSelector: { matchLabels: { case: name } },
      resourceRules: [
        { apiGroups: [group], apiVersions: [version], operations: ["CREATE", "UPDATE"], resources: [plural], ...rule },
      ],
    },
    mutations,
    ...fields,
  };
}

interface More extends Partial<Pick<MutationCase, "object" | "method" | "query" | "subresource" | "body" | "type">> {
  readonly fields?: object;
  readonly rule?: object;
  readonly bindings?: readonly object[];
}

function one(
  kind: MutationCase["kind"],
  name: string,
  mutations: readonly object[] | object | string,
  { fields, rule, bindings, ...more }: More = {},
): MutationCase {
  const all = typeof mutations === "string" ? [applied(mutations)] : Array.isArray(mutations) ? mutations : [mutations];
  const policy = { spec: policyOf(name, kind, all, fields, rule), ...(bindings ? { bindings } : {}) };
  return { name, kind, policy, ...more };
}

const map = (name: string, mutations: readonly object[] | object | string, more?: More): MutationCase =>
  one("ConfigMap", name, mutations, more);
const deployment = (name: string, mutations: readonly object[] | object | string, more?: More): MutationCase =>
  one("Deployment", name, mutations, more);
const thing = (name: string, mutations: readonly object[] | object | string, more?: More): MutationCase =>
  one("Thing", name, mutations, more);

/** Of a subresource, whose body has no labels to be chosen by. */
function named(
  kind: MutationCase["kind"],
  name: string,
  resource: string,
  mutation: object,
  more: More,
  operation = "CREATE",
): MutationCase {
  const [group, version] = rules[kind];
  const rule = {
    apiGroups: [group],
    apiVersions: [version],
    operations: [operation],
    resources: [resource],
    resourceNames: [name],
  };
  return one(kind, name, mutation, { ...more, fields: { matchConstraints: { resourceRules: [rule] } } });
}

const lenient = { failurePolicy: "Ignore" };
const when = (expression: string, more: object = {}): More => ({
  fields: { matchConditions: [{ name: "c", expression }], ...more },
});
const mapParams = { paramKind: { apiVersion: "v1", kind: "ConfigMap" } };
const append = (text: string): object => applied(data(`a: (has(object.data.a) ? object.data.a : '') + '${text}'`));

export const cases: readonly MutationCase[] = [
  // Configurations that are applied.
  map("labels", labels("x: 'y'")),
  map("data", data("b: object.data.a + '2'")),
  map("over", data("a: 'other'")),
  map("empty", "Object{}"),
  map("empty-data", "Object{data: Object.data{}}"),
  map("null-field", "Object{data: null}"),
  map("null-value", data("a: null")),
  map("optional-none", "Object{?data: object.?none}"),
  map("optional-there", "Object{?binaryData: object.?binaryData, ?data: optional.of({'o': 'p'})}"),
  map("unknown-field", "Object{nope: 'x'}"),
  map("wrong-type", "Object{data: 'x'}"),
  map("wrong-value-type", data("a: 1")),
  map("wrong-name", "Object{data: Object.wrong{a: 'b'}}"),
  map("wrong-name-deep", "Object{metadata: Object.metadata{labels: Object.metadata.annotations{a: 'b'}}}"),
  map("wrong-name-ignored", "Object{data: Object.wrong{a: 'b'}}", { fields: lenient }),
  map("other-kind", "Object{kind: 'Secret', apiVersion: 'v2'}"),
  map("other-name", "Object{metadata: Object.metadata{name: 'other'}}"),
  map("other-namespace", "Object{metadata: Object.metadata{namespace: 'other'}}"),
  map("bad-label", labels("x: 'not a label'")),
  map("finalizers", "Object{metadata: Object.metadata{finalizers: ['a.b/c']}}"),
  map(
    "owners",
    "Object{metadata: Object.metadata{ownerReferences: [Object.metadata.ownerReferences{uid: 'u', name: 'n'}]}}",
  ),
  map("error", data("a: object.data.none")),
  map("error-ignored", data("a: object.data.none"), { fields: lenient }),
  map("error-then-more", [applied(data("a: object.data.none")), applied(data("b: '2'"))]),
  map("error-ignored-then-more", [applied(data("a: object.data.none")), applied(data("b: '2'"))], { fields: lenient }),
  map("in-turn", [append("2"), append("3"), patch("op: 'add', path: '/data/b', value: object.data.a")]),
  map(
    "costly",
    data(
      "a: [1,2,3,4,5,6,7,8,9,10].map(a, [1,2,3,4,5,6,7,8,9,10].map(b, [1,2,3,4,5,6,7,8,9,10].map(c, [1,2,3,4,5,6,7,8,9,10].map(d, [1,2,3,4,5,6,7,8,9,10].map(e, string(a+b+c+d+e)))))).size() > 0 ? 'x' : 'y'",
    ),
  ),
  map("dry-run", labels("x: 'y'"), { query: "?dryRun=All" }),
  map("immutable", "Object{immutable: true}"),
  map("request", labels("op: request.operation, kind: request.kind.kind, name: request.name")),
  map("namespace", labels("ns: namespaceObject.metadata.name, l: namespaceObject.metadata.labels['team']")),
  map(
    "authorized",
    labels("x: authorizer.group('').resource('pods').namespace('mutated').check('get').allowed() ? 'yes' : 'no'"),
  ),
  deployment("replicas", spec("replicas: object.spec.replicas + 3")),
  deployment("sidecar", podSpec("containers: [Object.spec.template.spec.containers{name: 'b', image: 'b:1'}]")),
  deployment("container-image", podSpec("containers: [Object.spec.template.spec.containers{name: 'a', image: 'c:2'}]")),
  deployment(
    "containers-mapped",
    podSpec(
      "containers: object.spec.template.spec.containers.map(c, Object.spec.template.spec.containers{name: c.name, imagePullPolicy: 'Always'})",
    ),
  ),
  deployment(
    "environment",
    podSpec(
      "containers: [Object.spec.template.spec.containers{name: 'a', env: [Object.spec.template.spec.containers.env{name: 'E', value: 'v'}]}]",
    ),
  ),
  deployment("without-key", podSpec("containers: [Object.spec.template.spec.containers{image: 'b'}]")),
  deployment(
    "double-key",
    podSpec(
      "containers: [Object.spec.template.spec.containers{name: 'b'}, Object.spec.template.spec.containers{name: 'b'}]",
    ),
  ),
  deployment("atomic-list", podSpec("containers: [Object.spec.template.spec.containers{name: 'a', args: ['x']}]")),
  deployment("atomic-struct", spec("selector: Object.spec.selector{matchLabels: {'a': 'b'}}")),
  deployment("atomic-map", podSpec("nodeSelector: Object.spec.template.spec.nodeSelector{a: 'b'}")),
  deployment("atomics", podSpec("tolerations: [Object.spec.template.spec.tolerations{key: 'a'}]")),
  deployment(
    "quantity",
    podSpec(
      "containers: [Object.spec.template.spec.containers{name: 'a', resources: Object.spec.template.spec.containers.resources{limits: {'cpu': '1500m'}}}]",
    ),
  ),
  deployment(
    "bad-quantity",
    podSpec(
      "containers: [Object.spec.template.spec.containers{name: 'a', resources: Object.spec.template.spec.containers.resources{limits: {'cpu': 'much'}}}]",
    ),
  ),
  deployment("replicas-text", spec("replicas: '3'")),
  deployment("replicas-double", spec("replicas: 1.5")),
  deployment("replicas-null", spec("replicas: null")),
  deployment("strategy-default", spec("strategy: Object.spec.strategy{type: 'Recreate'}"), {
    object: { spec: { ...(ordinary.Deployment["spec"] as object), strategy: { type: "Recreate" } } },
  }),
  deployment(
    "int-or-string",
    spec(
      "strategy: Object.spec.strategy{rollingUpdate: Object.spec.strategy.rollingUpdate{maxSurge: '50%', maxUnavailable: 1}}",
    ),
  ),
  one("Service", "ports", spec("ports: [Object.spec.ports{port: 81, name: 'b'}]")),
  one("Secret", "secret", "Object{stringData: {'b': 'text'}}"),
  one("Namespace", "of-namespace", labels("x: request.name + '/' + request.namespace")),
  thing("custom", spec("size: object.spec.size + 1, parts: [Object.spec.parts{id: 'q'}], tags: ['a', 'b']")),
  thing("custom-default", spec("parts: [Object.spec.parts{id: 'p', weight: 3}]")),
  thing("custom-unknown", spec("nope: 1")),
  thing("custom-atomic", spec("whole: Object.spec.whole{a: 'b'}")),
  thing("custom-words", spec("words: ['a']")),
  thing("custom-invalid", spec("size: 10")),
  thing("custom-wrong-type", spec("size: 'x'")),
  thing("custom-any", spec("any: {'a': {'b': 'c'}}")),
  thing("custom-double-tag", spec("tags: ['b', 'b']")),
  thing("custom-patch", patch("op: 'add', path: '/spec/words', value: ['a', 'b']", "op: 'remove', path: '/spec/tags'")),
  thing("custom-patch-unknown", patch("op: 'add', path: '/spec/nope', value: 1")),
  thing("custom-patch-kind", patch("op: 'replace', path: '/kind', value: 'Other'")),
  // Patches.
  map("patch-add", patch("op: 'add', path: '/data/b', value: '2'")),
  map(
    "patch-all",
    patch(
      "op: 'test', path: '/data/a', value: '1'",
      "op: 'copy', from: '/data/a', path: '/data/b'",
      "op: 'move', from: '/data/a', path: '/data/c'",
      "op: 'replace', path: '/data/c', value: 'd'",
      "op: 'add', path: '/data/' + jsonpatch.escapeKey('e/f~g'), value: 'h'",
    ),
    { object: { data: { a: "1", "e.f": "2" } } },
  ),
  map("patch-escaped", patch("op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a.b/c'), value: 'h'")),
  map("patch-test-failed", patch("op: 'add', path: '/data/b', value: '2'", "op: 'test', path: '/data/a', value: '2'")),
  map("patch-condition", patches("has(object.data.b) ? [] : [JSONPatch{op: 'add', path: '/data/b', value: 'c'}]")),
  map("patch-condition-not", patches("has(object.data.a) ? [] : [JSONPatch{op: 'add', path: '/data/b', value: 'c'}]")),
  map("patch-missing", patch("op: 'remove', path: '/data/none'")),
  map("patch-missing-parent", patch("op: 'add', path: '/none/x', value: 'y'")),
  map("patch-missing-ignored", patch("op: 'remove', path: '/data/none'"), { fields: lenient }),
  map("patch-unknown-op", patch("op: 'invent', path: '/data/a'")),
  map("patch-no-op", patch("path: '/data/a'")),
  map("patch-no-path", patch("op: 'add', value: '1'")),
  map("patch-no-value", patch("op: 'add', path: '/data/b'")),
  map("patch-null", patch("op: 'add', path: '/data/b', value: null")),
  map("patch-object", patch("op: 'add', path: '/data', value: Object.data{x: 'y'}")),
  map(
    "patch-object-wrong",
    patch("op: 'add', path: '/metadata', value: Object.metadata{labels: Object.wrong{x: 'y'}}"),
  ),
  map("patch-unknown-field", patch("op: 'add', path: '/nope', value: 'x'")),
  map("patch-unknown-ignored", patch("op: 'add', path: '/nope', value: 'x'"), { fields: lenient }),
  map("patch-wrong-type", patch("op: 'add', path: '/data', value: 'x'")),
  map("patch-wrong-value", patch("op: 'add', path: '/data/b', value: 1")),
  map("patch-kind", patch("op: 'replace', path: '/kind', value: 'Secret'")),
  map("patch-kind-unknown", patch("op: 'replace', path: '/kind', value: 'Nope'")),
  map("patch-version", patch("op: 'replace', path: '/apiVersion', value: 'v2'")),
  map("patch-no-kind", patch("op: 'remove', path: '/kind'")),
  map("patch-root", patch("op: 'replace', path: '', value: {'a': 'b'}")),
  map("patch-name", patch("op: 'replace', path: '/metadata/name', value: 'other'")),
  map("patch-op-type", patches("[JSONPatch{op: dyn(1), path: '/data'}]")),
  map("patch-error", patch("op: 'add', path: '/data/b', value: object.data.none")),
  deployment("patch-args", patch("op: 'add', path: '/spec/template/spec/containers/0/args', value: ['x']")),
  deployment(
    "patch-append",
    patch(
      "op: 'add', path: '/spec/template/spec/containers/-', value: Object.spec.template.spec.containers{name: 'z', image: 'z'}",
    ),
  ),
  deployment("patch-default", patch("op: 'remove', path: '/spec/replicas'")),
  deployment(
    "patch-big",
    patch("op: 'add', path: '/spec/template/spec/activeDeadlineSeconds', value: 9007199254740993"),
  ),
  deployment("patch-uint", patch("op: 'replace', path: '/spec/replicas', value: 5u")),
  // What policies and bindings say beside.
  map("condition", labels("x: 'y'"), when("object.data.a == '1'")),
  map("condition-not", labels("x: 'y'"), when("object.data.a == '2'")),
  map("condition-error", labels("x: 'y'"), when("object.data.none == '2'")),
  map("condition-error-ignored", labels("x: 'y'"), when("object.data.none == '2'", lenient)),
  map("variables", data("b: variables.x + variables.y"), {
    fields: {
      variables: [
        { name: "x", expression: "object.data.a" },
        { name: "y", expression: "variables.x + '!'" },
      ],
    },
  }),
  map("variable-anew", [append("2"), applied(data("b: variables.x"))], {
    fields: { variables: [{ name: "x", expression: "object.data.a" }] },
  }),
  map("variable-error", data("b: variables.x"), {
    fields: { variables: [{ name: "x", expression: "object.data.none" }] },
  }),
  map("params", data("b: params.data.value"), {
    fields: mapParams,
    bindings: [{ paramRef: { name: "one", namespace: "mutated", parameterNotFoundAction: "Deny" } }],
  }),
  map("params-selected", append("3"), {
    fields: mapParams,
    bindings: [{ paramRef: { selector: { matchLabels: { of: "params" } }, parameterNotFoundAction: "Deny" } }],
  }),
  map("params-missing", data("b: params.data.value"), {
    fields: mapParams,
    bindings: [{ paramRef: { name: "none", parameterNotFoundAction: "Deny" } }],
  }),
  map("params-missing-allowed", data("b: 'x'"), {
    fields: mapParams,
    bindings: [{ paramRef: { name: "none", parameterNotFoundAction: "Allow" } }],
  }),
  map("params-missing-ignored", data("b: 'x'"), {
    fields: { ...mapParams, ...lenient },
    bindings: [{ paramRef: { name: "none", parameterNotFoundAction: "Deny" } }],
  }),
  map("params-unreferred", labels("x: params == null ? 'none' : 'some'"), { fields: mapParams }),
  map("params-unknown", labels("x: 'y'"), { fields: { paramKind: { apiVersion: "x.example.com/v1", kind: "Nope" } } }),
  map("two-bindings", append("2"), { bindings: [{}, {}] }),
  map("no-binding", append("2"), { bindings: [] }),
  map("binding-selects-not", append("2"), {
    bindings: [{ matchResources: { objectSelector: { matchLabels: { none: "x" } } } }],
  }),
  deployment("update", spec("replicas: oldObject == null ? 7 : 8"), { method: "PUT" }),
  deployment("patched", spec("replicas: 9"), { method: "PATCH" }),
  deployment(
    "status",
    {
      patchType: "JSONPatch",
      jsonPatch: { expression: "[JSONPatch{op: 'add', path: '/metadata/annotations', value: {'s': 'x'}}]" },
    },
    { method: "PUT", subresource: "/status", rule: { resources: ["deployments/status"], operations: ["UPDATE"] } },
  ),
  deployment("scale", spec("replicas: 6"), {
    method: "PATCH",
    subresource: "/scale",
    rule: { resources: ["deployments/scale"], operations: ["UPDATE"] },
  }),
  {
    ...named(
      "Deployment",
      "scale-named",
      "deployments/scale",
      applied(spec("replicas: 6")),
      { subresource: "/scale" },
      "UPDATE",
    ),
    method: "PATCH",
  },
  {
    ...named(
      "Deployment",
      "scale-patched",
      "deployments/scale",
      patch("op: 'replace', path: '/spec/replicas', value: 6"),
      { subresource: "/scale" },
      "UPDATE",
    ),
    method: "PATCH",
  },
  one("HorizontalPodAutoscaler", "other-version", spec("maxReplicas: object.spec.targetCPUUtilizationPercentage")),
  one(
    "HorizontalPodAutoscaler",
    "other-version-patch",
    patch(
      "op: 'replace', path: '/spec/maxReplicas', value: 7",
      "op: 'replace', path: '/apiVersion', value: 'autoscaling/v2'",
    ),
  ),
  one("HorizontalPodAutoscaler", "exact-version", spec("maxReplicas: 9"), {
    fields: {
      matchConstraints: {
        matchPolicy: "Exact",
        objectSelector: { matchLabels: { case: "exact-version" } },
        resourceRules: [
          {
            apiGroups: ["autoscaling"],
            apiVersions: ["v1"],
            operations: ["CREATE"],
            resources: ["horizontalpodautoscalers"],
          },
        ],
      },
    },
  }),
  named("Pod", "evicted", "pods/eviction", applied("Object{metadata: Object.metadata{name: 'other'}}"), {
    subresource: "/eviction",
    body: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "evicted" } },
  }),
  named(
    "Pod",
    "evicted-patch",
    "pods/eviction",
    patch("op: 'add', path: '/deleteOptions', value: {'preconditions': {'uid': 'x'}}"),
    {
      subresource: "/eviction",
      body: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "evicted-patch" } },
    },
  ),
  named("Pod", "bound", "pods/binding", applied("Object{target: Object.target{name: 'n2'}}"), {
    subresource: "/binding",
    body: { apiVersion: "v1", kind: "Binding", metadata: { name: "bound" }, target: { kind: "Node", name: "n1" } },
  }),
  named(
    "Pod",
    "connected",
    "pods/exec",
    applied("Object{tty: true}"),
    { subresource: "/exec", query: "?command=a&stdout=true", body: {} },
    "CONNECT",
  ),
  named(
    "Pod",
    "connected-patch",
    "pods/exec",
    patch("op: 'add', path: '/nope', value: true"),
    { subresource: "/exec", query: "?command=a&stdout=true", body: {} },
    "CONNECT",
  ),
  map("map-literal", "Object{data: {'x.y': 'z', object.data.a: 'b'}}"),
  map("map-literal-keys", "Object{data: {'x.y': 'z', string(object.data.a): 'b'}}"),
  map("patch-none", patches("[]")),
  map("patch-no-list", patches("JSONPatch{op: 'test'}")),
  map("patch-unknown-member", patch("nope: 1")),
  map("wrong-result", "Object.data{a: 'b'}"),
  map("null-result", "null"),
  map("any-result", "object"),
  map("elsewhere-condition", labels("x: 'y'"), when("Object{} != null")),
  map("elsewhere-variable", labels("x: 'y'"), { fields: { variables: [{ name: "x", expression: "JSONPatch{}" }] } }),
  map("server-side", labels("x: 'y'"), {
    method: "PATCH",
    query: "?fieldManager=m",
    type: "application/apply-patch+yaml",
    body: {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "server-side", labels: { case: "server-side" } },
      data: { b: "2" },
    },
  }),
  map("strategic", labels("x: 'y'"), {
    method: "PATCH",
    type: "application/strategic-merge-patch+json",
    body: { data: { b: "2" } },
  }),
  map("timestamp-value", data("t: timestamp('2020-01-01T00:00:00Z')")),
  map("timestamp-patch", patch("op: 'add', path: '/data/t', value: timestamp('2020-01-01T00:00:00Z')")),
  map("duration-patch", patch("op: 'add', path: '/data/t', value: duration('90s')")),
  map("bytes-patch", patch("op: 'add', path: '/data/t', value: b'abc'")),
  map("bytes-value", "Object{binaryData: Object.binaryData{b: b'abc'}}"),
  map("type-patch", patch("op: 'add', path: '/data/t', value: type(1)")),
  map("quantity-patch", patch("op: 'add', path: '/data/t', value: quantity('1')")),
  map("optional-patch", patch("op: 'add', path: '/data/t', value: optional.of('x')")),
  map("null-in-patch", patch("op: 'add', path: '/data', value: Object.data{x: null}")),
  map("number-keys", "Object{data: {1: 'x'}}"),
  map("computed", data("b: object.data.map(k, k + '=' + object.data[k]).join(',')")),
  map("copied-labels", "Object{metadata: Object.metadata{annotations: object.metadata.labels}}"),
  map("whole-object", "Object{metadata: object.metadata, data: object.data}"),
  map("old-object", labels("x: oldObject == null ? 'none' : 'some'")),
  deployment("copied-template", spec("template: object.spec.template")),
  deployment(
    "list-of-objects",
    podSpec(
      "initContainers: object.spec.template.spec.containers.map(c, Object.spec.template.spec.initContainers{name: 'i' + c.name, image: c.image})",
    ),
  ),
  deployment(
    "list-summed",
    podSpec(
      "containers: [Object.spec.template.spec.containers{name: 'b', image: 'b'}] + [Object.spec.template.spec.containers{name: 'c', image: 'c'}]",
    ),
  ),
  deployment(
    "summed-wrong",
    podSpec(
      "containers: [Object.spec.wrong{name: 'b', image: 'b'}] + [Object.spec.template.spec.containers{name: 'c', image: 'c'}]",
    ),
  ),
  deployment("empty-list", podSpec("containers: []")),
  one("Pod", "pod", spec("terminationGracePeriodSeconds: 5")),
  one(
    "Pod",
    "pod-volumes",
    spec("volumes: [Object.spec.volumes{name: 'v', emptyDir: Object.spec.volumes.emptyDir{}}]"),
  ),
];
