/** Another API server behind an APIService. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { namespaceController } from "#master/controllers/namespace/namespace.ts";
import type { StatusError } from "#shared/api/errors.ts";
import { textInPlaceOfStatus } from "#shared/api/refused-answer.ts";
import { apiServices, configMaps, namespaces } from "#shared/api/resources.ts";
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import { runController } from "#shared/client/controller.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import {
  type BackingServer,
  type ExtendedServer,
  eventually,
  type ServedRequest,
  startBacking,
  startExtendedServer,
} from "./extended-server.ts";

setDefaultTimeout(300_000);

let server: ExtendedServer;
let backing: BackingServer;
const asked: ServedRequest[] = [];

const flunders = {
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion: "sample.example.com/v1",
  resources: [
    {
      name: "flunders",
      singularName: "flunder",
      namespaced: true,
      kind: "Flunder",
      verbs: ["get", "list", "create"],
      shortNames: ["fl"],
    },
  ],
};

const absent = {
  kind: "Status",
  apiVersion: "v1",
  status: "Failure",
  message: 'flunders "absent" not found',
  reason: "NotFound",
  code: 404,
};

const documentName = "apis/sample.example.com/v1";

beforeAll(async () => {
  server = await startExtendedServer(["aggregated"]);
  const answer = (served: ServedRequest, url: string): object => {
    if (url === "/apis/sample.example.com/v1") return flunders;
    asked.push(served);
    if (url === "/openapi/v3")
      return { paths: { [documentName]: { serverRelativeURL: `/openapi/v3/${documentName}?hash=A` } } };
    if (url.startsWith("/openapi/v3/")) return { openapi: "3.0.0", paths: {} };
    if (url.endsWith("/absent")) return absent;
    if (served.request.method === "POST") return JSON.parse(served.body) as object;
    const item = { metadata: { name: "one", namespace: "default" } };
    return {
      kind: "FlunderList",
      apiVersion: "sample.example.com/v1",
      metadata: { resourceVersion: "1" },
      items: [item],
    };
  };
  backing = await startBacking(
    server,
    "aggregated",
    "sample",
    (served, response) => {
      const { url = "" } = served.request;
      if (url.endsWith("/torn")) {
        response.writeHead(500, { "content-type": "text/plain" }).end("it broke\n");
        return;
      }
      if (url.endsWith("/absent")) response.statusCode = 404;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(answer(served, served.request.url ?? "")));
    },
    server.frontProxyAuthority.certificatePem,
  );
});

afterAll(async () => {
  backing.stop();
  await server.stop();
});

const available = (name: string) => async (): Promise<APIService | undefined> => {
  const service = await server.client.get(apiServices, { name });
  return service.status?.conditions?.some(({ status }) => status === "True") ? service : undefined;
};

test("what is served here has APIServices of its own", async () => {
  await eventually(available("v1.apps"));
  await eventually(available("v1."));
});

test("requests of a registered group version go to its server, with the caller's identity", async () => {
  const missing = await server.kubectl(["get", "flunders"]);
  expect(missing.stderr).toContain("doesn't have a resource type");
  await server.client.create(apiServices, {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: "v1.sample.example.com" },
    spec: {
      group: "sample.example.com",
      version: "v1",
      groupPriorityMinimum: 2000,
      versionPriority: 200,
      service: { namespace: "aggregated", name: "sample" },
      caBundle: backing.caBundle,
    },
  } as APIService);
  await eventually(available("v1.sample.example.com"));

  const listed = await server.kubectl([
    "get",
    "--raw",
    "/apis/sample.example.com/v1/namespaces/default/flunders?limit=5",
  ]);
  expect(JSON.parse(listed.stdout)).toMatchObject({ kind: "FlunderList" });
  const { request, client } = asked.at(-1) ?? {};
  expect(client).toBe("front-proxy-client");
  expect(request?.url).toBe("/apis/sample.example.com/v1/namespaces/default/flunders?limit=5");
  expect(request?.headers["x-remote-user"]).toBe("kubernetes-admin");
  expect(request?.headers["x-remote-group"]).toContain("system:masters");
  expect(request?.headers["authorization"]).toBeUndefined();

  const resources = await server.kubectl(["api-resources", "--api-group=sample.example.com"]);
  expect(resources.stdout).toContain("flunders");
  const index = JSON.parse((await server.kubectl(["get", "--raw", "/openapi/v3"])).stdout) as { paths: object };
  expect(Object.keys(index.paths)).toContain("apis/sample.example.com/v1");
  expect(Object.keys(index.paths)).toContain("apis/apps/v1");
  const document = await server.kubectl(["get", "--raw", "/openapi/v3/apis/sample.example.com/v1"]);
  expect(JSON.parse(document.stdout)).toEqual({ openapi: "3.0.0", paths: {} });
});

test("a body is passed on as it came", async () => {
  const body = JSON.stringify({
    apiVersion: "sample.example.com/v1",
    kind: "Flunder",
    metadata: { name: "two" },
    spec: { n: 1 },
  });
  const headers = {
    "content-type": "application/json",
    "x-remote-user": "mallory",
    "x-remote-group": "system:mallory",
    "x-remote-uid": "m",
    "x-remote-extra-scopes": "all",
    "x-remote-address": "10.0.0.1",
  };
  const answer = await server.fetch("/apis/sample.example.com/v1/namespaces/default/flunders", {
    method: "POST",
    body,
    headers,
  });
  expect(await answer.json()).toMatchObject({ metadata: { name: "two" }, spec: { n: 1 } });
  const passed = asked.at(-1)?.request.headers ?? {};
  expect(passed["x-remote-user"]).toBe("kubernetes-admin");
  expect(passed["x-remote-group"]).not.toContain("mallory");
  expect([passed["x-remote-uid"], passed["x-remote-extra-scopes"]]).toEqual([undefined, undefined]);
  expect(passed["x-remote-address"]).toBe("10.0.0.1");
});

test("what that server refuses is refused to clients in the same process, too", async () => {
  const path = "/apis/sample.example.com/v1/namespaces/default/flunders";
  const refusal = (name: string): Promise<unknown> =>
    server.client.raw({ method: "GET", path: `${path}/${name}` }).then(
      () => "nothing refused",
      (error: unknown) => error,
    );
  expect(await refusal("absent")).toMatchObject({ reason: "NotFound", message: 'flunders "absent" not found' });
  const torn = (await refusal("torn")) as StatusError;
  expect(torn).toMatchObject({ reason: "InternalError", code: 500, message: "it broke" });
  expect(textInPlaceOfStatus(torn)).toBe("it broke");
});

test("a server that is away is not available, and says so", async () => {
  await server.client.create(apiServices, {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: "v1.away.example.com" },
    spec: {
      group: "away.example.com",
      version: "v1",
      groupPriorityMinimum: 2000,
      versionPriority: 200,
      service: { namespace: "aggregated", name: "none" },
      insecureSkipTLSVerify: true,
    },
  } as APIService);
  const service = await eventually(async () => {
    const found = await server.client.get(apiServices, { name: "v1.away.example.com" });
    return found.status?.conditions?.length ? found : undefined;
  });
  expect(service.status?.conditions?.[0]).toMatchObject({
    status: "False",
    reason: "ServiceNotFound",
    message: 'service/none in "aggregated" is not present',
  });
  const answer = await server.fetch("/apis/away.example.com/v1/things");
  expect(answer.status).toBe(503);
  // A document that it has never shown is not one that is away.
  expect((await server.fetch("/openapi/v3/apis/away.example.com/v1")).status).toBe(404);
});

test("a namespace is emptied, but does not go while it is not known what that server has in it", async () => {
  const { client } = server;
  const informers = new InformerFactory(client);
  informers.start();
  const controller = await runController(namespaceController(new ResourceMapper(client)), {
    client,
    informers,
    events: { record: () => undefined },
  });
  await client.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: "doomed" }, spec: {} });
  const key = { namespace: "doomed", name: "c" };
  await client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: key });
  await client.delete(namespaces, { name: "doomed" });
  const condition = await eventually(async () => {
    const { status } = await client.get(namespaces, { name: "doomed" });
    return status?.conditions?.find(({ type }) => type === "NamespaceDeletionDiscoveryFailure");
  });
  expect(condition).toMatchObject({
    status: "True",
    reason: "DiscoveryFailed",
    message:
      "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: away.example.com/v1: stale GroupVersion discovery: away.example.com/v1",
  });
  await expect(client.get(configMaps, key)).rejects.toThrow("not found");
  await client.delete(apiServices, { name: "v1.away.example.com" });
  await eventually(async () =>
    (await client.list(namespaces)).items.every(({ metadata }) => metadata.name !== "doomed"),
  );
  await controller.stop();
  await informers.stop();
});
