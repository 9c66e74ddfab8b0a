/** The kinds come and go with the setting: documents, discovery, and what becomes of objects. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { loadDescriptions, noDescriptions } from "#shared/api/openapi/descriptions.ts";
import { differing, type Fetch } from "../openapi/documents.ts";
import { startWireServer, type WireServer } from "../wire/server.ts";
import { fetchDocuments, loadDocuments } from "./documents.ts";
import { binding, bindingsPath, policiesPath, policy } from "./requests.ts";
import { settings } from "./settings.ts";

setDefaultTimeout(120_000);

let server: WireServer;
beforeAll(async () => {
  server = await startWireServer(settings);
});
afterAll(() => server.stop());

const fetched: Fetch = (path, init) =>
  fetch(server.target.url + path, { ...init, tls: server.target.tls } as RequestInit);

async function codeAndBody(path: string, init?: RequestInit): Promise<readonly [number, Record<string, unknown>]> {
  const response = await fetched(path, init);
  return [response.status, (await response.json()) as Record<string, unknown>];
}

/** Versions of the group, as each document of discovery has them. */
async function versions(): Promise<readonly string[][]> {
  const aggregated = { accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList" };
  const [, whole] = await codeAndBody("/apis", { headers: aggregated });
  const [, group] = await codeAndBody("/apis/admissionregistration.k8s.io");
  type Items = readonly { metadata: { name: string }; versions: { version: string }[] }[];
  const item = (whole["items"] as Items).find(({ metadata }) => metadata.name === "admissionregistration.k8s.io");
  const named = (list: readonly { version: string }[] = []): string[] => list.map(({ version }) => version);
  return [named(item?.versions), named(group["versions"] as { version: string }[])];
}

/** Whether a document says anything of the kinds. */
const mentions = async (path: string): Promise<boolean> =>
  /mutatingadmissionpolic/i.test(await (await fetched(path)).text());

const documents = [
  "/openapi/v2",
  "/openapi/v3",
  "/openapi/v3/apis/admissionregistration.k8s.io/v1",
  "/openapi/v3/apis/admissionregistration.k8s.io/v1beta1",
  "/apis/admissionregistration.k8s.io/v1beta1",
];

/** The packages that texts come from have none of this version for fields that are models themselves. */
const withoutTexts =
  /\|(metadata|spec|\w+Selector|selector|matchResources|matchConstraints|paramRef|paramKind|applyConfiguration|jsonPatch)\|description$/;

test("documents are upstream's", async () => {
  const recorded = loadDocuments();
  const ours = await fetchDocuments(fetched);
  const hasTexts = (await loadDescriptions()) !== noDescriptions;
  for (const part of ["v2", "v3"] as const) {
    const found = [...differing(recorded[part], ours[part], `|${part}`)].filter(
      ({ place, upstream }) =>
        upstream !== true || !(hasTexts ? withoutTexts.test(place) : place.endsWith("|description")),
    );
    expect(found).toEqual([]);
  }
});

test("objects outlive that nobody serves them", async () => {
  const make = (path: string, body: object): Promise<Response> =>
    fetched(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  expect((await make(policiesPath, policy("kept"))).status).toBe(201);
  expect((await make(bindingsPath, binding("kept"))).status).toBe(201);
  const [, made] = await codeAndBody(`${policiesPath}/kept`);
  expect(await versions()).toEqual([
    ["v1", "v1beta1"],
    ["v1", "v1beta1"],
  ]);

  await server.restart({ runtimeConfig: [] });
  expect(await versions()).toEqual([["v1"], ["v1"]]);
  for (const path of documents) expect([path, await mentions(path)]).toEqual([path, false]);
  for (const path of [policiesPath, `${policiesPath}/kept`, bindingsPath])
    expect((await fetched(path)).status).toBe(404);
  expect((await make(policiesPath, policy("more"))).status).toBe(404);
  const rest = await server.store.list("/registry/mutatingadmissionpolic");
  expect(rest.items.map(({ key }) => key)).toEqual([
    "/registry/mutatingadmissionpolicies/kept",
    "/registry/mutatingadmissionpolicybindings/kept",
  ]);

  await server.restart({ runtimeConfig: ["admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies=true"] });
  expect(await codeAndBody(`${policiesPath}/kept`)).toEqual([200, made]);
  expect((await fetched(bindingsPath)).status).toBe(404);
});
