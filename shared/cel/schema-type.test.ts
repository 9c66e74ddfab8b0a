import { expect, test } from "bun:test";
import { FunctionTable } from "./functions.ts";
import { Program } from "./program.ts";
import { typeOfSchema } from "./schema-type.ts";
import { standardLibrary } from "./standard-library.ts";
import { dyn } from "./types.ts";
import { fromJson, toJson } from "./values.ts";

const functions = new FunctionTable(standardLibrary);

test("a field is reached by its escaped name, one named by a reserved word by either", () => {
  const schema = {
    type: "object",
    properties: { namespace: { type: "string" }, "my-key": { type: "integer" }, "9": { type: "string" } },
  };
  const type = typeOfSchema(schema, "Object", false) ?? dyn;
  const run = (source: string): unknown => {
    const program = Program.compile(source, { variables: new Map([["self", type]]), functions });
    return toJson(program.run(() => fromJson({ namespace: "a", "my-key": 1 }, type), 1000));
  };
  expect(run("self.namespace + self.__namespace__")).toBe("aa");
  expect(run("has(self.namespace) && self.my__dash__key == 1")).toBe(true);
  expect(() => run("self.namespase")).toThrow("undefined field 'namespase'");
});
