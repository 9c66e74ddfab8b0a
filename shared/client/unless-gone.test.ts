import { expect, test } from "bun:test";
import { conflict, notFound } from "#shared/api/errors.ts";
import { unlessGone } from "./unless-gone.ts";

test("what is gone is no error, and everything else is", async () => {
  expect(await unlessGone(Promise.resolve("there"))).toBe("there");
  expect(await unlessGone(Promise.reject(notFound({ group: "", plural: "pods" }, "p")))).toBeUndefined();
  const refusal = conflict({ group: "", plural: "pods" }, "p", "changed");
  await expect(unlessGone(Promise.reject(refusal))).rejects.toBe(refusal);
});
