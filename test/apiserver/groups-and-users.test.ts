/** The same objects in several groups and versions, and who is refused. */
import { describe, expect, test } from "bun:test";
import { startTestServer } from "../support/apiserver.ts";
import { type Answer, base, configMap, startWire } from "./wire.ts";

const wire = startWire();
const { send } = wire;

describe("other groups and versions", () => {
  test("events of both groups are the same objects", async () => {
    const event = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: "e1" },
      eventTime: "2026-01-01T00:00:00.000000Z",
      action: "Do",
      reason: "Because",
      reportingController: "example.com/c",
      reportingInstance: "c-1",
      type: "Normal",
      note: "said",
      regarding: { kind: "Pod", namespace: "test", name: "p" },
    };
    expect((await send("POST", "/apis/events.k8s.io/v1/namespaces/test/events", event)).code).toBe(201);
    const { body } = await send("GET", "/api/v1/namespaces/test/events/e1");
    expect([body.apiVersion, body.message, body.involvedObject.name]).toEqual(["v1", "said", "p"]);
    const list = await send("GET", "/apis/events.k8s.io/v1/namespaces/test/events?fieldSelector=regarding.name%3Dp");
    expect(list.body.items[0].note).toBe("said");
  });

  test("a core event has a null for its time in the newer group, whose clients insist upon the field", async () => {
    const reference = { kind: "Pod", namespace: "test", name: "p" };
    const event = { apiVersion: "v1", kind: "Event", metadata: { name: "e2" }, involvedObject: reference, count: 1 };
    expect((await send("POST", "/api/v1/namespaces/test/events", event)).code).toBe(201);
    const path = "/apis/events.k8s.io/v1/namespaces/test/events/e2";
    const { body } = await send("GET", path);
    expect(body.eventTime).toBeNull();
    expect(Object.keys(body).filter((key) => key.startsWith("reporting"))).toEqual([]);
    const list = await send("GET", "/apis/events.k8s.io/v1/namespaces/test/events?fieldSelector=metadata.name%3De2");
    expect(list.body.items[0].eventTime).toBeNull();
    const again = await send("PUT", path, body);
    expect([again.code, again.body.metadata.resourceVersion]).toEqual([200, body.metadata.resourceVersion]);
    const labels = { metadata: { labels: { a: "b" } } };
    const merge = { "content-type": "application/merge-patch+json" };
    const patched = await send("PATCH", path, labels, merge);
    expect([patched.code, patched.body.eventTime]).toEqual([200, null]);
    const core = await send("GET", "/api/v1/namespaces/test/events/e2");
    expect([core.body.metadata.labels, "eventTime" in core.body]).toEqual([{ a: "b" }, false]);
  });

  test("nil lists are absent, and the next write of the same is none", async () => {
    const path = "/apis/discovery.k8s.io/v1/namespaces/test/endpointslices";
    const slice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "s" },
      addressType: "IPv4",
    };
    const { code, body } = await send("POST", path, { ...slice, endpoints: null, ports: null });
    expect([code, "ports" in body, "endpoints" in body]).toEqual([201, false, false]);
    const again = await send("PUT", `${path}/s`, { ...body, endpoints: null });
    expect(again.body.metadata.resourceVersion).toBe(body.metadata.resourceVersion);
  });

  test("a HorizontalPodAutoscaler in both versions", async () => {
    const path = (version: string) => `/apis/autoscaling/${version}/namespaces/test/horizontalpodautoscalers`;
    const made = await send("POST", path("v1"), {
      apiVersion: "autoscaling/v1",
      kind: "HorizontalPodAutoscaler",
      metadata: { name: "h" },
      spec: {
        maxReplicas: 3,
        targetCPUUtilizationPercentage: 50,
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "d" },
      },
    });
    expect(made.code).toBe(201);
    const { body } = await send("GET", `${path("v2")}/h`);
    expect([body.apiVersion, body.spec.metrics[0].resource.target.averageUtilization]).toEqual(["autoscaling/v2", 50]);
  });

  test("discovery, old and aggregated", async () => {
    const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    const aggregated = await send("GET", "/apis", undefined, { accept });
    expect(aggregated.body.kind).toBe("APIGroupDiscoveryList");
    const etag = aggregated.headers.get("etag") ?? "";
    expect((await send("GET", "/apis", undefined, { accept, "if-none-match": etag })).code).toBe(304);
    expect((await send("GET", "/api")).body.versions).toEqual(["v1"]);
    const { body } = await send("GET", "/apis/apps/v1");
    expect(body.resources.map((resource: Answer["body"]) => resource.name)).toContain("deployments/scale");
    expect((await send("GET", "/apis/autoscaling")).body.preferredVersion.version).toBe("v2");
    expect((await send("GET", "/apis/none.example.com/v1")).code).toBe(404);
    expect((await send("GET", "/version")).body).toMatchObject({ major: "1", minor: "35" });
    expect((await send("POST", "/version")).code).toBe(405);
    expect((await send("GET", "/livez/ping")).body).toBe("ok");
  });
});

describe("who may", () => {
  test("refusals are worded as upstream words them", async () => {
    const user = { name: "anna", groups: ["system:authenticated"] };
    const refusal = wire.server
      .clientAs(user)
      .list({ group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true }, { namespace: "test" });
    expect(await refusal.catch((error: Error) => error.message)).toBe(
      'pods is forbidden: User "anna" cannot list resource "pods" in API group "" in the namespace "test"',
    );
  });

  test("impersonation", async () => {
    await send("POST", base, configMap("c3"));
    const as = { "impersonate-user": "ben" };
    const refused = await send("GET", `${base}/c3`, undefined, as);
    expect(refused.body.message).toBe(
      'configmaps "c3" is forbidden: User "ben" cannot get resource "configmaps" in API group "" in the namespace "test"',
    );
    expect((await send("GET", `${base}/c3`, undefined, { ...as, "impersonate-group": "system:masters" })).code).toBe(
      200,
    );
  });

  test("a certificate of another authority is refused", async () => {
    const other = await startTestServer();
    const rogue = await other.issue("kubernetes-admin", ["system:masters"]);
    await other.stop();
    const response = await fetch(`${wire.server.url}${base}`, {
      tls: { ca: wire.server.authority.certificatePem, cert: rogue.certificatePem, key: rogue.keyPem },
    } as RequestInit);
    expect(response.status).toBe(401);
    expect(((await response.json()) as Answer["body"]).reason).toBe("Unauthorized");
  });
});
