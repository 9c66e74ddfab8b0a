import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { encryptionKeyFile, openStore, parseStoreChoice } from "./store-choice.ts";

test("etcd is named by its members, without certificates only on this board", () => {
  const endpointsOf = (text: string) => {
    const choice = parseStoreChoice(`etcd=${text}`);
    return choice.kind === "etcd" ? choice.endpoints : undefined;
  };
  expect(endpointsOf("https://a:2379, https://b:2379")).toEqual(["https://a:2379", "https://b:2379"]);
  for (const plain of [
    "http://127.0.0.1:2379",
    "http://127.1.2.3:2379",
    "http://localhost:2379",
    "http://[::1]:2379",
  ]) {
    expect(endpointsOf(plain)).toEqual([plain]);
  }
  for (const unfit of [
    "http://10.0.0.5:2379",
    "http://localhost.example:2379",
    "ftp://127.0.0.1",
    "https://a/b",
    "a",
  ]) {
    expect(() => parseStoreChoice(`etcd=${unfit}`)).toThrow("https://HOST:2379");
  }
});

test("an etcd without certificates on this board is a store", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-plain-etcd-"));
  const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
  const etcd = Bun.spawn({
    cmd: [
      "etcd",
      `--data-dir=${join(folder, "etcd")}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
    ],
    env: { ...process.env, ETCD_UNSUPPORTED_ARCH: "arm64" },
    stdout: "ignore",
    stderr: "ignore",
  });
  try {
    const none = { etcdCafile: "", etcdCertfile: "", etcdKeyfile: "" };
    const store = await openStore({ dataDir: folder, store: `etcd=${client}`, ...none }, silentLog);
    await store.create("/registry/configmaps/default/a", "{}");
    expect((await store.get("/registry/configmaps/default/a"))?.value).toBe("{}");
    await store.close();
    expect(existsSync(join(folder, encryptionKeyFile))).toBe(true);
  } finally {
    etcd.kill();
    await etcd.exited;
    rmSync(folder, { recursive: true, force: true });
  }
});
