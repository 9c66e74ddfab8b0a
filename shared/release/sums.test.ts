import { describe, expect, test } from "bun:test";
import { generateKeyPairSync, sign } from "node:crypto";
import { versionOfKubelet } from "#shared/board/upgrade.ts";
import { gitVersionOf } from "#shared/version.ts";
import { checkSignature, parseSums } from "./sums.ts";

const sum = "a".repeat(64);

test("sums by name; anything else in the file is no sum", () => {
  expect([...parseSums(`${sum}  bramble-linux-arm64\n${sum} *VERSION\nnot a sum\n${sum}  ../etc/passwd\n`)]).toEqual([
    ["bramble-linux-arm64", sum],
    ["VERSION", sum],
  ]);
});

describe("a signed program", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const key = publicKey.export({ type: "spki", format: "pem" }).toString();
  const sums = `${sum}  VERSION\n`;
  const signature = sign(undefined, Buffer.from(sums), privateKey).toString("base64");

  test("takes what its maker signed", () => {
    expect(() => checkSignature(sums, `${signature}\n`, key)).not.toThrow();
  });
  test("takes nothing else", () => {
    expect(() => checkSignature(sums, undefined, key)).toThrow("has no SHA256SUMS.sig");
    expect(() => checkSignature(sums.replace("a", "b"), signature, key)).toThrow("is not that of who signed");
    const stranger = generateKeyPairSync("ed25519").privateKey;
    const other = sign(undefined, Buffer.from(sums), stranger).toString("base64");
    expect(() => checkSignature(sums, other, key)).toThrow("is not that of who signed");
  });
  test("one built by hand has nobody's key to ask for", () => {
    expect(() => checkSignature(sums, undefined, undefined)).not.toThrow();
  });
});

test.each(["0.1.0", "0.1.0+g1b42f04", "1.2.3-rc-1+g1b42f04.dirty"])("%s is read back from a Node", (version) => {
  expect(versionOfKubelet(gitVersionOf(version))).toBe(version);
});

test("another kubelet's version is none", () => {
  expect(versionOfKubelet("v1.35.4")).toBeUndefined();
  expect(versionOfKubelet("v1.35.4+k3s1")).toBeUndefined();
});
