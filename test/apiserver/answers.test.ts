/** What a request is answered with: which object, in which form. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { configMaps, serviceAccounts } from "#shared/api/resources.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ namespaces: ["test"] });
});
afterAll(() => server.stop());

async function send(method: string, path: string, body?: object): Promise<{ code: number; body: unknown }> {
  const response = await server.fetch(path, {
    method,
    headers: { "content-type": "application/json" },
    body: body ? JSON.stringify(body) : null,
  });
  return { code: response.status, body: await response.json() };
}

describe("a delete that removes at once", () => {
  const metadata = { name: "one", namespace: "test" };

  test("answers with the object where the kind does so", async () => {
    await server.client.create(serviceAccounts, { apiVersion: "v1", kind: "ServiceAccount", metadata });
    const answer = await send("DELETE", "/api/v1/namespaces/test/serviceaccounts/one?propagationPolicy=Foreground");
    expect(answer).toMatchObject({ code: 202, body: { kind: "ServiceAccount", metadata: { name: "one" } } });
    const again = { apiVersion: "v1", kind: "ServiceAccount", metadata: { ...metadata, name: "two" } } as const;
    await server.client.create(serviceAccounts, again);
    expect(await send("DELETE", "/api/v1/namespaces/test/serviceaccounts/two")).toMatchObject({
      code: 200,
      body: { kind: "ServiceAccount", metadata: { name: "two" } },
    });
  });

  test("answers with a Status elsewhere", async () => {
    await server.client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata });
    expect(await send("DELETE", "/api/v1/namespaces/test/configmaps/one")).toMatchObject({
      code: 200,
      body: { kind: "Status", status: "Success", details: { name: "one", kind: "configmaps" } },
    });
  });
});
