import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { ciphers, type NamedKey, openLocally, sealLocally } from "./local-ciphers.ts";

const path = "/registry/secrets/default/a";
const value = `{"kind":"Secret","metadata":{"name":"Über \ufeff"},"data":{"a":"${"x".repeat(64)}"}}`;

for (const cipher of ciphers) {
  const key = (): NamedKey => ({ cipher, name: "key", secret: randomBytes(32) });

  test(`${cipher}: no other key opens a value, whatever its padding looks like by that`, () => {
    const own = key();
    const sealedBytes = sealLocally(own, path, value);
    expect(openLocally(own, path, sealedBytes)).toBe(value);
    const opened = Array.from({ length: 3_000 }, () => openLocally(key(), path, sealedBytes));
    expect(opened.filter((text) => text !== undefined)).toEqual([]);
  });
}
