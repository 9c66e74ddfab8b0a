import { expect, test } from "bun:test";
import { UserTurns } from "./user-turns.ts";

/** Turns by a clock and an event loop that go on when told. */
function turnsByHand() {
  let now_ms = 1000;
  const loop: (() => void)[] = [];
  const turns = new UserTurns(
    () => now_ms,
    (work) => loop.push(work),
  );
  const served: string[] = [];
  return {
    served,
    /** Whether it may go on at once. */
    comes(user: string, name = user): boolean {
      const turn = turns.take(user);
      void turn?.then(() => served.push(name));
      return turn === undefined;
    },
    passes(ms: number): void {
      now_ms += ms;
    },
    /** The event loop's next turn. False where nobody asked for it. */
    async turn(): Promise<boolean> {
      const works = loop.splice(0);
      for (const work of works) work();
      await Promise.resolve();
      return works.length > 0;
    },
  };
}

/** Has the turn of the event loop last so long that whoever comes has to wait. */
function busy(hand: ReturnType<typeof turnsByHand>): void {
  expect(hand.comes("many")).toBe(true);
  hand.passes(3);
  expect(hand.comes("many")).toBe(true);
  hand.passes(3);
}

test("requests that come one at a time do not wait", async () => {
  const hand = turnsByHand();
  for (let count = 0; count < 10; count++) {
    expect(hand.comes("one")).toBe(true);
    hand.passes(10);
  }
  expect(await hand.turn()).toBe(false);
});

test("a user's one request goes before the rest of another's many", async () => {
  const hand = turnsByHand();
  busy(hand);
  for (let count = 0; count < 100; count++) expect(hand.comes("many", `many ${count}`)).toBe(false);
  expect(hand.comes("one")).toBe(false);
  await hand.turn();
  expect(hand.served.slice(0, 3)).toEqual(["many 0", "one", "many 1"]);
  while (await hand.turn()) expect(hand.served.length).toBeLessThanOrEqual(101);
  expect(hand.served).toHaveLength(101);
  expect(hand.comes("many")).toBe(true);
});

test("fewer go on in a turn where they make it long, and more again where they do not", async () => {
  const hand = turnsByHand();
  busy(hand);
  for (let count = 0; count < 100; count++) hand.comes("many");
  const counts: number[] = [];
  for (const took_ms of [0, 20, 20, 20, 20, 1, 1]) {
    hand.passes(took_ms);
    const before = hand.served.length;
    await hand.turn();
    counts.push(hand.served.length - before);
  }
  // The first turn is as long as what had to wait for it.
  expect(counts).toEqual([8, 4, 4, 4, 4, 5, 6]);
});

test("one of each user goes on in a turn, however many they are and however long turns take", async () => {
  const hand = turnsByHand();
  busy(hand);
  const users = Array.from({ length: 50 }, (_, index) => `user ${index}`);
  for (const user of users) for (let count = 0; count < 3; count++) hand.comes(user);
  for (let turn = 1; turn <= 3; turn++) {
    hand.passes(20);
    await hand.turn();
    expect(hand.served).toHaveLength(50 * turn);
  }
  expect(hand.served.slice(0, 50)).toEqual(users);
});
