import { expect, test } from "bun:test";
import * as refs from "#shared/api/resources.ts";
import { builtinDeclarations, optionalDeclarations } from "./index.ts";

test("every built-in reference has one declaration", () => {
  const declared = [...builtinDeclarations, ...optionalDeclarations].map(({ ref }) => ref);
  expect(new Set(declared).size).toBe(declared.length);
  for (const ref of Object.values(refs)) expect(declared).toContain(ref);
});
