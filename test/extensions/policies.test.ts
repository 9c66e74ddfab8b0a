/** CEL: rules of CustomResourceDefinitions and ValidatingAdmissionPolicies, through the real kubectl. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { configMaps, customResourceDefinitions, validatingAdmissionPolicies } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import { type ExtendedServer, eventually, startExtendedServer } from "./extended-server.ts";

setDefaultTimeout(300_000);

let server: ExtendedServer;
beforeAll(async () => {
  server = await startExtendedServer(["work", "strict"]);
});
afterAll(() => server.stop());

const apply = (object: object) => server.kubectl(["apply", "-f", "-"], JSON.stringify(object));

describe("rules of a CustomResourceDefinition", () => {
  const validations = (...rules: object[]) => ({ "x-kubernetes-validations": rules });
  const definition = (spec: object) => ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "boats.sea.example.com" },
    spec: {
      group: "sea.example.com",
      scope: "Namespaced",
      names: { plural: "boats", kind: "Boat" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", properties: { spec } } },
        },
      ],
    },
  });
  const spec = {
    type: "object",
    properties: {
      min: { type: "integer" },
      max: { type: "integer" },
      home: { type: "string", ...validations({ rule: "self == oldSelf", message: "home is for ever" }) },
      memory: { type: "string", ...validations({ rule: "quantity(self).isLessThan(quantity('1Gi'))" }) },
      crew: {
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        items: {
          type: "object",
          required: ["name"],
          properties: {
            name: { type: "string" },
            rank: {
              type: "integer",
              ...validations({ rule: "self >= oldSelf", reason: "FieldValueForbidden", message: "nobody is demoted" }),
            },
          },
        },
      },
      "side-boats": { type: "integer" },
    },
    ...validations(
      {
        rule: "!has(self.min) || !has(self.max) || self.min <= self.max",
        messageExpression: "'min %d is over max %d'.format([self.min, self.max])",
        fieldPath: ".min",
      },
      { rule: "!has(self.side__dash__boats) || self.side__dash__boats < 3" },
    ),
  };
  const boat = (fields: object) => ({
    apiVersion: "sea.example.com/v1",
    kind: "Boat",
    metadata: { name: "b", namespace: "work" },
    spec: fields,
  });

  test("are refused where they do not compile", async () => {
    const refused = await apply(definition({ ...spec, "x-kubernetes-validations": [{ rule: "self.nope > 1" }] }));
    expect(refused.stderr).toContain("compilation failed: ERROR: <input>:1:5: undefined field 'nope'");
    const list = { type: "array", items: { type: "string", ...validations({ rule: "self == oldSelf" }) } };
    const uncorrelated = await apply(definition({ type: "object", properties: { list } }));
    expect(uncorrelated.stderr).toContain("oldSelf cannot be used on the uncorrelatable portion of the schema");
  });

  test("judge objects and their changes", async () => {
    expect((await apply(definition(spec))).stderr).toBe("");
    await eventually(async () => {
      const found = await server.client.get(customResourceDefinitions, { name: "boats.sea.example.com" });
      return (
        found.status?.conditions?.some(({ type, status }) => type === "Established" && status === "True") || undefined
      );
    });
    const bad = await apply(boat({ min: 3, max: 2, memory: "2Gi", "side-boats": 5 }));
    expect(bad.stderr).toContain("spec.min: Invalid value: min 3 is over max 2");
    expect(bad.stderr).toContain(
      "spec.memory: Invalid value: \"2Gi\": failed rule: quantity(self).isLessThan(quantity('1Gi'))",
    );
    expect(bad.stderr).toContain("spec: Invalid value: failed rule: !has(self.side__dash__boats)");
    expect((await apply(boat({ min: 1, home: "x", crew: [{ name: "ann", rank: 2 }] }))).stderr).toBe("");
    const moved = await apply(
      boat({
        min: 1,
        home: "y",
        crew: [
          { name: "bo", rank: 0 },
          { name: "ann", rank: 1 },
        ],
      }),
    );
    expect(moved.stderr).toContain('spec.home: Invalid value: "y": home is for ever');
    expect(moved.stderr).toContain("spec.crew[1].rank: Forbidden: nobody is demoted");
    expect(
      (
        await apply(
          boat({
            min: 2,
            home: "x",
            crew: [
              { name: "bo", rank: 0 },
              { name: "ann", rank: 3 },
            ],
          }),
        )
      ).stderr,
    ).toBe("");
  });
});

describe("a ValidatingAdmissionPolicy", () => {
  const policy = (fields: object) => ({
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicy",
    metadata: { name: "limits" },
    spec: {
      failurePolicy: "Fail",
      matchConstraints: {
        resourceRules: [
          { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["configmaps"] },
        ],
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "strict" } },
      },
      ...fields,
    },
  });
  const binding = (fields: object) => ({
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicyBinding",
    metadata: { name: "bound" },
    spec: { policyName: "limits", validationActions: ["Deny"], ...fields },
  });
  const configMap = (data: Record<string, string>): ConfigMap => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { generateName: "c-" },
    data,
  });
  const create = (namespace: string, data: Record<string, string>) =>
    server.client.create(configMaps, configMap(data), { namespace });

  test("is refused where it does not compile", async () => {
    const refused = await apply(policy({ validations: [{ expression: "object.x +" }] }));
    expect(refused.stderr).toContain("spec.validations[0].expression");
    expect(refused.stderr).toContain("compilation failed");
  });

  test("judges by variables, params and its message", async () => {
    await apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "params", namespace: "work" },
      data: { most: "2" },
    });
    const fields = {
      paramKind: { apiVersion: "v1", kind: "ConfigMap" },
      variables: [
        { name: "count", expression: "has(object.data) ? size(object.data) : 0" },
        { name: "most", expression: "int(params.data.most)" },
      ],
      validations: [
        {
          expression: "variables.count <= variables.most",
          messageExpression:
            "'%d of %d in %s'.format([variables.count, variables.most, namespaceObject.metadata.name])",
        },
      ],
      matchConditions: [{ name: "not-free", expression: "!has(object.data) || !('free' in object.data)" }],
      auditAnnotations: [{ key: "count", valueExpression: "string(variables.count)" }],
    };
    expect((await apply(policy(fields))).stderr).toBe("");
    expect(
      (await apply(binding({ paramRef: { name: "params", namespace: "work", parameterNotFoundAction: "Deny" } })))
        .stderr,
    ).toBe("");
    await create("strict", { a: "1", b: "2" });
    await create("work", { a: "1", b: "2", c: "3" });
    await create("strict", { a: "1", b: "2", free: "3" });
    await expect(create("strict", { a: "1", b: "2", c: "3" })).rejects.toThrow(
      "ValidatingAdmissionPolicy 'limits' with binding 'bound' denied request: 3 of 2 in strict",
    );
    const refused = await create("strict", { a: "1", b: "2", c: "3" }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ reason: "Invalid", code: 422 });
    expect(server.api.metrics.read()).toContain(
      'apiserver_validating_admission_policy_check_total{policy="limits",policy_binding="bound",error_type="invalid_error",enforcement_action="deny"} 2\n',
    );
    await server.client.delete(configMaps, { namespace: "work", name: "params" });
    await expect(create("strict", { a: "1" })).rejects.toThrow(
      "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
    );
  });

  test("may ask what else the caller may do, and only warn", async () => {
    const validations = [
      {
        expression: "authorizer.group('').resource('secrets').namespace('strict').check('delete').allowed()",
        message: "only for who may delete secrets",
        reason: "Forbidden",
      },
    ];
    expect(
      (
        await apply(
          policy({ validations, paramKind: null, matchConditions: null, variables: null, auditAnnotations: null }),
        )
      ).stderr,
    ).toBe("");
    expect((await apply(binding({ paramRef: null }))).stderr).toBe("");
    await create("strict", { a: "1" });
    expect((await apply(policy({ validations: [{ expression: "size(object.data) > 1" }] }))).stderr).toBe("");
    expect((await apply(binding({ validationActions: ["Warn"] }))).stderr).toBe("");
    const warned = await server.kubectl(["create", "configmap", "w", "-n", "strict", "--from-literal=a=1"]);
    expect(warned.code).toBe(0);
    expect(warned.stderr).toContain(
      "Warning: Validation failed for ValidatingAdmissionPolicy 'limits' with binding 'bound': failed expression: size(object.data) > 1",
    );
  });

  test("is checked against the kinds that it is about", async () => {
    expect((await apply(policy({ validations: [{ expression: "object.dta.size() > 1" }] }))).stderr).toBe("");
    const warnings = await eventually(async () => {
      const { status, metadata } = await server.client.get(validatingAdmissionPolicies, { name: "limits" });
      return status?.observedGeneration === metadata.generation ? status?.typeChecking?.expressionWarnings : undefined;
    });
    expect(warnings[0]?.fieldRef).toBe("spec.validations[0].expression");
    expect(warnings[0]?.warning).toStartWith("/v1, Kind=ConfigMap: ERROR: <input>:1:7: undefined field 'dta'");
  });

  test("says who may bring webhooks, and not who may bring policies", async () => {
    const matchConstraints = {
      resourceRules: [
        { apiGroups: ["admissionregistration.k8s.io"], apiVersions: ["*"], operations: ["CREATE"], resources: ["*"] },
      ],
    };
    const metadata = { name: "no-webhooks" };
    const validations = [{ expression: "false", message: "no webhooks here" }];
    expect((await apply({ ...policy({ validations, matchConstraints }), metadata })).stderr).toBe("");
    expect((await apply({ ...binding({ policyName: "no-webhooks" }), metadata })).stderr).toBe("");
    const webhooks = (name: string): object => ({
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: { name },
    });
    await eventually(async () => {
      const { stderr } = await apply(webhooks(`hooks-${crypto.randomUUID()}`));
      return stderr.includes("no webhooks here") || undefined;
    });
    expect((await apply({ ...policy({ validations, matchConstraints }), metadata: { name: "more" } })).stderr).toBe("");
    await server.client.delete(validatingAdmissionPolicies, { name: "no-webhooks" });
  });
});
