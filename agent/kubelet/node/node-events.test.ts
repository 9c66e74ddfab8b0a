import { expect, test } from "bun:test";
import type { NodeStatus } from "#shared/api/types/core-v1.generated.ts";
import { nodeEvents } from "./node-events.ts";

const status = (bootID: string, conditions: Record<string, string>): NodeStatus =>
  ({
    nodeInfo: { bootID },
    conditions: Object.entries(conditions).map(([type, status]) => ({ type, status })),
  }) as NodeStatus;
const well = { MemoryPressure: "False", DiskPressure: "False", PIDPressure: "False", Ready: "True" };
const told = (next: NodeStatus, old?: NodeStatus): string[] =>
  nodeEvents("a", next, old).map(({ type, reason, message }) => `${type} ${reason}: ${message}`);

test("a board that is new tells how it is", () => {
  expect(told(status("1", well))).toEqual([
    "Normal NodeHasSufficientMemory: Node a status is now: NodeHasSufficientMemory",
    "Normal NodeHasNoDiskPressure: Node a status is now: NodeHasNoDiskPressure",
    "Normal NodeHasSufficientPID: Node a status is now: NodeHasSufficientPID",
    "Normal NodeReady: Node a status is now: NodeReady",
  ]);
});

test("then what changes, and that it was rebooted", () => {
  expect(told(status("1", well), status("1", well))).toEqual([]);
  const worse = { ...well, MemoryPressure: "True", Ready: "False", Undervoltage: "True" };
  const [reboot, memory, ready, strain, ...rest] = told(status("2", worse), status("1", well));
  expect(reboot).toBe("Warning Rebooted: Node a has been rebooted, boot id: 2");
  expect(memory).toBe("Normal NodeHasInsufficientMemory: Node a status is now: NodeHasInsufficientMemory");
  expect(ready).toBe("Normal NodeNotReady: Node a status is now: NodeNotReady");
  expect(strain).toStartWith("Warning BoardUndervoltage: ");
  expect(rest).toEqual([]);
});
