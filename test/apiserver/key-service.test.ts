/** An API server whose Secrets rest under a key service's key, over its outages. Refusals are worded as kube-apiserver v1.35.4 words them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StatusError } from "#shared/api/errors.ts";
import { configMaps, secrets } from "#shared/api/resources.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import { until } from "#shared/testing/until.ts";
import { KmsPluginProcess } from "../../master/store/encryption/testing/plugin-process.ts";
import { openSealed } from "../../master/store/resting-values.ts";
import { openSqliteStore } from "../../master/store/sqlite-store.ts";
import { rejection } from "../../master/store/store-contract.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-key-service-"));
const plugin = new KmsPluginProcess();
const configuration = join(folder, "encryption.yaml");
const running: TestServer[] = [];

beforeAll(() => {
  const kms = { apiVersion: "v2", name: "one", endpoint: plugin.endpoint, timeout: "1s" };
  writeFileSync(
    configuration,
    JSON.stringify({
      apiVersion: "apiserver.config.k8s.io/v1",
      kind: "EncryptionConfiguration",
      resources: [{ resources: ["secrets"], providers: [{ kms }, { identity: {} }] }],
    }),
  );
});
afterAll(async () => {
  for (const server of running) await server.stop();
  await plugin.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** Over the same database as the one before. */
async function start(): Promise<TestServer> {
  await running.pop()?.stop();
  const encryption = { keyFile: join(folder, "own.key"), prefixes: ["/registry/secrets/"] };
  const store = () =>
    openSealed({ encryptionProviderConfig: configuration }, encryption, silentLog, (own) =>
      openSqliteStore({ path: join(folder, "state.db"), encryption: own }),
    );
  const server = await startTestServer({ store });
  running.push(server);
  return server;
}

const secretOf = (name: string): Secret => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace: "default" },
  data: { a: "Yg==" },
});
const at = (name: string) => ({ namespace: "default", name });
const refusal = async (asked: Promise<unknown>): Promise<StatusError> => (await rejection(asked)) as StatusError;
const page = async (server: TestServer, path: string): Promise<string> => (await server.fetch(path)).text();

test("Secrets go on by the seed that is known while their key service is away, and end and come again with it", async () => {
  await plugin.start();
  let server = await start();
  await until("the key service is well", async () => (await page(server, "/readyz/kms-providers")) === "ok");
  await until("all is well", async () => (await page(server, "/healthz?verbose")).includes("[+]kms-providers ok\n"));
  expect((await server.fetch("/livez/kms-providers")).status).toBe(404);
  await server.client.create(secrets, secretOf("one"), { namespace: "default" });
  await server.client.create(secrets, secretOf("two"), { namespace: "default" });
  const metrics = (await page(server, "/metrics"))
    .split("\n")
    .filter((line) => line.includes("envelope"))
    .join("\n");
  expect(metrics).toContain('apiserver_envelope_encryption_dek_source_cache_size{provider_name="one"} 1');
  expect(metrics).toContain('method_name="/v2.KeyManagementService/Status",grpc_status_code="OK"');

  await plugin.kill();
  await server.client.create(secrets, secretOf("three"), { namespace: "default" });
  expect((await server.client.get(secrets, at("one"))).data).toEqual({ a: "Yg==" });

  // As a master that starts with the service away.
  server = await start();
  const why = "failed to decrypt DEK, error: rpc error: code = DeadlineExceeded desc = context deadline exceeded";
  const got = await refusal(server.client.get(secrets, at("one")));
  expect(got.reason).toBe("InternalError");
  expect(got.message).toStartWith(`Internal error occurred: ${why}`);
  const unlisted = `Internal error occurred: unable to transform key "/registry/secrets/default/one": ${why}`;
  expect((await refusal(server.client.list(secrets, { namespace: "default" }))).message).toStartWith(unlisted);
  expect((await server.client.list(secrets, { namespace: "kube-system" })).items).toEqual([]);
  const watched = await server.fetch("/api/v1/namespaces/default/secrets?watch=1");
  expect(watched.status).toBe(500);
  const createdLate = server.client.create(secrets, secretOf("four"), { namespace: "default" });
  expect((await refusal(createdLate)).message).toBe("Internal error occurred: got unexpected nil transformer");
  expect((await refusal(server.client.delete(secrets, at("one")))).reason).toBe("InternalError");
  const merge = { type: "merge", body: { data: { a: "Yw==" } } } as const;
  expect((await refusal(server.client.patch(secrets, at("one"), merge))).reason).toBe("InternalError");
  const whole = server.fetch("/api/v1/namespaces/default/secrets", { method: "DELETE" });
  expect((await whole).status).toBe(500);
  expect(await page(server, "/readyz")).toContain("[-]kms-providers failed: reason withheld\n");
  expect(await page(server, "/livez")).toBe("ok");
  // Other kinds do without it.
  const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x", namespace: "default" } } as const;
  await server.client.create(configMaps, map, { namespace: "default" });

  await plugin.start();
  const listed = await until("Secrets can be read again", () => server.client.list(secrets, { namespace: "default" }));
  expect(listed.items.map(({ metadata, data }) => [metadata.name, data?.["a"]])).toEqual([
    ["one", "Yg=="],
    ["three", "Yg=="],
    ["two", "Yg=="],
  ]);
  const patched = await until("Secrets can be written again", () =>
    server.client.patch(secrets, at("two"), { type: "merge", body: { data: { a: "Yw==" } } }),
  );
  expect(patched.data).toEqual({ a: "Yw==" });
  expect((await server.client.get(secrets, at("two"))).data).toEqual({ a: "Yw==" });
  await server.client.delete(secrets, at("one"));
});
