/** What a collector gets of requests: names, attributes and parents as upstream's API server sends them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageOf } from "#shared/grpc/message.ts";
import { GrpcServer } from "#shared/grpc/server.ts";
import { until } from "#shared/testing/until.ts";
import { ExportRequest, exportPath } from "#shared/tracing/otlp.ts";
import { SpanExport } from "#shared/tracing/span-export.ts";
import { collectorUrl } from "#shared/tracing/tracing-configuration.ts";
import { RequestTracer } from "../../master/apiserver/tracing/request-tracer.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

type Sent = MessageOf<typeof ExportRequest>;

const trace = "0af7651916cd43dd8448eb211c80319c";
const parent = "b7ad6b7169203331";
const socket = join(tmpdir(), `bramble-collector-${process.pid}.sock`);
const requests: Sent[] = [];
const collector = new GrpcServer({
  unary: {
    [exportPath]: (request) => {
      requests.push(ExportRequest.decode(request));
      return new Uint8Array();
    },
  },
});
let spans: SpanExport;
let server: TestServer;
const everyRequest = 1_000_000;

beforeAll(async () => {
  await collector.listenUnix(socket);
  spans = new SpanExport(collectorUrl(`unix:${socket}`), [["service.name", "apiserver"]], (message) => {
    throw new Error(message);
  });
  server = await startTestServer({ tracer: new RequestTracer(everyRequest, (span) => spans.add(span)) });
});
afterAll(async () => {
  await server.stop();
  await spans.stop();
  await collector.stop();
  rmSync(socket, { force: true });
});

/** So many spans, as soon as the collector has them: a request's ends after its answer has left. */
async function collected(count: number): Promise<Collected[]> {
  const got: Collected[] = [];
  await until(`${count} spans`, async () => {
    await spans.flush();
    got.push(...requests.splice(0).flatMap(spansIn));
    return got.length >= count;
  });
  expect(got).toHaveLength(count);
  return got;
}

type Collected = ReturnType<typeof spansIn>[number];

const spansIn = ({ resourceSpans }: Sent) =>
  resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans: own }) =>
      own.map((span) => ({
        ...span,
        scope: scope?.name,
        service: resource?.attributes[0]?.value?.stringValue,
        said: Object.fromEntries(span.attributes.map(({ key, value }) => [key, value?.stringValue ?? value?.intValue])),
      })),
    ),
  );

async function ask(path: string, headers: Record<string, string>, user: string, groups: string[], method = "GET") {
  const { certificatePem: cert, keyPem: key } = await server.issue(user, groups);
  const answer = await fetch(`${server.url}${path}`, {
    method,
    headers,
    tls: { ca: server.authority.certificatePem, cert, key },
  });
  await answer.arrayBuffer();
  return answer.status;
}

const admin = ["kubernetes-admin", ["system:masters"]] as [string, string[]];

test("a request's span is of its client's trace, and what is done of the request's", async () => {
  const path = "/api/v1/namespaces/default/configmaps";
  const headers = {
    traceparent: `00-${trace}-${parent}-01`,
    tracestate: "a=b",
    "audit-id": "one",
    "user-agent": "test/1",
    accept: "application/json",
  };
  expect(await ask(`${path}?limit=5`, headers, ...admin)).toBe(200);
  const all = await collected(3);
  const request = all.find(({ kind }) => kind === 2);
  const [wait, work] = all.filter(({ kind }) => kind === 1).sort((a, b) => b.name.localeCompare(a.name));
  for (const span of all) {
    expect(Buffer.from(span?.traceId ?? []).toString("hex")).toBe(trace);
    expect(span).toMatchObject({ traceState: "a=b", service: "apiserver", links: [] });
    expect((span?.startTimeUnixNano ?? 0n) <= (span?.endTimeUnixNano ?? 0n)).toBe(true);
  }
  expect(Buffer.from(request?.parentSpanId ?? []).toString("hex")).toBe(parent);
  expect(work?.parentSpanId).toEqual(request?.spanId as Buffer);
  expect(request?.name).toBe("GET /api/v1/namespaces/{:namespace}/configmaps");
  expect(request?.scope).toBe("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp");
  const { port } = new URL(server.url);
  expect(request?.said).toMatchObject({
    "server.address": "127.0.0.1",
    "http.request.method": "GET",
    "url.scheme": "https",
    "server.port": Number(port),
    "network.peer.address": "127.0.0.1",
    "user_agent.original": "test/1",
    "client.address": "127.0.0.1",
    "url.path": path,
    "http.target": `${path}?limit=5`,
    "audit-id": "one",
    "http.response.status_code": 200,
  });
  expect(request?.said["http.response.body.size"]).toBeGreaterThan(0);
  expect(wait?.parentSpanId).toEqual(request?.spanId as Buffer);
  expect([wait?.name, wait?.scope, wait?.said]).toEqual([
    "priorityandfairness",
    "k8s.op/apiserver/pkg/endpoints/filterlatency",
    {},
  ]);
  expect(work).toMatchObject({
    name: "List",
    scope: "k8s.io/component-base/tracing",
    said: { accept: "application/json", "api-version": "v1", resource: "configmaps", scope: "namespace", verb: "LIST" },
  });
});

test("what a privileged client does not have recorded is not", async () => {
  expect(await ask("/api/v1/nodes", { traceparent: `00-${trace}-${parent}-00` }, ...admin)).toBe(200);
  expect(await ask("/nowhere", { "audit-id": "other" }, ...admin)).toBe(404);
  expect((await collected(2)).flatMap(({ said }) => said["audit-id"] ?? [])).toEqual(["other"]);
});

test("a trace of anybody else begins anew, and names the one that it came from", async () => {
  const headers = { traceparent: `00-${trace}-${parent}-00` };
  expect(await ask("/api/v1/nodes/n", headers, "anna", ["people"], "DELETE")).toBe(403);
  // What it may not do is not begun.
  const own = (await collected(2)).find(({ kind }) => kind === 2);
  expect(own?.name).toBe("DELETE /api/v1/nodes/{:name}");
  expect(Buffer.from(own?.traceId ?? []).toString("hex")).not.toBe(trace);
  expect(own?.parentSpanId).toHaveLength(0);
  expect(
    own?.links.map(({ traceId, spanId }) => [traceId, spanId].map((id) => Buffer.from(id).toString("hex"))),
  ).toEqual([[trace, parent]]);
  expect(own?.said["http.response.status_code"]).toBe(403);
});

test("what is no resource is named by its method", async () => {
  expect(await ask("/nowhere", {}, ...admin)).toBe(404);
  expect((await collected(2)).map(({ name }) => name).sort()).toEqual(["GET", "priorityandfairness"]);
});

test("a connection that leaves HTTP has its span until it ends", async () => {
  const { certificatePem: cert, keyPem: key } = await server.issue(...admin);
  const watch = `${server.url.replace("https", "wss")}/api/v1/namespaces/default/configmaps?watch=1`;
  const webSocket = new WebSocket(watch, {
    tls: { ca: server.authority.certificatePem, cert, key },
  } as unknown as string[]);
  await new Promise((resolve, reject) => {
    webSocket.onopen = resolve;
    webSocket.onerror = reject;
  });
  webSocket.close();
  const [own] = await collected(1);
  expect(own?.name).toBe("GET /api/v1/namespaces/{:namespace}/configmaps");
  expect(own?.said["http.response.status_code"]).toBe(101);
});
