import { expect, test } from "bun:test";
import { staleObject } from "#shared/api/errors.ts";
import { configMaps } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { updateLatest } from "./update-latest.ts";

const key = { namespace: "default", name: "shared" };

/** Holds one ConfigMap, into which somebody else writes before each of the first updates. */
function contested(times: number): { readonly client: Client; readonly data: () => ConfigMap["data"] } {
  let revision = 1;
  let data: ConfigMap["data"] = {};
  const get = async (): Promise<ConfigMap> => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { ...key, resourceVersion: String(revision) },
    data,
  });
  const update = async (_: unknown, object: ConfigMap): Promise<ConfigMap> => {
    if (times-- > 0) {
      data = { ...data, theirs: String(revision) };
      revision++;
    }
    if (object.metadata.resourceVersion !== String(revision)) throw staleObject(configMaps, key.name);
    data = object.data ?? {};
    revision++;
    return get();
  };
  return { client: { get, update } as unknown as Client, data: () => data };
}

const own = (object: ConfigMap): ConfigMap => ({ ...object, data: { ...object.data, ours: "here" } });

test("what somebody else wrote in between stays, beside the change", async () => {
  const { client, data } = contested(7);
  await updateLatest(client, configMaps, key, own);
  expect(data()).toEqual({ theirs: "7", ours: "here" });
});

test("an object that never comes to rest is told, and so is any other error", async () => {
  await expect(updateLatest(contested(1000).client, configMaps, key, own)).rejects.toThrow("has been modified");
  const refused = new Error("refused");
  const client = { ...contested(0).client, update: () => Promise.reject(refused) } as Client;
  await expect(updateLatest(client, configMaps, key, own)).rejects.toBe(refused);
});
