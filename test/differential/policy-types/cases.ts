/** Policies whose expressions are checked against the kinds that they are about, by upstream (record.ts) and by us (the test). */

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

const until = async <T>(look: () => Promise<T | undefined>): Promise<T> => {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await Bun.sleep(50);
  }
};

const post = (body: object) => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

export async function createDefinition(ask: Ask): Promise<void> {
  await ask(definitionPath, post(definition));
  await until(async () => ((await ask(customPath)).status === 200 ? true : undefined));
}

/** What is written into a policy's status, or how the policy is refused. */
export async function checked(ask: Ask, { name, spec }: PolicyCase): Promise<object> {
  const created = await ask(
    policiesPath,
    post({
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name },
      spec,
    }),
  );
  if (created.status !== 201) return { refused: ((await created.json()) as { message: string }).message };
  return until(async () => {
    const { status } = (await (await ask(`${policiesPath}/${name}`)).json()) as { status?: TypeChecking };
    return status?.observedGeneration === undefined ? undefined : withoutNumbers(status);
  });
}

/** Upstream numbers the types that it makes by the clock. */
function withoutNumbers(status: TypeChecking): TypeChecking {
  return JSON.parse(JSON.stringify(status).replace(/\b([A-Z][A-Za-z]+)\d{3,9}\b/g, "$1")) as TypeChecking;
}
