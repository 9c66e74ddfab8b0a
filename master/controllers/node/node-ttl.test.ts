import { expect, test } from "bun:test";
import { nodes } from "#shared/api/resources.ts";
import { testNode } from "../../scheduler/testing.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import { nodeTtlController, ttlFor } from "./node-ttl.ts";

test("how long kubelets may keep what they read grows with the fleet, without going to and fro", () => {
  expect([1, 100, 101, 500, 501, 1000, 2000, 2001].map((count) => ttlFor(count, undefined))).toEqual([
    0, 0, 15, 15, 30, 30, 60, 300,
  ]);
  expect(ttlFor(95, 15)).toBe(15);
  expect(ttlFor(89, 15)).toBe(0);
  expect(ttlFor(95, 0)).toBe(0);
});

test("nodes are told by their annotation", async () => {
  const harness = await Harness.onApiServer();
  const { client } = harness;
  await harness.run(nodeTtlController);
  await client.create(nodes, testNode("a"));
  const told = async () => (await client.get(nodes, { name: "a" })).metadata.annotations;
  await eventually(async () => (await told())?.["node.alpha.kubernetes.io/ttl"] === "0", "the annotation");
  await harness.stop();
});
