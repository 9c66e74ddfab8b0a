/** CustomResourceDefinitions on a real API server, mostly through the real kubectl. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { silentLog } from "#shared/client/log.ts";
import { Definitions } from "../../master/apiserver/extensions/definitions.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";
import { eventually } from "./extended-server.ts";

let server: TestServer;
let definitions: Definitions;

setDefaultTimeout(300_000);

beforeAll(async () => {
  server = await startTestServer({ namespaces: ["boards"] });
  const { api, client } = server;
  const webhooks = { call: () => Promise.reject(new Error("no webhook is meant")) };
  definitions = new Definitions({ reader: api.reader, serving: api, client, webhooks, log: silentLog });
  await definitions.start();
});

afterAll(async () => {
  definitions.stop();
  await server.stop();
});

const lamps = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "lamps.home.example.com" },
  spec: {
    group: "home.example.com",
    scope: "Namespaced",
    names: { plural: "lamps", kind: "Lamp", shortNames: ["lp"], categories: ["all"] },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: {
            specReplicasPath: ".spec.bulbs",
            statusReplicasPath: ".status.lit",
            labelSelectorPath: ".status.selector",
          },
        },
        selectableFields: [{ jsonPath: ".spec.colour" }],
        additionalPrinterColumns: [
          { name: "Colour", type: "string", jsonPath: ".spec.colour" },
          { name: "Bulbs", type: "integer", jsonPath: ".spec.bulbs" },
          { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
        ],
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                required: ["colour"],
                properties: {
                  colour: { type: "string", enum: ["red", "blue"] },
                  bulbs: { type: "integer", minimum: 0, maximum: 10, default: 1 },
                  name: { type: "string", pattern: "^[a-z]+$", maxLength: 5 },
                  at: { "x-kubernetes-int-or-string": true },
                  extra: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
                  rooms: {
                    type: "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    items: {
                      type: "object",
                      required: ["name"],
                      properties: { name: { type: "string" }, dim: { type: "boolean", default: false } },
                    },
                  },
                },
              },
              status: {
                type: "object",
                properties: { lit: { type: "integer" }, selector: { type: "string" } },
              },
            },
          },
        },
      },
    ],
  },
};

const lamp = (name: string, spec: object): string =>
  JSON.stringify({ apiVersion: "home.example.com/v1", kind: "Lamp", metadata: { name, namespace: "boards" }, spec });

const run = (args: string, input?: object | string) =>
  server.kubectl(args.split(" "), input === undefined || typeof input === "string" ? input : JSON.stringify(input));

async function established(definition: { readonly metadata: { readonly name: string } }): Promise<void> {
  const made = await run("create -f -", definition);
  expect(made.stderr).toBe("");
  const waited = await run(`wait --for=condition=established --timeout=240s crd/${definition.metadata.name}`);
  expect(waited.stderr).toBe("");
}

describe("a custom resource", () => {
  test("is served, printed, defaulted and pruned once its definition is established", async () => {
    await established(lamps);
    const made = await run(
      "create -f - --validate=false",
      lamp("hall", { colour: "red", foo: 1, extra: { a: [1] }, rooms: [{ name: "x" }] }),
    );
    expect(made.stderr).toBe("");
    const got = JSON.parse((await run("get lamps.home.example.com hall -n boards -o json")).stdout);
    expect(got.spec).toEqual({ bulbs: 1, colour: "red", extra: { a: [1] }, rooms: [{ dim: false, name: "x" }] });
    expect(got.metadata.generation).toBe(1);
    const table = await run("get lp -n boards");
    expect(table.stdout).toMatch(/NAME +COLOUR +BULBS +AGE\nhall +red +1 +/);
    expect((await run("get all -n boards")).stdout).toContain("lamp.home.example.com/hall");
    // kubectl kept the list of documents that it read for its first command, and asks by the second whether there is a newer one.
    const explained = await eventually(async () => (await run("explain lamp.spec.colour")).stdout || undefined);
    expect(explained).toContain("red");
  });

  test("is refused in upstream's words", async () => {
    const bad = await run(
      "create -f - --validate=false",
      lamp("bad", { colour: "green", bulbs: 11, name: "UPPER", at: true, rooms: [{ name: "a" }, { name: "a" }] }),
    );
    expect(bad.stderr).toContain('spec.colour: Unsupported value: "green": supported values: "red", "blue"');
    expect(bad.stderr).toContain(
      "spec.bulbs: Invalid value: 11: spec.bulbs in body should be less than or equal to 10",
    );
    expect(bad.stderr).toContain(`spec.name: Invalid value: "UPPER": spec.name in body should match '^[a-z]+$'`);
    expect(bad.stderr).toContain(
      'spec.at: Invalid value: "boolean": spec.at in body must be of type integer,string: "boolean"',
    );
    expect(bad.stderr).toContain('spec.rooms[1]: Duplicate value: {"name":"a"}');
    const missing = await run("create -f - --validate=false", lamp("bad", {}));
    expect(missing.stderr).toContain("spec.colour: Required value");
    const strict = await run("create -f - --validate=strict", lamp("bad", { colour: "red", foo: 1 }));
    expect(strict.stderr).toContain('unknown field "spec.foo"');
  });

  test("has status, scale, field selectors and patches", async () => {
    expect((await run("scale lamp hall -n boards --replicas=3")).stderr).toBe("");
    expect((await run("get lamp hall -n boards -o jsonpath={.spec.bulbs}/{.metadata.generation}")).stdout).toBe("3/2");
    const patched = await server.kubectl([
      "patch",
      "lamp",
      "hall",
      "-n",
      "boards",
      "--subresource=status",
      "--type=merge",
      "-p",
      '{"status":{"lit":2},"spec":{"bulbs":9}}',
    ]);
    expect(patched.stderr).toBe("");
    expect(
      (await run("get lamp hall -n boards -o jsonpath={.spec.bulbs}/{.status.lit}/{.metadata.generation}")).stdout,
    ).toBe("3/2/2");
    await run("create -f -", lamp("door", { colour: "blue" }));
    expect((await run("get lamps -n boards --field-selector spec.colour=blue -o name")).stdout).toBe(
      "lamp.home.example.com/door\n",
    );
    const applied = await run("apply --server-side -f -", lamp("hall", { colour: "red", rooms: [{ name: "y" }] }));
    expect(applied.stderr).toBe("");
    expect((await run("get lamp hall -n boards -o jsonpath={.spec.rooms[*].name}")).stdout).toBe("x y");
  });

  test("follows its definition, and goes with it", async () => {
    const patch =
      '[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/mood","value":{"type":"string","default":"calm"}}]';
    expect((await server.kubectl(["patch", "crd", "lamps.home.example.com", "--type=json", "-p", patch])).stderr).toBe(
      "",
    );
    let mood = "";
    for (let i = 0; i < 50 && mood !== "calm"; i += 1)
      mood = (await run("get lamp hall -n boards -o jsonpath={.spec.mood}")).stdout;
    expect(mood).toBe("calm");
    expect((await run("delete crd lamps.home.example.com --timeout=240s")).stderr).toBe("");
    expect((await run("get lamps -n boards")).stderr).toMatch(
      /doesn't have a resource type|could not find the requested resource/,
    );
    await established(lamps);
    expect((await run("get lamps -n boards")).stderr).toContain("No resources found");
  });

  test("goes with its definition though no version of it is served any more", async () => {
    const candles = structuredClone(lamps);
    candles.metadata.name = "candles.home.example.com";
    candles.spec.names = { plural: "candles", kind: "Candle", shortNames: [], categories: [] };
    await established(candles);
    const candle = {
      apiVersion: "home.example.com/v1",
      kind: "Candle",
      metadata: { name: "one" },
      spec: { colour: "red" },
    };
    const path = "/apis/home.example.com/v1/namespaces/boards/candles";
    const headers = { "content-type": "application/json" };
    expect((await server.fetch(path, { method: "POST", headers, body: JSON.stringify(candle) })).status).toBe(201);
    const stored = async (): Promise<number> =>
      (await server.store.list("/registry/home.example.com/candles/")).items.length;
    expect(await stored()).toBe(1);
    const patch = '[{"op":"replace","path":"/spec/versions/0/served","value":false}]';
    expect((await run(`patch crd candles.home.example.com --type=json -p ${patch}`)).stderr).toBe("");
    expect((await run("delete crd candles.home.example.com --timeout=240s")).stderr).toBe("");
    expect(await stored()).toBe(0);
  });

  test("is not defined by what is no structural schema", async () => {
    const odd = structuredClone(lamps) as unknown as {
      metadata: { name: string };
      spec: { group: string; names: { plural: string }; versions: { schema: object }[] };
    };
    odd.metadata.name = "odd.home.example.com";
    odd.spec.names.plural = "odd";
    for (const version of odd.spec.versions)
      version.schema = {
        openAPIV3Schema: {
          type: "object",
          properties: { spec: { properties: { a: { type: "string", default: 1 } } } },
        },
      };
    const refused = await run("create -f -", odd);
    expect(refused.stderr).toContain(
      "spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
    );
  });

  test("does not take the place of what is built in", async () => {
    const define = (group: string, plural: string, ...names: string[]) => ({
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: `${plural}.${group}`, annotations: { "api-approved.kubernetes.io": "unapproved, for a test" } },
      spec: {
        group,
        scope: "Cluster",
        names: { plural, kind: `Shadow${plural}` },
        versions: names.map((name, index) => ({
          name,
          served: true,
          storage: index === 0,
          schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
        })),
      },
    });
    const discovered = async (version: string): Promise<string[]> => {
      const list = (await (await server.fetch(`/apis/networking.k8s.io/${version}`)).json()) as {
        resources?: { name: string }[];
      };
      return (list.resources ?? []).map(({ name }) => name);
    };
    const before = await discovered("v1");
    await run("create -f -", define("networking.k8s.io", "shades", "v1", "v9"));
    await eventually(async () => (await discovered("v9")).includes("shades") || undefined);
    expect(await discovered("v1")).toEqual(before);
    expect((await server.fetch("/apis/networking.k8s.io/v1/shades")).status).toBe(404);
    // A name of the server's own: were it taken over, no definition could ever be mended again.
    await run("create -f -", define("apiextensions.k8s.io", "customresourcedefinitions", "v1"));
    await run("create -f -", define("home.example.com", "probes", "v1"));
    await eventually(async () => (await server.fetch("/apis/home.example.com/v1/probes")).ok || undefined);
    const definition = await run(
      "get crd customresourcedefinitions.apiextensions.k8s.io -o jsonpath={.spec.names.kind}",
    );
    expect(definition.stdout).toBe("Shadowcustomresourcedefinitions");
    for (const name of ["customresourcedefinitions.apiextensions.k8s.io", "shades.networking.k8s.io"])
      expect((await run(`delete crd ${name} --timeout=240s`)).stderr).toBe("");
    expect((await run("get crd probes.home.example.com -o name")).stdout).toContain("probes.home.example.com");
  });
});
