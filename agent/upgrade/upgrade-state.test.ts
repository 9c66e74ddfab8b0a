import { describe, expect, test } from "bun:test";
import { failed, judgeStart, passed, type UpgradeState, withoutFailure } from "./upgrade-state.ts";

const trial = (starts: number): UpgradeState => ({ previous: "0", trial: { from: "1", to: "2", starts } });

describe("a start", () => {
  test("without a trial is a usual one", () => {
    expect(judgeStart({ previous: "0" }, "1")).toEqual({ kind: "usual" });
  });
  test("of a program on trial is counted, three times", () => {
    expect(judgeStart(trial(0), "2")).toEqual({ kind: "trial", next: trial(1) });
    expect(judgeStart(trial(2), "2")).toEqual({ kind: "trial", next: trial(3) });
    expect(judgeStart(trial(3), "2")).toEqual({
      kind: "revert",
      next: { failure: { version: "2", message: "it was started 3 times and was never well" } },
    });
  });
  test("of another program ends the trial: the power went before it was in place, or somebody installed another", () => {
    expect(judgeStart(trial(0), "1")).toEqual({ kind: "settled", next: { previous: "0" } });
  });
});

test("a program that is well leaves the one before to go back to, and no older failure", () => {
  const state = { ...trial(1), failure: { version: "1.5", message: "x" } };
  expect(passed(state)).toEqual({ previous: "1" });
});

test("one that is not leaves nothing to go back to: what it replaced runs again", () => {
  expect(failed(trial(1), "no")).toEqual({ failure: { version: "2", message: "no" } });
});

test("a failure is forgotten on request", () => {
  expect(withoutFailure({ previous: "1", failure: { version: "2", message: "no" } })).toEqual({ previous: "1" });
});
