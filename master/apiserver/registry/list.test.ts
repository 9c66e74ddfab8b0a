import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import { openMemoryStore } from "../../store/testing/memory-store.ts";
import { CacheHub } from "../watch-cache/cache-hub.ts";
import { toStoredText } from "../watch-cache/stored-text.ts";
import type { ResourceDeclaration } from "./declaration.ts";
import { listEntries } from "./list.ts";
import { parseSelection } from "./selection.ts";
import { ServedResource } from "./served-resource.ts";

const toy = (name: string): KubeObject =>
  ({ apiVersion: "g.example.com/v1", kind: "Toy", metadata: { name, namespace: "a" } }) as KubeObject;

test("a list is of the moment whose objects it shows, whatever is written while they are converted", async () => {
  const store = openMemoryStore();
  const hub = new CacheHub(store, () => undefined);
  const prefix = "/registry/g.example.com/toys/";
  const write = (name: string): Promise<number> => store.create(`${prefix}a/${name}`, toStoredText(toy(name)));
  const first = await write("first");
  const cache = await hub.attach(prefix, () => ({ labels: undefined, fields: {} }));
  await hub.start();
  const declaration: ResourceDeclaration = {
    ref: { group: "g.example.com", version: "v1", kind: "Toy", plural: "toys", namespaced: true },
    custom: true,
    converter: {
      async read(objects) {
        await hub.waitFor(await write("second"));
        return objects;
      },
      convert: (object) => object,
      write: (object) => object,
    },
  };
  const resource = new ServedResource(declaration, "v1", undefined, { declaration, cache });
  const selection = parseSelection(resource, "a", { fieldSelector: "metadata.name!=other" });
  const source = { hub, store, cache, resource, now_ms: () => 0 };
  const asked = { limit: 0, continueToken: "", resourceVersion: "", match: "" };
  const { entries, metadata } = await listEntries(source, selection, asked);
  expect(entries.map(({ name }) => name)).toEqual(["first"]);
  expect(metadata.resourceVersion).toBe(String(first));
  hub.stop();
  await store.close();
});
