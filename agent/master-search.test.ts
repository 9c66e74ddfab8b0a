import { describe, expect, test } from "bun:test";
import { silentLog } from "#shared/client/log.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { MasterSearch } from "./master-search.ts";

describe("a search for masters", () => {
  const search = (answers: string[][]) => {
    const clock = new ManualClock();
    const found: (readonly string[])[] = [];
    let asked = 0;
    const it = new MasterSearch({
      configured: [],
      trust: async () => ({ ca: "" }),
      found: (servers) => found.push(servers),
      log: silentLog,
      signal: new AbortController().signal,
      clock,
      find: async () => answers[asked++] ?? [],
    });
    return { it, clock, found, asked: () => asked };
  };

  test("is made at once, and ever more rarely as long as nobody answers", async () => {
    const { it, clock, asked } = search([]);
    for (let second = 0; second < 3_600; second++) {
      await it.prompt();
      await clock.advance(1_000);
    }
    // After 0, 10, 30, 70, 150, 310, 630 and 1,230 s, and then every ten minutes.
    expect(asked()).toBe(11);
  });

  test("tells what was found, and is soon made again when that fails", async () => {
    const { it, clock, found } = search([[], [], ["https://10.0.0.12:6443"], ["https://10.0.0.13:6443"]]);
    for (let second = 0; second < 60; second++) {
      await it.prompt();
      await clock.advance(1_000);
    }
    expect(found).toEqual([["https://10.0.0.12:6443"], ["https://10.0.0.13:6443"]]);
  });

  test("prompts that come together are one", async () => {
    const { it, asked } = search([]);
    await Promise.all([it.prompt(), it.prompt(), it.prompt()]);
    expect(asked()).toBe(1);
  });
});
