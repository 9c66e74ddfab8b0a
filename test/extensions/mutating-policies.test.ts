/** Several mutating policies and webhooks at one write: their order, and who is asked again. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { configMaps, mutatingAdmissionPolicies, mutatingAdmissionPolicyBindings } from "#shared/api/resources.ts";
import type { MutatingAdmissionPolicy } from "#shared/api/types/admissionregistration-v1beta1.generated.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import { optionalDeclarations } from "../../master/apiserver/resources/index.ts";
import type { ExtendedServer } from "./extended-server.ts";
import { startWebhook, type WebhookFixture } from "./webhook-fixture.ts";

setDefaultTimeout(300_000);

interface Review {
  readonly uid: string;
  readonly object?: ConfigMap;
}

/** Of what is labelled for it the webhook changes a value. */
function answer({ object }: Review): object {
  const { data, metadata } = object ?? {};
  if (!metadata?.labels?.["hooked"]) return { allowed: true };
  const patch = [{ op: "replace", path: "/data/a", value: `${data?.["a"]}w` }];
  return { allowed: true, patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") };
}

let fixture: WebhookFixture;
let server: ExtendedServer;
beforeAll(async () => {
  fixture = await startWebhook<Review>({
    kind: "Mutating",
    rule: { apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] },
    answer,
    more: () => ({ declarations: optionalDeclarations }),
  });
  ({ server } = fixture);
});
afterAll(() => fixture.stop());

type Spec = MutatingAdmissionPolicy["spec"];
const apiVersion = "admissionregistration.k8s.io/v1beta1";

/** A policy for what is labelled with `of`. */
async function policy(
  name: string,
  of: string,
  expressions: readonly string[],
  fields: Partial<Spec> = {},
): Promise<void> {
  await server.client.create(mutatingAdmissionPolicies, {
    apiVersion,
    kind: "MutatingAdmissionPolicy",
    metadata: { name },
    spec: {
      failurePolicy: "Fail",
      reinvocationPolicy: "Never",
      matchConstraints: {
        objectSelector: { matchLabels: { of } },
        resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["*"], resources: ["configmaps"] }],
      },
      mutations: expressions.map((expression) => ({
        patchType: "ApplyConfiguration",
        applyConfiguration: { expression },
      })),
      ...fields,
    },
  });
  await server.client.create(mutatingAdmissionPolicyBindings, {
    apiVersion,
    kind: "MutatingAdmissionPolicyBinding",
    metadata: { name },
    spec: { policyName: name },
  });
}

const append = (text: string): string => `Object{data: Object.data{a: object.data.a + '${text}'}}`;

async function made(name: string, more: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const { data } = await server.client.create(configMaps, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "work", labels: { of: name, ...more } },
    data: { a: "1" },
  });
  return data?.["a"];
}

test("policies are asked by their names, each sees what those before have left", async () => {
  await policy("order-b", "order", [append("b")]);
  await policy("order-a", "order", [append("a"), append("A")]);
  expect(await made("order")).toBe("1aAb");
});

test("those that may be asked again are, once, after the others", async () => {
  await policy("again-a", "again", [append("a")], { reinvocationPolicy: "IfNeeded" });
  await policy("again-b", "again", [append("b")]);
  await policy("again-c", "again", [append("c")], { reinvocationPolicy: "IfNeeded" });
  expect(await made("again")).toBe("1abcac");
});

test("a webhook that changes what policies have left has those asked again that may be", async () => {
  await policy("hooked-a", "hooked", [append("a")], { reinvocationPolicy: "IfNeeded" });
  await policy("hooked-b", "hooked", [append("b")]);
  expect(await made("hooked", { hooked: "yes" })).toBe("1abwa");
});

test("all faults are told, the first of them first; those of a policy that bears with them are not", async () => {
  await policy("faults-a", "faults", ["Object{data: object.data.x}"], { failurePolicy: "Ignore" });
  await policy("faults-b", "faults", ["Object{data: object.data.y}", append("b")]);
  await policy("faults-c", "faults", ["Object{nope: 1}"]);
  const refusal = await made("faults").catch((error: unknown) => error);
  const [b, c] = [
    "policy 'faults-b' with binding 'faults-b' denied request: expression 'Object{data: object.data.y}' resulted in error: no such key: y",
    "policy 'faults-c' with binding 'faults-c' denied request: error applying patch: failed to convert patch object to typed object: .nope: field not declared in schema",
  ];
  expect(refusal).toMatchObject({ reason: "Invalid", message: b, code: 403 });
  expect((refusal as { options: { causes: unknown } }).options.causes).toEqual([{ message: b }, { message: c }]);
});

test("neither policies nor their bindings are changed by any", async () => {
  await policy("own", "own", [append("x")], {
    matchConstraints: {
      resourceRules: [
        { apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["mutatingadmissionpolicies"] },
      ],
    },
    mutations: [
      {
        patchType: "ApplyConfiguration",
        applyConfiguration: { expression: "Object{spec: Object.spec{failurePolicy: 'Ignore'}}" },
      },
    ],
  });
  await policy("own-other", "own-other", [append("x")]);
  const { spec } = await server.client.get(mutatingAdmissionPolicies, { name: "own-other" });
  expect(spec.failurePolicy).toBe("Fail");
});
