import { afterAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configuredTransformer, parseEncryptionConfiguration } from "./encryption-configuration.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import type { ValueTransformer } from "./value-transformer.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-encryption-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const own: ValueTransformer = {
  toStorage: (_key, value) => `own:${value}`,
  fromStorage: (_key, stored) => stored.replace(/^own:/, ""),
};
const secret = (bytes = 32): string => randomBytes(bytes).toString("base64");
const configuration = (...resources: object[]): string =>
  JSON.stringify({ apiVersion: "apiserver.config.k8s.io/v1", kind: "EncryptionConfiguration", resources });
const keys = (...secrets: string[]): object => ({
  keys: secrets.map((one, index) => ({ name: `key${index}`, secret: one })),
});

let files = 0;
function written(text: string): string {
  const path = join(folder, `${files++}.yaml`);
  writeFileSync(path, text);
  return path;
}

const key = "/registry/secrets/default/a";
const value = JSON.stringify({ kind: "Secret", data: { a: "ä" } });

describe.each(["aescbc", "aesgcm", "secretbox"])("%s", (cipher) => {
  test("hides a value and gives it back", () => {
    const path = written(
      configuration({ resources: ["secrets"], providers: [{ [cipher]: keys(secret()) }, { identity: {} }] }),
    );
    const transformer = configuredTransformer(path, own);
    const stored = transformer.toStorage(key, value);
    expect(stored).toStartWith(`k8s:enc:${cipher}:v1:key0:`);
    expect(stored).not.toContain("Secret");
    expect(transformer.fromStorage(key, stored)).toBe(value);
    expect(transformer.toStorage(key, value)).not.toBe(stored);
    // What the configuration does not speak of, and what was written before it.
    expect(transformer.toStorage("/registry/configmaps/default/a", value)).toBe(`own:${value}`);
    expect(transformer.fromStorage(key, `own:${value}`)).toBe(value);
    expect(transformer.fromStorage(key, value)).toBe(value);
  });

  test("a former key still reads, and a stranger's does not", () => {
    const [former, next] = [secret(), secret()];
    const path = written(configuration({ resources: ["secrets"], providers: [{ [cipher]: keys(former) }] }));
    const transformer = configuredTransformer(path, own);
    const stored = transformer.toStorage(key, value);
    const both = {
      keys: [
        { name: "new", secret: next },
        { name: "key0", secret: former },
      ],
    };
    writeFileSync(path, configuration({ resources: ["secrets"], providers: [{ [cipher]: both }] }));
    expect(transformer.toStorage(key, value)).toStartWith(`k8s:enc:${cipher}:v1:new:`);
    expect(transformer.fromStorage(key, stored)).toBe(value);
    const alone = written(configuration({ resources: ["secrets"], providers: [{ [cipher]: keys(secret()) }] }));
    expect(() => configuredTransformer(alone, own).fromStorage(key, stored)).toThrow("was encrypted by");
  });
});

test("aesgcm binds a value to its key", () => {
  const path = written(configuration({ resources: ["secrets"], providers: [{ aesgcm: keys(secret()) }] }));
  const transformer = configuredTransformer(path, own);
  const stored = transformer.toStorage(key, value);
  expect(() => transformer.fromStorage("/registry/secrets/default/b", stored)).toThrow("was encrypted by");
});

test("resources are of the core, of groups, or all; the first that speaks of one decides", () => {
  const path = written(
    configuration(
      {
        resources: ["configmaps", "deployments.apps", "widgets.example.com"],
        providers: [{ aescbc: keys(secret(16)) }],
      },
      { resources: ["secrets"], providers: [{ identity: {} }] },
      { resources: ["*.*"], providers: [{ secretbox: keys(secret()) }] },
    ),
  );
  const transformer = configuredTransformer(path, own);
  const how = (key: string): string => transformer.toStorage(key, "x").split(":")[2] ?? "as it is";
  expect(
    [
      "configmaps/a/b",
      "deployments/a/b",
      "example.com/widgets/a/b",
      "secrets/a/b",
      "pods/a/b",
      "example.com/others/a",
    ].map((path) => how(`/registry/${path}`)),
  ).toEqual(["aescbc", "aescbc", "aescbc", "as it is", "secretbox", "secretbox"]);
  expect(transformer.toStorage("revision_shift", "x")).toBe("own:x");
});

test("all faults of a file are named", () => {
  const faults =
    (...resources: object[]): (() => unknown) =>
    () =>
      parseEncryptionConfiguration(configuration(...resources), "file");
  expect(faults()).toThrow("Required value: at least one resource configuration");
  expect(faults({ resources: ["secrets"], providers: [{ aescbc: keys(secret(5)) }] })).toThrow(
    "secret is not of the expected length, got 5, expected one of [16 24 32]",
  );
  expect(faults({ resources: ["secrets"], providers: [{ kms: { name: "k" } }] })).toThrow("key services are not asked");
  expect(faults({ resources: ["secrets"], providers: [{}] })).toThrow("exactly one of the expected providers");
  expect(faults({ resources: ["*.apps"], providers: [{ identity: {} }] })).toThrow("but not all of a group");
});

test("a store keeps values so", async () => {
  const providers = {
    follows: true,
    path: written(configuration({ resources: ["secrets"], providers: [{ secretbox: keys(secret()) }] })),
  };
  const options = {
    path: join(folder, "store.db"),
    encryption: { keyFile: join(folder, "own.key"), prefixes: ["/registry/secrets/"], providers },
  };
  const store = await openSqliteStore(options);
  await store.create(key, value);
  await store.close();
  const again = await openSqliteStore(options);
  expect((await again.get(key))?.value).toBe(value);
  await again.close();
  const without = await openSqliteStore({ ...options, encryption: undefined });
  expect((await without.get(key))?.value).toStartWith("k8s:enc:secretbox:v1:key0:");
  await without.close();
});
