import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isNotFound } from "#shared/api/errors.ts";
import { configMaps, events } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import { ApiEventRecorder } from "#shared/client/event-recorder.ts";
import { silentLog } from "#shared/client/log.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { Definitions } from "../../master/apiserver/extensions/definitions.ts";
import { ManifestFolder } from "../../master/manifests/manifest-folder.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

setDefaultTimeout(300_000);

describe("the folder of manifests", () => {
  const root = mkdtempSync(join(tmpdir(), "bramble-manifests-"));
  const folder = join(root, "manifests");
  let server: TestServer;
  let definitions: Definitions;
  let running: ManifestFolder;

  const start = async (gather_ms = 20): Promise<void> => {
    running = new ManifestFolder({
      folder,
      stateFile: join(root, "applied.json"),
      client: server.client,
      events: new ApiEventRecorder(server.client, { component: "test" }),
      log: silentLog,
      gather_ms,
    });
    await running.start();
  };
  beforeAll(async () => {
    mkdirSync(folder);
    server = await startTestServer();
    const { api, client } = server;
    const webhooks = { call: () => Promise.reject(new Error("no webhook is meant")) };
    definitions = new Definitions({ reader: api.reader, serving: api, client, webhooks, log: silentLog });
    await definitions.start();
    await start();
  });
  afterAll(async () => {
    await running.stop();
    definitions.stop();
    await server.stop();
    rmSync(root, { recursive: true });
  });

  const write = (file: string, ...objects: (object | string)[]): void =>
    writeFileSync(
      join(folder, file),
      objects.map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join("\n---\n"),
    );
  const map = (name: string, data: Record<string, string> = {}): object => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name },
    data,
  });
  const get = (name: string): Promise<ConfigMap | undefined> =>
    server.client.get(configMaps, { namespace: "default", name }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  const untilData = (name: string, data: object): Promise<ConfigMap> =>
    waitFor(`${name} with ${JSON.stringify(data)}`, 180, async () => {
      const found = await get(name);
      return found && Bun.deepEquals(found.data ?? {}, data) ? found : undefined;
    });
  const untilGone = (name: string): Promise<unknown> =>
    waitFor(`${name} gone`, 180, async () => (await get(name)) === undefined || undefined);

  test("applies what is there, follows changes, and deletes what leaves a file; its fields have an owner", async () => {
    write("a.yaml", map("one", { k: "1" }), map("two"));
    const { metadata } = await untilData("one", { k: "1" });
    expect(metadata.managedFields?.map(({ manager, operation }) => `${manager} ${operation}`)).toEqual([
      "bramble-manifests Apply",
    ]);
    // What somebody else put into the object stays when the file changes.
    const mine = { type: "merge" as const, body: { data: { mine: "yes" } } };
    await server.client.patch(configMaps, { namespace: "default", name: "one" }, mine);
    write("a.yaml", map("one", { k: "2" }));
    await untilData("one", { k: "2", mine: "yes" });
    await untilGone("two");
  });

  test("half of a file that is being written takes nothing away, until the file has been left alone", async () => {
    const settle = (file: string): void => utimesSync(join(folder, file), 0, 0);
    write("half.yaml", map("kept", { k: "1" }), map("late", { k: "1" }));
    await untilData("late", { k: "1" });
    await running.stop();
    write("half.yaml", map("kept", { k: "2" }));
    write("other.yaml", map("other", { k: "1" }));
    settle("other.yaml");
    await start(3_600_000);
    await untilData("other", { k: "1" });
    await running.stop();
    expect((await get("late"))?.data).toEqual({ k: "1" });
    settle("half.yaml");
    await start();
    await untilData("kept", { k: "2" });
    await untilGone("late");
  });

  test("a file that cannot be read changes nothing and says so in an event; its next good version heals it", async () => {
    write("b.yaml", map("three", { k: "1" }));
    await untilData("three", { k: "1" });
    write("b.yaml", "apiVersion: v1\nkind: [");
    const event = await waitFor("an event", 180, async () => {
      const { items } = await server.client.list(events, { namespace: "kube-system" });
      return items.find(({ involvedObject }) => involvedObject.name === "b.yaml");
    });
    expect(event).toMatchObject({ reason: "ManifestInvalid", type: "Warning" });
    expect((await get("three"))?.data).toEqual({ k: "1" });
    write("b.yaml", map("three", { k: "2" }));
    await untilData("three", { k: "2" });
  });

  test("a kind that comes with the file is there for its objects", async () => {
    const definition = {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "lamps.home.example" },
      spec: {
        group: "home.example",
        scope: "Namespaced",
        names: { plural: "lamps", kind: "Lamp" },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
          },
        ],
      },
    };
    write("lamps.yaml", { apiVersion: "home.example/v1", kind: "Lamp", metadata: { name: "hall" } }, definition);
    await waitFor("the lamp", 180, async () => {
      const answer = await server.fetch("/apis/home.example/v1/namespaces/default/lamps/hall");
      return answer.ok || undefined;
    });
  });

  test("a file with .skip beside it waits; a file that goes leaves its objects", async () => {
    writeFileSync(join(folder, "c.yaml.skip"), "");
    write("c.yaml", map("four"));
    write("d.yaml", map("five"));
    await untilData("five", {});
    expect(await get("four")).toBeUndefined();
    rmSync(join(folder, "c.yaml.skip"));
    await untilData("four", {});
    rmSync(join(folder, "d.yaml"));
    write("e.yaml", map("six"));
    await untilData("six", {});
    expect(await get("five")).toBeDefined();
  });

  test("what left a file while no master ran is deleted, unless another file has it now or it is no longer the file's", async () => {
    write("f.yaml", map("stays"), map("goes"), map("moves"), map("adopted"));
    await untilData("adopted", {});
    const key = { namespace: "default", name: "adopted" };
    const freed = { type: "merge" as const, body: { metadata: { annotations: { "bramble.dev/manifest": null } } } };
    await running.stop();
    await server.client.patch(configMaps, key, freed);
    write("f.yaml", map("stays"));
    write("g.yaml", map("moves", { k: "1" }));
    await start();
    await untilGone("goes");
    await untilData("moves", { k: "1" });
    for (const name of ["stays", "adopted"]) expect(await get(name)).toBeDefined();
  });
});
