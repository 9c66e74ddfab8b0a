import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  dropFormerEncryptionKeys,
  encryptionKeysIn,
  parseEncryptionKeys,
  publishEncryptionKey,
  switchEncryptionKey,
  withFormerKeys,
} from "./encryption-keys.ts";

const key = (byte: number): string => Buffer.alloc(32, byte).toString("base64");
const parse = (text: string) => parseEncryptionKeys(text, "keys");

describe("the keys of the store", () => {
  test("are published, then write, then are alone", () => {
    const settled = parse(`${key(1)}\n`);
    const published = parse(publishEncryptionKey(settled));
    const writing = parse(switchEncryptionKey(published));
    expect([settled, published, writing].map(({ stage }) => stage)).toEqual(["settled", "published", "writing"]);
    expect(published.writing.keyId).toBe(settled.writing.keyId);
    expect(published.others).toEqual([writing.writing]);
    expect(writing.others).toEqual([settled.writing]);
    const left = parse(dropFormerEncryptionKeys(writing));
    expect(left).toEqual({ writing: writing.writing, others: [], stage: "settled" });
    expect(() => switchEncryptionKey(settled)).toThrow("no new encryption key was published");
  });

  test("of a backup that is restored within a change are kept until nothing rests under them", () => {
    const published = publishEncryptionKey(parse(`${key(1)}\n`));
    const restored = parse(withFormerKeys(published, `${key(2)}\n`, "keys"));
    expect(restored.stage).toBe("published");
    const writing = parse(switchEncryptionKey(restored));
    const known = [key(1), key(2)].map((text) => parse(text).writing);
    expect(writing).toEqual({ writing: restored.others[0], others: known, stage: "writing" } as typeof writing);
  });

  test.each(["", "abc", `next ${key(1)}`, `${key(1)}\n${key(2)}`, `${key(1)}\nother ${key(2)}`])(
    "are not %j",
    (text) => {
      expect(() => parse(text)).toThrow("keys does not");
    },
  );

  test("are made once in a file of root's, and read again when it has changed", () => {
    const folder = mkdtempSync(join(tmpdir(), "encryption-keys-"));
    const path = join(folder, "encryption.key");
    const keys = encryptionKeysIn(path);
    const first = keys();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(encryptionKeysIn(path)()).toEqual(first);
    writeFileSync(path, publishEncryptionKey(first));
    expect(keys().stage).toBe("published");
    expect(readFileSync(path, "utf8")).toContain("next ");
    rmSync(folder, { recursive: true });
    expect(keys().stage).toBe("published");
  });
});
