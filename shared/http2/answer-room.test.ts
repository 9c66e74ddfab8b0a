import { expect, test } from "bun:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { AnswerRoom } from "./answer-room.ts";

const MiB = 1024 * 1024;

/** A room whose answers each hold a megabyte once they are made. */
function roomOf(longest_ms?: number) {
  const made: number[] = [];
  let held_bytes = 0;
  const room = new AnswerRoom(() => held_bytes, longest_ms);
  const answer = async (number: number): Promise<void> => {
    await room.wait();
    made.push(number);
    held_bytes += MiB;
  };
  const take = async (): Promise<void> => {
    held_bytes -= MiB;
    room.look();
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
  };
  return { room, made, answer, take };
}

test("answers are made as those before them are taken, in turn", async () => {
  const { made, answer, take } = roomOf();
  expect(roomOf().room.wait()).toBeUndefined();
  const all = [1, 2, 3].map(answer);
  await nextTurn();
  // The first wait of each is over before any is made.
  expect(made).toEqual([1, 2, 3]);
  const later = [4, 5].map(answer);
  for (let taken = 0; taken < 2; taken += 1) await take();
  expect(made).toEqual([1, 2, 3]);
  await take();
  expect(made).toEqual([1, 2, 3, 4]);
  await take();
  await Promise.all([...all, ...later]);
  expect(made).toEqual([1, 2, 3, 4, 5]);
});

test("one whose room does not come is made late, the others after it", async () => {
  const { made, answer } = roomOf(5);
  await answer(1);
  await Promise.all([answer(2), answer(3)]);
  expect(made).toEqual([1, 2, 3]);
});

test("a wait that is over cuts no later one short", async () => {
  const longest_ms = 200;
  const { room, made, answer, take } = roomOf(longest_ms);
  await answer(1);
  await answer(2);
  // It comes in the turn in which the second one was let go on, and has room before long.
  const third = answer(3);
  await take();
  await take();
  await third;
  await Bun.sleep(longest_ms / 2);
  const began_ms = performance.now();
  await answer(4);
  expect(performance.now() - began_ms).toBeGreaterThan(longest_ms - 10);
  expect(made).toEqual([1, 2, 3, 4]);
  room.end();
});

test("nobody waits once the connection is over", async () => {
  const { room, made, answer } = roomOf();
  await answer(1);
  const waiting = [answer(2), answer(3)];
  room.end();
  await Promise.all(waiting);
  expect(made).toEqual([1, 2, 3]);
});
