/** What admission webhooks are asked: by which operations, and with what in the request. Expectations were seen at
 *  upstream's API server 1.35. */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { validatingWebhookConfigurations } from "#shared/api/resources.ts";
import { type BackingServer, type ExtendedServer, startBacking, startExtendedServer } from "./extended-server.ts";

setDefaultTimeout(300_000);

interface Asked {
  readonly uid: string;
  readonly operation: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly kind: { readonly kind: string };
  readonly object: Record<string, unknown> | null;
  readonly oldObject: { readonly metadata: Record<string, unknown> } | null;
  readonly options: object | null;
}

let server: ExtendedServer;
let hook: BackingServer;
const asked: Asked[] = [];

beforeAll(async () => {
  server = await startExtendedServer(["hooks", "work"]);
  hook = await startBacking(server, "hooks", "hook", ({ body }, response) => {
    const { request } = JSON.parse(body) as { readonly request: Asked };
    asked.push(request);
    const answer = { uid: request.uid, allowed: true };
    response.end(JSON.stringify({ kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", response: answer }));
  });
  await server.client.create(validatingWebhookConfigurations, {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    metadata: { name: "all" },
    webhooks: [
      {
        name: "all.example.com",
        clientConfig: { service: { namespace: "hooks", name: "hook" }, caBundle: hook.caBundle },
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
        // Without those that the server writes itself in the meantime.
        rules: [{ apiGroups: ["", "policy"], apiVersions: ["*"], operations: ["*"], resources: ["*/*"] }],
      },
    ],
  });
});

afterAll(async () => {
  hook.stop();
  await server.stop();
});

beforeEach(() => {
  asked.length = 0;
});

const work = "/api/v1/namespaces/work";

async function send(method: string, path: string, body?: object, type = "application/json"): Promise<number> {
  const headers = body ? { "Content-Type": type } : {};
  const response = await server.fetch(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  await response.text();
  return response.status;
}

const configMap = (name: string, labels = {}) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels } });
const pod = (name: string, spec = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: { containers: [{ name: "c", image: "c" }], ...spec },
});
const optionsOf = (kind: string, more = {}) => ({ kind, apiVersion: "meta.k8s.io/v1", ...more });
const callsOf = (): string[] => asked.map(({ operation, kind, name = "" }) => `${operation} ${kind.kind} ${name}`);

test("options are those that the client gave", async () => {
  await send("POST", `${work}/configmaps`, configMap("a"));
  await send("POST", `${work}/configmaps?fieldValidation=Strict&fieldManager=m&dryRun=All`, configMap("b"));
  await send("PATCH", `${work}/configmaps/a`, { data: { x: "1" } }, "application/merge-patch+json");
  const apply = `${work}/configmaps/c?fieldManager=m&force=true`;
  await send("PATCH", apply, configMap("c"), "application/apply-patch+yaml");
  expect(asked.map(({ options }) => options)).toEqual([
    optionsOf("CreateOptions"),
    optionsOf("CreateOptions", { dryRun: ["All"], fieldManager: "m", fieldValidation: "Strict" }),
    optionsOf("UpdateOptions"),
    optionsOf("CreateOptions", { fieldManager: "m" }),
  ]);
});

test("options of a deletion have their own version, whatever the body's", async () => {
  for (const name of ["a", "b"]) await send("POST", `${work}/configmaps`, configMap(`gone-${name}`));
  asked.length = 0;
  const body = { apiVersion: "v1", kind: "DeleteOptions", metadata: {}, propagationPolicy: "Background" };
  await send("DELETE", `${work}/configmaps/gone-a`, body);
  await send("DELETE", `${work}/configmaps/gone-b`);
  expect(asked.map(({ options }) => options)).toEqual([
    optionsOf("DeleteOptions", { propagationPolicy: "Background" }),
    optionsOf("DeleteOptions"),
  ]);
});

test("objects of a deleted collection are shown without their names", async () => {
  for (const name of ["one", "two"]) await send("POST", `${work}/configmaps`, configMap(name, { of: "collection" }));
  asked.length = 0;
  expect(await send("DELETE", `${work}/configmaps?labelSelector=of%3Dcollection`)).toBe(200);
  expect(callsOf()).toEqual(["DELETE ConfigMap ", "DELETE ConfigMap "]);
  expect(asked.map(({ oldObject }) => oldObject?.metadata["name"]).toSorted()).toEqual(["one", "two"]);
});

test("a deletion by grace is shown with its period, and each step of it alone", async () => {
  await send("POST", `${work}/pods`, pod("bound", { nodeName: "n", terminationGracePeriodSeconds: 20 }));
  await send("POST", `${work}/pods`, pod("loose"));
  asked.length = 0;
  const optionsAsked = async (path: string): Promise<(object | null)[]> => {
    asked.length = 0;
    expect(await send("DELETE", path)).toBe(200);
    return asked.map(({ options }) => options);
  };
  const graced = (gracePeriodSeconds: number) => optionsOf("DeleteOptions", { gracePeriodSeconds });
  expect(await optionsAsked(`${work}/pods/bound`)).toEqual([graced(20)]);
  expect(await optionsAsked(`${work}/pods/bound`)).toEqual([]);
  expect(await optionsAsked(`${work}/pods/bound?gracePeriodSeconds=5`)).toEqual([graced(5)]);
  expect(await optionsAsked(`${work}/pods/bound?gracePeriodSeconds=0`)).toEqual([graced(0), graced(0)]);
  expect(await optionsAsked(`${work}/pods/loose`)).toEqual([graced(0), graced(0)]);
  expect(asked.map(({ oldObject }) => oldObject?.metadata["deletionGracePeriodSeconds"])).toEqual([undefined, 0]);
});

test("a namespace is shown to go once, and by its UID", async () => {
  await send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "leaving" } });
  asked.length = 0;
  for (let times = 0; times < 2; times++) expect(await send("DELETE", "/api/v1/namespaces/leaving")).toBe(200);
  expect(callsOf()).toEqual(["DELETE Namespace leaving"]);
  const uid = asked[0]?.oldObject?.metadata["uid"];
  expect(asked[0]?.options).toEqual(optionsOf("DeleteOptions", { preconditions: { uid } }));
});

test("an eviction is shown as such alone", async () => {
  await send("POST", `${work}/pods`, pod("evicted"));
  asked.length = 0;
  const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "evicted" } };
  expect(await send("POST", `${work}/pods/evicted/eviction?dryRun=All`, eviction)).toBe(201);
  expect(await send("POST", `${work}/pods/evicted/eviction`, eviction)).toBe(201);
  expect(callsOf()).toEqual(["CREATE Eviction evicted", "CREATE Eviction evicted"]);
  expect(asked[0]?.object?.["metadata"]).toEqual({ name: "evicted", namespace: "work" });
});
