import { expect, test } from "bun:test";
import { VolumeRefresh } from "./volume-refresh.ts";

test("what is asked for during a refresh is done by the next", async () => {
  const refresh = new VolumeRefresh();
  let runs = 0;
  const run = async (): Promise<void> => {
    runs++;
  };
  await refresh.settle(false, run);
  expect(runs).toBe(0);
  refresh.want();
  await refresh.settle(false, async () => {
    await run();
    refresh.want();
  });
  await refresh.settle(false, run);
  expect(runs).toBe(2);
  await refresh.settle(false, run);
  expect(runs).toBe(2);
});

test("a refresh that failed stays wanted", async () => {
  const refresh = new VolumeRefresh();
  refresh.want();
  await expect(refresh.settle(false, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  let runs = 0;
  await refresh.settle(false, async () => void runs++);
  expect(runs).toBe(1);
});
