import { expect, test } from "bun:test";
import { nodes } from "#shared/api/resources.ts";
import { testNode } from "../../scheduler/testing.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import { FleetTtl, nodeTtlController } from "./node-ttl.ts";

const annotation = "node.alpha.kubernetes.io/ttl";

test("how long kubelets may keep what they read grows with the fleet, without going to and fro", () => {
  const fleet = new FleetTtl();
  const told = (counts: readonly number[]) => counts.map((count) => fleet.for(count));
  expect(told([1, 95, 100, 101, 500, 501, 1000, 2000, 2001])).toEqual([0, 0, 0, 15, 15, 30, 30, 60, 300]);
  expect(told([1800, 950, 900, 460, 450, 95, 90, 89, 95])).toEqual([300, 60, 60, 30, 30, 15, 15, 0, 0]);
});

test("a fleet that comes or goes many nodes at once stops at the first step that covers it", () => {
  expect(new FleetTtl().for(460)).toBe(15);
  const fleet = new FleetTtl();
  fleet.for(3000);
  expect(fleet.for(950)).toBe(60);
});

test("nodes are told by their annotation", async () => {
  const harness = await Harness.onApiServer();
  const { client } = harness;
  await harness.run(nodeTtlController());
  await client.create(nodes, testNode("a"));
  const told = async () => (await client.get(nodes, { name: "a" })).metadata.annotations;
  await eventually(async () => (await told())?.["node.alpha.kubernetes.io/ttl"] === "0", "the annotation");
  await harness.stop();
});

test("a node that joins a fleet between two steps is told what the others are", async () => {
  const harness = await Harness.onApiServer();
  const { client } = harness;
  const names = Array.from({ length: 101 }, (_, index) => `board-${index}`);
  for (const name of names) await client.create(nodes, testNode(name));
  await harness.run(nodeTtlController());
  const told = async (name: string) => (await client.get(nodes, { name })).metadata.annotations?.[annotation];
  await eventually(async () => (await told("board-100")) === "15", "the annotation of the last");
  for (const name of names.slice(0, 6)) await client.delete(nodes, { name });
  await client.create(nodes, testNode("late"));
  await eventually(async () => (await told("late")) !== undefined, "the annotation of the late one");
  expect(await told("late")).toBe("15");
  await harness.stop();
});
