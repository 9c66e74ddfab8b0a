/** Another server in the place of a group version that is served here, as metrics-server is where people install it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { apiServices, customResourceDefinitions } from "#shared/api/resources.ts";
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import { metricsResources } from "../../master/metrics/metrics-resources.ts";
import {
  type BackingServer,
  type ExtendedServer,
  eventually,
  startBacking,
  startExtendedServer,
} from "./extended-server.ts";

setDefaultTimeout(300_000);

const path = "/apis/metrics.k8s.io/v1beta1";
const name = "v1beta1.metrics.k8s.io";

/** What the other server serves. */
const told = {
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion: "metrics.k8s.io/v1beta1",
  resources: [
    { name: "pods", singularName: "podmetrics", namespaced: true, kind: "PodMetrics", verbs: ["get", "list", "watch"] },
  ],
};

let server: ExtendedServer;
let backing: BackingServer;

beforeAll(async () => {
  server = await startExtendedServer(["aggregated"], {
    more: ({ reader }) => ({
      declarations: metricsResources({ reader, collector: { usage: async () => new Map() }, boards: () => [] }),
    }),
  });
  backing = await startBacking(server, "aggregated", "metrics", (_served, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(told));
  });
});
afterAll(async () => {
  backing.stop();
  await server.stop();
});

const kinds = async (): Promise<string[]> => {
  const list = (await (await server.fetch(path)).json()) as typeof told;
  return list.resources.map(({ kind }) => kind);
};

/** Puts the server behind a Service in the place of this one. */
async function register(service: string): Promise<void> {
  await server.client.patch(
    apiServices,
    { name },
    {
      type: "merge",
      body: {
        metadata: { labels: null },
        spec: { service: { namespace: "aggregated", name: service }, insecureSkipTLSVerify: true },
      },
    },
  );
}

const availability = async (): Promise<string | undefined> => {
  const { status } = await server.client.get(apiServices, { name });
  return status?.conditions?.find(({ type }) => type === "Available")?.reason;
};
const untilIs = (reason: string): Promise<true> =>
  eventually(async () => ((await availability()) === reason ? true : undefined));

test("what is served here is told of while nobody else is registered", async () => {
  await eventually(() => server.client.get(apiServices, { name }).catch((): undefined => undefined));
  expect(await kinds()).toEqual(["NodeMetrics", "PodMetrics"]);
});

test("a server that is away tells nothing, and nobody tells in its name", async () => {
  await register("none");
  await untilIs("ServiceNotFound");
  expect((await server.fetch(path)).status).toBe(503);
  expect((await server.fetch(`${path}/`)).status).toBe(503);
  expect((await server.fetch(`${path}/nodes`)).status).toBe(503);
});

test("a server that answers tells what it serves", async () => {
  await register("metrics");
  await untilIs("Passed");
  expect(await (await server.fetch(path)).json()).toEqual(told);
});

test("without it, what is served here is told of again", async () => {
  await server.client.delete(apiServices, { name });
  const service: APIService = await eventually(() =>
    server.client.get(apiServices, { name }).catch((): undefined => undefined),
  );
  expect(service.spec.service).toBeUndefined();
  expect(await kinds()).toEqual(["NodeMetrics", "PodMetrics"]);
});

test("a version of custom resources is another server's while one is registered for it, and theirs again afterwards", async () => {
  const group = "overlap.example.com";
  const version = (version: string, storage: boolean) => ({
    name: version,
    served: true,
    storage,
    schema: { openAPIV3Schema: { type: "object" } },
  });
  await server.client.create(customResourceDefinitions, {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `bars.${group}` },
    spec: {
      group,
      scope: "Cluster",
      names: { plural: "bars", kind: "Bar" },
      versions: [version("v1", true), version("v2", false)],
    },
  });
  const statuses = async (): Promise<number[]> =>
    Promise.all(["v1", "v2"].map(async (each) => (await server.fetch(`/apis/${group}/${each}/bars`)).status));
  const freshness = async () => {
    const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    const list = (await (await server.fetch("/apis", { headers: { accept } })).json()) as {
      items: { metadata: { name: string }; versions: { version: string; freshness: string }[] }[];
    };
    const versions = list.items.find(({ metadata }) => metadata.name === group)?.versions ?? [];
    return Object.fromEntries(versions.map((each) => [each.version, each.freshness]));
  };
  const untilFresh = (wanted: object): Promise<true> =>
    eventually(async () => (JSON.stringify(await freshness()) === JSON.stringify(wanted) ? true : undefined));
  await untilFresh({ v2: "Current", v1: "Current" });
  expect(await statuses()).toEqual([200, 200]);
  const service = { name: `v1.${group}` };
  await eventually(() => server.client.get(apiServices, service).catch((): undefined => undefined));
  const body = { metadata: { labels: null }, spec: { service: { namespace: "aggregated", name: "none" } } };
  await server.client.patch(apiServices, service, { type: "merge", body });
  await untilFresh({ v2: "Current", v1: "Stale" });
  expect(await statuses()).toEqual([503, 200]);
  await server.client.delete(apiServices, service);
  await untilFresh({ v2: "Current", v1: "Current" });
  expect(await statuses()).toEqual([200, 200]);
});
