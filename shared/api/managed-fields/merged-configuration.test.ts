/** Configurations of mutating policies. Words and outcomes were seen at upstream's API server 1.35. */
import { expect, test } from "bun:test";
import { schemaFor } from "../schema/schema.ts";
import { ConfigurationMisfit, mergedConfiguration } from "./merged-configuration.ts";

const schema = schemaFor({ group: "", version: "v1", kind: "Pod" });
const head = { apiVersion: "v1", kind: "Pod" };
const live = {
  ...head,
  metadata: { name: "p", labels: { a: "1" } },
  spec: { containers: [{ name: "a", image: "a", args: ["x"] }], nodeName: "n" },
};
const merged = (fields: object): object => mergedConfiguration(live, { ...head, ...fields }, schema);

test("maps and keyed lists are merged, and nothing is removed", () => {
  const spec = { containers: [{ name: "b" }, { name: "a", image: "c" }] };
  expect(merged({ metadata: { labels: { b: "2" } }, spec })).toEqual({
    ...live,
    metadata: { name: "p", labels: { a: "1", b: "2" } },
    spec: { nodeName: "n", containers: [{ name: "b" }, { name: "a", image: "c", args: ["x"] }] },
  });
  expect(live.spec.containers).toHaveLength(1);
});

test("what does not fit, and what could only be replaced as a whole, is refused", () => {
  const unfit = "failed to convert patch object to typed object: ";
  const atomic = "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ";
  for (const [fields, message] of [
    [{ nope: 1 }, `${unfit}.nope: field not declared in schema`],
    [{ spec: { nodeName: 1 } }, `${unfit}.spec.nodeName: expected string, got &value.valueUnstructured{Value:1}`],
    [{ spec: null }, `${unfit}.spec: expected map, got &{NULL_VALUE}`],
    [{ spec: { priority: null } }, `${unfit}.spec.priority: expected numeric (int or float), got structpb.NullValue`],
    [{ spec: { containers: [{ name: "a", args: [] }] } }, `${atomic}.spec.containers[0].args`],
    [{ spec: { nodeSelector: {}, tolerations: [] } }, `${atomic}.spec.nodeSelector, .spec.tolerations`],
  ] as const) {
    let told: unknown;
    try {
      merged(fields);
    } catch (error) {
      told = error instanceof ConfigurationMisfit ? error.message : error;
    }
    expect(told).toBe(message);
  }
});
