import { expect, test } from "bun:test";
import { orAborted } from "./or-aborted.ts";

test("a task that nobody waits for any more may fail, before its signal aborts and after", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): unknown => unhandled.push(error);
  process.on("unhandledRejection", note);
  try {
    const ending = new AbortController();
    const tasks = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const [first, second] = tasks.map(({ promise }) => promise);
    const waits = orAborted(ending.signal, first as Promise<void>).catch((error: unknown) => error);
    ending.abort(new Error("over"));
    expect(await waits).toBe(ending.signal.reason);
    const late = orAborted(ending.signal, second as Promise<void>).catch((error: unknown) => error);
    expect(await late).toBe(ending.signal.reason);
    for (const { reject } of tasks) reject(new Error("it failed"));
    // Unhandled ones are told of once the present turn is over.
    await new Promise((resolve) => setTimeout(resolve));
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", note);
  }
});

test("one that is waited for settles as it does", async () => {
  const { signal } = new AbortController();
  expect(await orAborted(signal, Promise.resolve(1))).toBe(1);
  await expect(orAborted(signal, Promise.reject(new Error("no")))).rejects.toThrow("no");
});
