import { afterAll, beforeEach, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { verifyReleaseFolder } from "./release-folder.ts";

const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const key = publicKey.export({ type: "spki", format: "pem" }).toString();
const root = mkdtempSync(join(tmpdir(), "bramble-folder-"));
let folder = "";
const write = (name: string, text: string | Buffer): void => writeFileSync(join(folder, name), text);
const signed = (text: string): string => `${sign(undefined, Buffer.from(text), privateKey).toString("base64")}\n`;

beforeEach(() => {
  folder = mkdtempSync(join(root, "release-"));
  write("SHA256SUMS", "sums\n");
  write("SHA256SUMS.sig", signed("sums\n"));
});
afterAll(() => rmSync(root, { recursive: true }));

test("a release and images that are signed are taken", async () => {
  expect(await verifyReleaseFolder(folder, key)).toBe(0);
  write("images.sha256", "images\n");
  write("images.sha256.sig", signed("images\n"));
  expect(await verifyReleaseFolder(folder, key)).toBe(0);
});

test("images that nobody signed, or that are others, are not", async () => {
  write("images.sha256", "images\n");
  expect(await verifyReleaseFolder(folder, key)).toBe(3);
  write("images.sha256.sig", signed("other images\n"));
  expect(await verifyReleaseFolder(folder, key)).toBe(3);
});

test("a release without a signature is not, but by a program that nobody signed", async () => {
  rmSync(join(folder, "SHA256SUMS.sig"));
  expect(await verifyReleaseFolder(folder, key)).toBe(3);
  expect(await verifyReleaseFolder(folder, undefined)).toBe(0);
});

test("nothing is taken of a folder that is missing, or that has no list", async () => {
  rmSync(join(folder, "SHA256SUMS"));
  await expect(verifyReleaseFolder(folder, key)).rejects.toThrow("neither SHA256SUMS nor images.sha256");
  await expect(verifyReleaseFolder(join(folder, "absent"), undefined)).rejects.toThrow("neither SHA256SUMS");
});

test("what openssl signs, as tools/bundle.sh has it sign, counts", async () => {
  write("key.pem", privateKey.export({ type: "pkcs8", format: "pem" }));
  write("images.sha256", "images\n");
  const words = ["pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", "images.sha256"];
  write("images.sha256.sig", execFileSync("openssl", words, { cwd: folder }).toString("base64"));
  expect(await verifyReleaseFolder(folder, key)).toBe(0);
});
