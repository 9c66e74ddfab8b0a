import { expect, test } from "bun:test";
import { negotiate, negotiateAggregated, negotiateFor, requireOnly } from "./negotiate.ts";

const protobuf = "application/vnd.kubernetes.protobuf";
const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
const configMaps = {
  kind: { group: "", version: "v1", kind: "ConfigMap" },
  custom: false,
  lists: false,
  watches: false,
  hasTable: true,
  isText: false,
};
const noForm = "only the following media types";

test("an object's own form", () => {
  expect(negotiate(undefined)).toMatchObject({ media: "json", as: undefined });
  expect(negotiate(`${protobuf},application/json`).media).toBe("json");
  expect(negotiate(protobuf).media).toBe("protobuf");
  expect(negotiate("application/yaml").media).toBe("yaml");
  expect(negotiate("application/yaml;q=0.1, application/json;q=0.9").media).toBe("json");
  expect(negotiate("*/*, application/yaml").media).toBe("yaml");
  expect(negotiate("application/json;q=0").media).toBe("json");
  expect(negotiate("application/json;stream=watch").media).toBe("json");
  expect(negotiate(`${table}, application/yaml`).media).toBe("yaml");
  for (const accept of [
    table,
    "text/html",
    "APPLICATION/JSON",
    "application/json;stream=other",
    "application/json;sv=v1",
  ])
    expect(() => negotiate(accept)).toThrow(noForm);
});

test("another form", () => {
  expect(negotiateFor(configMaps, `${table},application/json`).as).toEqual({ kind: "Table", version: "v1" });
  expect(negotiateFor(configMaps, "application/json;as=Table;v=v9;g=meta.k8s.io, */*")).toMatchObject({
    media: "json",
    as: undefined,
  });
  expect(negotiateFor(configMaps, "application/yaml;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io")).toMatchObject({
    media: "yaml",
    as: { kind: "PartialObjectMetadata", version: "v1beta1" },
  });
  expect(() => negotiateFor({ ...configMaps, hasTable: false }, table)).toThrow(noForm);
  expect(() => negotiateFor(configMaps, `${protobuf};as=Table;v=v1;g=meta.k8s.io`)).toThrow(noForm);
  expect(() => negotiateFor(configMaps, "application/json;as=Table;v=v9;g=meta.k8s.io")).toThrow(noForm);
});

test("what a router stands before", () => {
  const watched = { ...configMaps, lists: true, watches: true };
  expect(() => negotiateFor(configMaps, "application/*")).toThrow("Available representations: application/json");
  expect(negotiateFor({ ...configMaps, custom: true }, "application/*").media).toBe("json");
  expect(() => negotiateFor(watched, "application/yaml")).toThrow("application/json;stream=watch");
  expect(() => requireOnly("application/yaml")).toThrow("Available representations: application/json");
  requireOnly("application/json;as=Other, application/yaml");
});

test("the aggregated list of discovery", () => {
  const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  expect(negotiateAggregated(`${aggregated},application/json`)).toBe("json");
  expect(negotiateAggregated(aggregated.replace("json", "yaml"))).toBe("yaml");
  expect(negotiateAggregated(`${aggregated};q=0.5,application/json`)).toBe("json");
  expect(negotiateAggregated("application/json")).toBeUndefined();
  expect(negotiateAggregated(aggregated.replace("v=v2", "v=v2beta1"))).toBeUndefined();
  expect(negotiateAggregated(undefined)).toBeUndefined();
});
