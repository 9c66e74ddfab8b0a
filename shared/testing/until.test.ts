import { expect, test } from "bun:test";
import { until } from "./until.ts";

test("what is looked for is given when it is there, whatever failed before", async () => {
  let looks = 0;
  const found = await until(
    "the third look",
    () => {
      looks++;
      if (looks === 1) throw new Error("not there");
      return looks === 3 && "it";
    },
    { every_ms: 1 },
  );
  expect([found, looks]).toEqual(["it", 3]);
});

test("what never comes is told by its name, with the last failure and what else there is to tell", async () => {
  const impatient = { patience_ms: 0, every_ms: 1, tell: () => "a log" };
  expect(until("the moon", () => undefined, impatient)).rejects.toThrow("the moon: not so in time\na log");
  const failing = () => Promise.reject(new Error("no rope"));
  expect(until("the moon", failing, impatient)).rejects.toThrow("the moon: not so in time (Error: no rope)\na log");
});
