/** Paths with bytes that are no UTF-8, as upstream's server answers them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestServer, type TestServer } from "../../../test/support/apiserver.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

for (const [path, code, said] of [
  ["/%FF", 404, "404 page not found"],
  ["/healthz%FF", 404, "404 page not found"],
  ["/apis/%FF/v1", 404, "404 page not found"],
  ["/api/%FF", 404, "the server could not find the requested resource"],
  ["/apis/apps/v1/%FF", 404, "the server could not find the requested resource"],
  ["/api/v1/namespaces/default/pods/%FF", 404, String.raw`pods \"\\xff\" not found`],
  ["/api/v1/namespaces/default/configmaps/%C3%28", 404, String.raw`configmaps \"\\xc3(\" not found`],
  ["/api/v1/namespaces/%FF/pods", 200, `"items":[]`],
  ["/api/v1/pods%zz", 400, "400 Bad Request"],
] as const) {
  test(`${path} is answered with ${code}`, async () => {
    const response = await server.fetch(path);
    expect(response.status).toBe(code);
    expect(await response.text()).toContain(said);
  });
}

test("who is told of such a name is told it as text", async () => {
  const response = await server.fetch("/api/v1/namespaces/default/pods/%FF");
  expect(((await response.json()) as { details: unknown }).details).toEqual({ name: "\ufffd", kind: "pods" });
});

test("nothing comes to be under such a name", async () => {
  const path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/%FF?fieldManager=test";
  const body = JSON.stringify({ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", rules: [] });
  const headers = { "content-type": "application/apply-patch+yaml" };
  expect((await server.fetch(path, { method: "PATCH", headers, body })).status).toBe(400);
  const roles = await server.fetch("/apis/rbac.authorization.k8s.io/v1/clusterroles");
  expect(((await roles.json()) as { items: unknown[] }).items).toEqual([]);
});
