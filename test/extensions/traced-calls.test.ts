/** Which trace servers are told of that are asked for a request's sake, and what a collector is told of asking them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { apiServices, validatingWebhookConfigurations } from "#shared/api/resources.ts";
import { until } from "#shared/testing/until.ts";
import type { Span } from "#shared/tracing/otlp.ts";
import { RequestTracer } from "../../master/apiserver/tracing/request-tracer.ts";
import { type BackingServer, type ExtendedServer, startBacking, startExtendedServer } from "./extended-server.ts";

const trace = "0af7651916cd43dd8448eb211c80319c";
const traced = { traceparent: `00-${trace}-b7ad6b7169203331-01`, tracestate: "a=b" };
const everyRequest = 1_000_000;
const spans: Span[] = [];
/** What the servers behind were told, by the method and path that they were asked for. */
const told: { readonly url: string; readonly traceparent: string; readonly tracestate: string }[] = [];
let server: ExtendedServer;
const backings: BackingServer[] = [];

beforeAll(async () => {
  server = await startExtendedServer(["test"], {
    tracer: new RequestTracer(everyRequest, (span) => void spans.push(span)),
  });
  const service = async (name: string): Promise<BackingServer> => {
    const backing = await startBacking(server, "test", name, ({ request: { url = "", headers }, body }, response) => {
      const { traceparent, tracestate } = headers;
      told.push({ url, traceparent: String(traceparent), tracestate: String(tracestate) });
      const uid = body === "" ? "" : JSON.parse(body).request.uid;
      const review = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response: { uid, allowed: true } };
      const list = { kind: "APIResourceList", apiVersion: "v1", groupVersion: "traced.example.org/v1", resources: [] };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(uid ? review : list));
    });
    backings.push(backing);
    return backing;
  };
  const { caBundle } = await service("hook");
  await server.client.create(validatingWebhookConfigurations, {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    metadata: { name: "traced" },
    webhooks: [
      {
        name: "hook.example.org",
        clientConfig: { service: { namespace: "test", name: "hook", path: "/" }, caBundle },
        rules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"], operations: ["CREATE"] }],
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
        timeoutSeconds: 30,
      },
    ],
  });
  const aggregated = await service("aggregated");
  await server.client.create(apiServices, {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: "v1.traced.example.org" },
    spec: {
      group: "traced.example.org",
      version: "v1",
      groupPriorityMinimum: 1,
      versionPriority: 1,
      service: { namespace: "test", name: "aggregated" },
      caBundle: aggregated.caBundle,
    },
  });
});
afterAll(async () => {
  for (const backing of backings) backing.stop();
  await server.stop();
});

const idOf = (traceparent: string): string => traceparent.split("-")[2] ?? "";
const hex = (id: Uint8Array): string => Buffer.from(id).toString("hex");

test("a webhook is told the span of its call, which is a part of the request's work", async () => {
  const answer = await server.fetch("/api/v1/namespaces/test/configmaps", {
    method: "POST",
    headers: { ...traced, "content-type": "application/json" },
    body: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "one" } }),
  });
  expect(answer.status).toBe(201);
  const work = await until("the span of the work", () => spans.find(({ name }) => name === "Create"));
  const call = spans.find(({ name }) => name === "Call validating webhook");
  expect(hex(call?.parentSpanId ?? Buffer.alloc(0))).toBe(hex(work.spanId));
  expect(call?.events.map(({ name }) => name)).toEqual(["Request completed"]);
  const said = call?.attributes.map(({ key, value }) => [key, value?.stringValue]);
  expect(said?.slice(0, -1)).toEqual([
    ["configuration", "traced"],
    ["webhook", "hook.example.org"],
    ["resource", "/v1, Resource=configmaps"],
    ["subresource", ""],
    ["operation", "CREATE"],
  ]);
  const [asked] = told.filter(({ url }) => url.startsWith("/?timeout="));
  expect(asked).toMatchObject({
    traceparent: `00-${trace}-${hex(call?.spanId ?? Buffer.alloc(0))}-01`,
    tracestate: "a=b",
  });
});

test("an aggregated server is told the request's own span in place of the client's", async () => {
  const path = "/apis/traced.example.org/v1/things";
  await until("the aggregated server", async () => (await server.fetch(path, { headers: traced })).status === 200);
  const asked = await until("what it was told", () => told.find(({ url }) => url === path));
  expect(asked.tracestate).toBe("a=b");
  expect(asked.traceparent).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
  const own = await until("the span of the request", () =>
    spans.find(({ spanId }) => hex(spanId) === idOf(asked.traceparent)),
  );
  expect(hex(own.parentSpanId)).toBe("b7ad6b7169203331");
});
