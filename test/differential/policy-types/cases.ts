/** Policies whose expressions are checked against the kinds that they are about, by upstream (record.ts) and by us (the test). */
import { until } from "#shared/testing/until.ts";

const policiesPath = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const definitionPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/** Answers once the custom kind is served. */
const customPath = "/apis/t.example.com/v1/namespaces/default/things";

const text = { type: "string" };

/** A custom kind, as object and as params. */
export const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "things.t.example.com" },
  spec: {
    group: "t.example.com",
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
                  size: { type: "integer" },
                  "side-name": text,
                  namespace: text,
                  at: { type: "string", format: "date-time" },
                  port: { "x-kubernetes-int-or-string": true },
                  any: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
                  labels: { type: "object", additionalProperties: text },
                },
              },
            },
          },
        },
      },
    ],
  },
};

interface Rule {
  readonly apiGroups: readonly string[];
  readonly apiVersions: readonly string[];
  readonly resources: readonly string[];
}

export interface PolicyCase {
  readonly name: string;
  readonly spec: object;
  /** What it is changed to once it was checked. */
  readonly later?: object | undefined;
}

const rule = (apiGroups: readonly string[], apiVersions: readonly string[], resources: readonly string[]): Rule => ({
  apiGroups,
  apiVersions,
  resources,
});
const maps = rule([""], ["v1"], ["configmaps"]);
const pods = rule([""], ["v1"], ["pods"]);
const deployments = rule(["apps"], ["v1"], ["deployments"]);
const things = rule(["t.example.com"], ["v1"], ["things"]);

function policy(
  name: string,
  rules: readonly Rule[],
  expressions: readonly (string | { readonly expression: string; readonly messageExpression?: string })[],
  more: object = {},
): PolicyCase {
  const spec = {
    matchConstraints: { resourceRules: rules.map((each) => ({ ...each, operations: ["CREATE", "UPDATE"] })) },
    validations: expressions.map((each) => (typeof each === "string" ? { expression: each } : each)),
    ...more,
  };
  return { name, spec };
}

const things_v1 = { apiVersion: "t.example.com/v1", kind: "Thing" };

/** One policy that becomes another. */
const changed = (former: PolicyCase, later: PolicyCase): PolicyCase => ({ ...former, later: later.spec });

export const policies: readonly PolicyCase[] = [
  policy("fits", [maps], ["object.data.size() > 1", "has(object.data) && object.data['a'] == 'b'"]),
  policy("core-group", [maps], ["object.dta.size() > 1"]),
  policy("other-group", [deployments], ["object.replicas > 1", "object.spec.replicas > '1'"]),
  policy("two-faults", [deployments], ["object.a == object.b"]),
  policy("several-kinds", [pods, deployments], ["object.spec.replicas > 1", "object.spec.nodeName == 'a'"]),
  policy(
    "order",
    [rule(["apps"], ["v1"], ["statefulsets", "deployments"])],
    ["object.spec.serviceName == ''", "object.none == 1", "object.spec.strategy.type == 'Recreate'"],
  ),
  policy("both-texts", [maps], [{ expression: "object.x == 1", messageExpression: "string(object.y)" }]),
  policy(
    "message-alone",
    [maps],
    [{ expression: "true", messageExpression: "string(object.kind) + string(object.data[1])" }],
  ),
  policy("variables", [maps], ["variables.a == 1", "variables.b"], {
    variables: [
      { name: "a", expression: "object.none" },
      { name: "b", expression: "size(object.data) > 1" },
    ],
  }),
  policy("variable-of-type", [maps], ["variables.a == 'x'"], {
    variables: [{ name: "a", expression: "object.data" }],
  }),
  policy("wildcard-group", [rule(["*"], ["v1"], ["configmaps"]), deployments], ["object.none == 1"]),
  policy("wildcard-version", [rule([""], ["*"], ["configmaps"])], ["object.none == 1"]),
  policy("wildcard-resource", [rule([""], ["v1"], ["*"])], ["object.none == 1"]),
  policy("some-subresources", [rule([""], ["v1"], ["pods/status", "configmaps"])], ["object.none == 1"]),
  policy("core-group-means-any", [rule([""], ["v1"], ["deployments"])], ["object.none == 1"]),
  policy("unknown-kind", [rule(["none.example.com"], ["v1"], ["nones"])], ["object.none == 1"]),
  policy(
    "more-than-ten",
    [
      rule(
        [""],
        ["v1"],
        [
          "configmaps",
          "endpoints",
          "limitranges",
          "namespaces",
          "nodes",
          "persistentvolumeclaims",
          "persistentvolumes",
          "pods",
          "podtemplates",
          "replicationcontrollers",
          "resourcequotas",
          "secrets",
          "serviceaccounts",
          "services",
        ],
      ),
    ],
    ["object.none == 1"],
  ),
  policy(
    "times",
    [maps],
    [
      "object.metadata.creationTimestamp > timestamp('2020-01-01T00:00:00Z')",
      "object.metadata.creationTimestamp == 'a'",
      "object.metadata.creationTimestamp.getFullYear() > 2020",
    ],
  ),
  policy(
    "bytes",
    [rule([""], ["v1"], ["secrets"])],
    ["object.data['a'] == b'x'", "object.data['a'] == 'x'", "object.stringData['a'] == 1"],
  ),
  policy(
    "quantities",
    [pods],
    [
      "object.spec.containers.all(c, c.resources.limits['cpu'] == '1')",
      "object.spec.containers.all(c, c.resources.limits['cpu'] == 1)",
      "object.spec.containers.all(c, has(c.resources.limits))",
      "object.spec.overhead.size() > 0",
    ],
  ),
  policy(
    "int-or-string",
    [pods],
    [
      "object.spec.containers[0].livenessProbe.httpGet.port == 80",
      "object.spec.containers[0].livenessProbe.httpGet.port == 'web'",
      "object.spec.containers[0].ports[0].containerPort == 'web'",
    ],
  ),
  policy(
    "reserved-names",
    [pods],
    ["object.metadata.namespace == 'a'", "object.metadata.__namespace__ == 'a'", "object.metadata.namespase == 'a'"],
  ),
  policy(
    "managed-fields",
    [maps],
    ["object.metadata.managedFields[0].fieldsV1.a == 1", "object.metadata.managedFields[0].time == 'x'"],
  ),
  policy("old-object", [maps], ["oldObject.data['a'] == 1", "oldObject == null || object == oldObject"]),
  policy("request", [maps], ["request.operation == 'CREATE'", "request.options.none == 1"]),
  policy(
    "custom-kind",
    [things],
    [
      "object.spec.size == 'a'",
      "object.spec.__namespace__ == 'a'",
      "object.spec.side__dash__name == 1",
      "object.spec.at > timestamp('2020-01-01T00:00:00Z')",
      "object.spec.port == 1",
      "object.spec.any.a == 1",
      "object.spec.labels['a'] == 1",
      "object.metadata.labels['a'] == 1",
      "object.metadata.none == 1",
      "object.status == 1",
    ],
  ),
  policy("params", [maps], ["params.spec.size > 1", "params.spec.none > 1", "params.spec.size > 'a'"], {
    paramKind: { apiVersion: "t.example.com/v1", kind: "Thing" },
  }),
  policy("params-of-unknown-kind", [maps], ["params.spec.size > 1"], {
    paramKind: { apiVersion: "none.example.com/v1", kind: "None" },
  }),
  policy("params-of-core-kind", [maps], ["params.data['a'] == 1", "params.dta['a'] == 'b'"], {
    paramKind: { apiVersion: "v1", kind: "ConfigMap" },
  }),
  policy(
    "namespace",
    [maps],
    ["namespaceObject.metadata.labels['a'] == 'b'", "authorizer.group('').resource('pods').check('get').allowed()"],
  ),
  policy(
    "calls",
    [maps],
    [
      "size(object.metadata.generation) > 1",
      "object.kind.startsWith(1)",
      "object.data.all(k, object.data[k].contains(1))",
      "object.metadata.finalizers.exists(f, f == 1)",
      "object.kind.all(k, true)",
      "object.metadata.generation.size() > 1",
      "object.metadata.creationTimestamp - object.metadata.creationTimestamp == 1",
      "has(object.dta) || has(object.data.a)",
      "has(object.metadata.none.more)",
    ],
  ),
  policy("syntax", [maps], ["foo(object.data)"]),
  policy("syntax-of-member", [maps], ["object.data.foo(1)"]),
  policy("syntax-of-has", [maps], ["has(object)"]),
  policy("syntax-of-overload", [maps], ["size(1) > 1"]),
  policy("syntax-of-macro", [maps], ["[1].all(1, true)"]),
  policy(
    "arbitrary-json",
    [rule(["apps"], ["v1"], ["controllerrevisions"])],
    ["object.data.a == 1", "object.revision == 'a'"],
  ),
  policy(
    "cluster-scoped",
    [rule([""], ["v1"], ["nodes", "namespaces"])],
    ["object.spec.podCIDR == 1", "object.spec.none"],
  ),
  policy(
    "two-versions",
    [rule(["autoscaling"], ["v1", "v2"], ["horizontalpodautoscalers"])],
    ["object.spec.metrics == 1"],
  ),
  policy("subresource-alone", [rule(["apps"], ["v1"], ["deployments/scale"])], ["object.spec.replicas == 'a'"]),
  policy(
    "comprehensions",
    [pods],
    [
      "object.spec.containers.map(c, c.nme).size() > 0",
      "object.spec.containers.filter(c, c.image == 1).size() > 0",
      "object.spec.containers.exists_one(c, c.ports.all(p, p.hostPort > 'a'))",
      "object.spec.volumes.all(v, has(v.hostPath.none))",
    ],
  ),
  policy(
    "optionals",
    [deployments],
    [
      "object.?metadata.?labels['a'].orValue('') == 'b'",
      "object.?spec.?none.orValue(1) == 1",
      "object.spec.?replicas.orValue('a') == 1",
      "object.spec.?paused.hasValue() > 1",
    ],
  ),
  policy(
    "quantities-as-values",
    [pods],
    [
      "quantity(object.spec.containers[0].resources.limits['cpu']).isGreaterThan(quantity('1'))",
      "quantity(object.spec.containers[0].image).isGreaterThan(1)",
      "quantity(object.spec.hostNetwork).sign() > 0",
    ],
  ),
  policy(
    "libraries",
    [rule([""], ["v1"], ["services"])],
    [
      "ip(object.spec.clusterIP).family() == 4",
      "ip(object.spec.ports[0].port).family() == 4",
      "cidr('10.0.0.0/8').containsIP(object.spec.ports)",
      "url(object.spec.externalName).getHost() == 1",
      "format.dns1123Label().validate(object.metadata.name).hasValue()",
      "format.dns1123Label().validate(object.metadata.labels).hasValue()",
      "object.metadata.name.find(1) == ''",
      "sets.contains(object.spec.externalIPs, [1])",
      "semver('1.0.0').isLessThan(object.spec.type)",
      "object.spec.ports.isSorted()",
      "object.metadata.name.split(',').join() == object.metadata",
    ],
  ),
  policy(
    "request-fields",
    [maps],
    [
      "request.userInfo.groups.exists(g, g == 1)",
      "request.userInfo.name == 'a'",
      "request.kind.none == ''",
      "request.resource.resource == 1",
      "request.dryRun == 'a'",
      "request.name.size() > 'a'",
    ],
  ),
  policy("namespace-fields", [maps], ["namespaceObject.spec.none == 1", "namespaceObject.metadata.name == 1"]),
  policy("namespace-fields-of-status", [maps], ["namespaceObject.status.phase == 1", "namespaceObject.none"]),
  policy("authorizer-misused", [maps], ["authorizer.group(object.data).resource('pods').check('get').allowed()"]),
  policy(
    "old-object-of-several",
    [pods, deployments],
    ["oldObject.spec.replicas == 'a'", "oldObject.spec.nodeName == 1"],
  ),
  policy("params-in-variables", [maps], ["variables.size > 1", "variables.none"], {
    paramKind: things_v1,
    variables: [
      { name: "size", expression: "params.spec.size" },
      { name: "none", expression: "params.spec.none > 1" },
    ],
  }),
  policy("params-of-several-kinds", [maps, pods], ["params.spec.size == object.spec.nodeName"], {
    paramKind: things_v1,
  }),
  policy("params-of-unknown-version", [maps], ["params.spec.size > 'a'"], {
    paramKind: { apiVersion: "t.example.com/v9", kind: "Thing" },
  }),
  policy("params-of-unknown-core-kind", [maps], ["params.none > 1"], { paramKind: { apiVersion: "v1", kind: "Nope" } }),
  policy("params-of-cluster-kind", [maps], ["params.spec.none > 1"], { paramKind: { apiVersion: "v1", kind: "Node" } }),
  policy("params-not-declared", [maps], ["params.spec.size > 1"]),
  policy(
    "params-of-custom-and-custom-object",
    [things],
    ["object.spec.size == params.spec.labels", "params.spec.at == 1"],
    {
      paramKind: things_v1,
    },
  ),
  policy("variables-of-variables", [maps], ["variables.c"], {
    variables: [
      { name: "a", expression: "object.data" },
      { name: "b", expression: "variables.a.all(k, variables.a[k] == 1)" },
      { name: "c", expression: "variables.b && variables.a == 1" },
    ],
  }),
  policy("message-of-no-text", [maps], [{ expression: "true", messageExpression: "1" }]),
  policy("validation-of-no-truth", [maps], ["object.metadata.name"]),
  policy("ternary", [deployments], ["(object.spec.replicas > 1 ? object.spec.paused : object.spec.strategy) == true"]),
  policy("same-fault-twice", [maps, pods], ["object.none == 1", "object.none == 1"]),
  policy("excluded-rules", [maps], ["object.none == 1"], {
    matchConstraints: {
      resourceRules: [{ ...maps, operations: ["CREATE"] }],
      excludeResourceRules: [{ ...maps, operations: ["CREATE"] }],
    },
  }),
  policy("named-resources", [maps], ["object.none == 1"], {
    matchConstraints: { resourceRules: [{ ...maps, operations: ["*"], resourceNames: ["a"], scope: "Namespaced" }] },
  }),
  changed(policy("mended", [maps], ["object.none == 1"]), policy("mended", [maps], ["object.data['a'] == 'b'"])),
  changed(policy("broken-later", [maps], ["has(object.data)"]), policy("broken-later", [maps], ["object.none == 1"])),
  changed(
    policy("other-fault", [maps], ["object.none == 1"]),
    policy("other-fault", [pods], ["object.spec.none == 1"]),
  ),
  policy("conditions-are-not-checked", [maps], ["true"], {
    matchConditions: [{ name: "a", expression: "object.none == 1" }],
    auditAnnotations: [{ key: "a", valueExpression: "string(object.none)" }],
  }),
];

export interface TypeChecking {
  readonly observedGeneration?: number;
  readonly typeChecking?: { readonly expressionWarnings?: readonly { fieldRef: string; warning: string }[] };
}

export type Ask = (
  path: string,
  init?: { method: string; body: string; headers: Record<string, string> },
) => Promise<Response>;

const post = (body: object) => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

export async function createDefinition(ask: Ask): Promise<void> {
  await ask(definitionPath, post(definition));
  await until("the custom kind", async () => (await ask(customPath)).status === 200);
}

/** What is written into a policy's status, or how the policy is refused. */
export async function checked(ask: Ask, { name, spec, later }: PolicyCase): Promise<object> {
  const object = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicy",
    metadata: { name },
    spec,
  };
  const created = await ask(policiesPath, post(object));
  if (created.status !== 201) return { refused: ((await created.json()) as { message: string }).message };
  const at = (generation: number): Promise<TypeChecking> =>
    until(`${name} to be checked`, async () => {
      const { status } = (await (await ask(`${policiesPath}/${name}`)).json()) as { status?: TypeChecking };
      return status?.observedGeneration === generation ? withoutNumbers(status) : undefined;
    });
  const first = await at(1);
  if (later === undefined) return first;
  const body = JSON.stringify({ spec: later });
  const headers = { "content-type": "application/merge-patch+json" };
  await ask(`${policiesPath}/${name}`, { method: "PATCH", body, headers });
  return { first, later: await at(2) };
}

/** Upstream numbers the types that it makes by the clock. */
function withoutNumbers(status: TypeChecking): TypeChecking {
  return JSON.parse(JSON.stringify(status).replace(/\b([A-Z][A-Za-z]+)\d{3,9}\b/g, "$1")) as TypeChecking;
}
