import { expect, test } from "bun:test";
import { BodyTurns } from "./body-turns.ts";

const MiB = 1024 * 1024;

/** Which of these have their turn by now. */
function asking(
  turns: BodyTurns,
  sizes: readonly number[],
): { readonly begun: number[]; readonly ends: (() => void)[] } {
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  for (const [index, size] of sizes.entries())
    void turns.take(size).then((end) => {
      begun.push(index);
      ends.push(end);
    });
  return { begun, ends };
}

const settled = (): Promise<void> => Bun.sleep(0);

test("short ones share a turn, and those of full length follow one another", async () => {
  const { begun, ends } = asking(new BodyTurns(3 * MiB, 3_600_000), [MiB, MiB, 3 * MiB, 3 * MiB, MiB]);
  await settled();
  expect(begun).toEqual([0, 1]);
  ends[0]?.();
  ends[0]?.();
  await settled();
  expect(begun).toEqual([0, 1]);
  for (const next of [2, 3, 4]) {
    ends[next - 1]?.();
    await settled();
    expect(begun.at(-1)).toBe(next);
  }
});

test("a turn that lasts is no reason to wait for ever", async () => {
  const turns = new BodyTurns(MiB, 5);
  const first = await turns.take(MiB);
  const second = await turns.take(MiB);
  first();
  second();
  await turns.take(MiB);
});
