import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { aesGcmTransformer } from "./value-transformer.ts";

const key = (keyId: string) => ({ keyId, secret: randomBytes(32) });
const [writing, former] = [key("a"), key("b")];
const own = aesGcmTransformer(() => ({ writing, others: [], stage: "settled" }), ["/registry/secrets/"]);
const other = aesGcmTransformer(() => ({ writing: former, others: [], stage: "settled" }), ["/registry/secrets/"]);
const path = "/registry/secrets/a/b";

test("a value is read under its own key alone, and one that a hand has moved or cut is no object", () => {
  const sealed = own.toStorage(path, '{"kind":"Secret"}');
  expect(own.fromStorage(path, sealed)).toBe('{"kind":"Secret"}');
  const cut = sealed.slice(0, 50);
  for (const [where, text] of [
    ["/registry/secrets/a/c", sealed],
    [path, cut],
    [path, sealed.slice(0, sealed.indexOf(":", 20) + 1)],
  ] as const) {
    expect(own.fromStorage(where, text)).toBe(text);
    expect(() => JSON.parse(own.fromStorage(where, text))).toThrow();
  }
});

test("a key that this master does not have ends what would read by it", () => {
  expect(() => own.fromStorage(path, other.toStorage(path, "{}"))).toThrow("does not have");
});
