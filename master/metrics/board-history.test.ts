import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceReader } from "../apiserver/registry/reader.ts";
import { type BoardHistory, boardHistoryResource } from "./board-history-resource.ts";
import { readHistory } from "./board-scraper.ts";

const told = JSON.stringify([
  { at_ms: 1_000, cpu_cores: 0.12345, memoryUsed_bytes: 2 ** 30, secret: "x" },
  { at_ms: 21_000, cpu_cores: 1.5, received_bytesPerS: 10.4, temperature_celsius: 51.26 },
]);

test("what a board tells is taken as far as it is a history", () => {
  expect(readHistory(told)).toEqual([
    { at_ms: 1_000, cpu_cores: 0.12345, memoryUsed_bytes: 2 ** 30 },
    { at_ms: 21_000, cpu_cores: 1.5, received_bytesPerS: 10.4, temperature_celsius: 51.26 },
  ]);
  expect(readHistory('[null, 1, {"cpu_cores": 1}, {"at_ms": 1, "cpu_cores": "1"}]')).toEqual([{ at_ms: 1 }]);
  // A board of an older version answers with its summary.
  expect(readHistory('{"node": {}}')).toEqual([]);
  expect(() => readHistory("<html>")).toThrow(SyntaxError);
});

test("boards that are there are asked, only those wanted, and one that fails has no samples", async () => {
  const asked: string[] = [];
  const nodes: KubeObject[] = ["a", "b", "away", "faulty"].map((name) => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name },
  }));
  const resource = boardHistoryResource({
    reader: { list: () => nodes } as unknown as ResourceReader,
    boards: () => ["a", "b", "faulty"],
    history: async (board) => {
      asked.push(board);
      if (board === "faulty") throw new Error("gone");
      return readHistory(told);
    },
  });
  const histories = (await resource.computed?.({})) as BoardHistory[];
  expect(histories.map(({ metadata, status }) => [metadata.name, status.samples.length])).toEqual([
    ["a", 2],
    ["b", 2],
    ["away", 0],
    ["faulty", 0],
  ]);
  expect(histories[0]?.status.samples).toEqual([
    { time: "1970-01-01T00:00:01Z", cpuCores: 0.123, memoryBytes: 2 ** 30 },
    { time: "1970-01-01T00:00:21Z", cpuCores: 1.5, receivedBytesPerSecond: 10, temperatureCelsius: 51.3 },
  ]);
  expect(asked.splice(0)).toEqual(["a", "b", "faulty"]);
  await resource.computed?.({ name: "b" });
  expect(asked).toEqual(["b"]);
});
