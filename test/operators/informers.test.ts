/** Unmodified client-go with its feature gates in every position: what its informers tell, and how they ask for it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { configMaps, customResourceDefinitions, namespaces } from "#shared/api/resources.ts";
import { eventually } from "../../master/controllers/testing/eventually.ts";
import { adminKubeconfig } from "../support/admin-kubeconfig.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";
import { canRun } from "./installed.ts";

interface Notes {
  readonly events: Readonly<Record<string, readonly string[]>>;
  readonly reads: readonly string[];
}

const cache = process.env["OPERATORS_CACHE"] ?? join(homedir(), ".cache", "bramble-operators");
const program = join(cache, "bin", "informers");

const streamed = ["watch from nothing 200"];
const listed = ["list 200", "watch 200"];

describe.skipIf(!canRun("informers"))("client-go's informers", () => {
  let server: SecuredServer;
  const folder = mkdtempSync(join(tmpdir(), "informers-"));
  const kubeconfig = join(folder, "kubeconfig");

  beforeAll(async () => {
    server = await startSecuredServer({ customResources: true });
    const { admin } = server;
    writeFileSync(kubeconfig, await adminKubeconfig(server), { mode: 0o600 });
    await eventually(async () => {
      const { items } = await admin.list(namespaces);
      return items.some(({ metadata }) => metadata.name === "default");
    }, "the namespace");
    await admin.create(customResourceDefinitions, treesDefinition);
    await eventually(async () => {
      const { status } = await admin.get(customResourceDefinitions, { name: treesDefinition.metadata.name });
      return status?.conditions?.some(({ type, status: is }) => type === "Established" && is === "True") ?? false;
    }, "the definition");
  }, 300_000);
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function run(gates: Readonly<Record<string, string>>) {
    const switches = Object.entries(gates).map(([gate, value]) => [`KUBE_FEATURE_${gate}`, value]);
    const child = Bun.spawn([program], {
      env: { ...process.env, ...Object.fromEntries(switches), KUBECONFIG: kubeconfig },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [said, complained, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, said, complained };
  }

  test.each([
    [{}, streamed],
    [{ WatchListClient: "false" }, listed],
    [{ ClientsAllowCBOR: "true" }, streamed],
  ] as const)(
    "tell every change in its order: %j",
    async (gates, reads) => {
      const { code, said, complained } = await run(gates);
      expect([code, complained]).toEqual([0, ""]);
      expect(JSON.parse(said) as Notes).toEqual({
        events: {
          typed: ["add", "update", "update", "delete"],
          dynamic: ["add", "update", "update", "delete"],
          metadata: ["add", "update", "update", "delete"],
        },
        reads,
      });
    },
    300_000,
  );

  // As upstream's server, which speaks no CBOR unless it is told to.
  test("are in step, and a change sent as CBOR is refused as a type that is not known", async () => {
    const { code, complained } = await run({ ClientsAllowCBOR: "true", ClientsPreferCBOR: "true" });
    expect([code, complained]).toEqual([1, "415: Unsupported Media Type\n"]);
    await server.admin.delete(configMaps, { namespace: "default", name: "probe" });
  }, 300_000);
});

const treesDefinition = {
  apiVersion: "apiextensions.k8s.io/v1" as const,
  kind: "CustomResourceDefinition" as const,
  metadata: { name: "trees.garden.example.org" },
  spec: {
    group: "garden.example.org",
    names: { kind: "Tree", plural: "trees" },
    scope: "Namespaced",
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: { spec: { type: "object", properties: { height: { type: "integer" } } } },
          },
        },
      },
    ],
  },
};
