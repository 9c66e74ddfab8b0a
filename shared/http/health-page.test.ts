import { expect, test } from "bun:test";
import { healthPage } from "./health-page.ts";

const checks = { well: async () => undefined, ill: () => Promise.reject(new Error("out of order")) };
const asked = { excluded: new Set<string>(), verbose: false };

test("one check alone says how it is, and what is none is not found", async () => {
  const one = (only: string) => healthPage("healthz", checks, { ...asked, only });
  expect(await one("well")).toEqual({ code: 200, body: "ok" });
  expect(await one("ill")).toEqual({ code: 500, body: "internal server error: out of order\n" });
  for (const none of ["other", "toString", "constructor", "__proto__"]) expect((await one(none)).code).toBe(404);
});

test("the whole page keeps why a check failed to itself", async () => {
  expect(await healthPage("healthz", checks, asked)).toEqual({
    code: 500,
    body: "[+]well ok\n[-]ill failed: reason withheld\nhealthz check failed\n",
  });
  expect(await healthPage("healthz", checks, { ...asked, excluded: new Set(["ill"]) })).toEqual({
    code: 200,
    body: "ok",
  });
});
