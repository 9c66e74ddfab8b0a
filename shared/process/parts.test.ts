import { expect, test } from "bun:test";
import type { Log } from "../client/log.ts";
import { Parts } from "./parts.ts";

function recording(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const write = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
    lines.push(`${fields?.["part"]} ${message}`);
  };
  const log: Log = { debug: write, info: write, warn: write, error: write, named: () => log };
  return { log, lines };
}

test("parts end in the reverse order, one after the other, each once", async () => {
  const { log, lines } = recording();
  const parts = new Parts(log, { slow_ms: 3_600_000, patience_ms: 3_600_000 });
  const order: string[] = [];
  for (const name of ["store", "server", "agent"]) {
    parts.add(name, {
      async stop() {
        order.push(`${name} begins`);
        await Bun.sleep(1);
        order.push(`${name} ends`);
      },
    });
  }
  await parts.stop();
  await parts.stop();
  expect(order).toEqual(["agent", "server", "store"].flatMap((name) => [`${name} begins`, `${name} ends`]));
  expect(lines).toEqual([]);
});

test("a part that fails, and one that never ends, are named and hold nobody up", async () => {
  const { log, lines } = recording();
  const parts = new Parts(log, { slow_ms: 0, patience_ms: 20 });
  let isStoreClosed = false;
  parts.add("store", {
    stop() {
      isStoreClosed = true;
    },
  });
  parts.add("watches", { stop: () => new Promise<void>(() => undefined) });
  parts.add("broker", { stop: () => Promise.reject(new Error("broken")) });
  parts.add("timers", {
    stop() {
      throw new Error("broken too");
    },
  });
  await parts.stop();
  expect(isStoreClosed).toBe(true);
  expect(lines).toEqual([
    "timers did not end well",
    "broker did not end well",
    "watches does not end; going on without it",
    "store was slow to end",
  ]);
});
