import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { until } from "#shared/testing/until.ts";
import type { ContainerStatus } from "../runtime.ts";
import { LogKeeper } from "./log-keeper.ts";

const folder = mkdtempSync(join(tmpdir(), "brt-keep-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("two lists at once set a log aside once", async () => {
  const logPath = join(folder, "0.log");
  writeFileSync(logPath, "first, and more than ten bytes");
  const opened = Promise.withResolvers<void>();
  const reopen = async (): Promise<void> => {
    await opened.promise;
    writeFileSync(logPath, "second, and more than ten bytes");
  };
  const keeper = new LogKeeper(
    { maxSize_bytes: 10, maxFiles: 5 },
    { reopen, warn: (message) => expect(message).toBe(""), look: () => Promise.resolve() },
  );
  const containers = [{ id: "c", state: "running", logPath } as ContainerStatus];
  const both = [keeper.rotate(containers), keeper.rotate(containers)];
  opened.resolve();
  await Promise.all(both);
  keeper.close();
  const aside = readdirSync(folder).filter((name) => name !== "0.log");
  expect(aside).toHaveLength(1);
  expect(readFileSync(join(folder, aside[0] ?? ""), "utf8")).toStartWith("first");
  expect(readFileSync(logPath, "utf8")).toStartWith("second");
});

test("the runtime is asked when a log has grown too long, and not before", async () => {
  const logPath = join(folder, "1.log");
  writeFileSync(logPath, "short");
  let looks = 0;
  const clock = new ManualClock();
  const container = { id: "c", state: "running", logPath } as ContainerStatus;
  const keeper: LogKeeper = new LogKeeper(
    { maxSize_bytes: 10, maxFiles: 5 },
    {
      reopen: async () => writeFileSync(logPath, ""),
      warn: () => undefined,
      clock,
      look: async () => {
        looks++;
        await keeper.rotate([container]);
      },
    },
  );
  await keeper.rotate([container]);
  for (let look = 0; look < 3; look++) {
    await until("the keeper waits for its next look", () => clock.waiting > 0);
    await clock.advance(10_000);
  }
  await until("the keeper waits for its next look", () => clock.waiting > 0);
  expect(looks).toBe(0);
  writeFileSync(logPath, "more than ten bytes");
  await clock.advance(10_000);
  await until("the log is set aside", () => readFileSync(logPath, "utf8") === "");
  expect(looks).toBe(1);
  keeper.close();
});
