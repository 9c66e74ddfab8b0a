import { expect, test } from "bun:test";
import { Readable } from "node:stream";
import { BodyRoom, type RoomUser } from "./body-room.ts";
import { ArrivingBody } from "./request-body.ts";

const MiB = 1024 * 1024;

class User implements RoomUser {
  isGone = false;

  constructor(readonly number: number) {}

  makeWay(): void {
    this.isGone = true;
  }
}

const users = (count: number): User[] => Array.from({ length: count }, (_, index) => new User(index));
const gone = (all: readonly User[]): number[] => all.filter(({ isGone }) => isGone).map(({ number }) => number);

test("those make way of which nothing has come for longest, as few as need be", () => {
  const room = new BodyRoom(() => 4 * MiB);
  const all = users(6);
  for (const user of all.slice(0, 4)) room.count(user, MiB / 2);
  room.count(all[0] as User, MiB);
  for (const user of all.slice(4)) room.count(user, MiB);
  expect([gone(all), room.held_bytes]).toEqual([[1], 4 * MiB]);
  room.count(all[5] as User, 2 * MiB);
  expect([gone(all), room.held_bytes]).toEqual([[1, 2, 3], 4 * MiB]);
});

test("what has been read is not counted any more", () => {
  const room = new BodyRoom(() => MiB);
  const [first, second] = users(2) as [User, User];
  room.count(first, MiB);
  room.count(first, 100);
  expect(room.held_bytes).toBe(0);
  room.count(second, MiB);
  expect(gone([first, second])).toEqual([]);
});

test("what came whole stays, and what comes then makes way itself", () => {
  const room = new BodyRoom(() => 4 * MiB);
  const [first, second, third] = users(3) as [User, User, User];
  room.count(first, 3 * MiB);
  room.cameWhole(first);
  room.count(second, MiB);
  room.cameWhole(second);
  expect(room.count(third, MiB)).toBe(false);
  expect(gone([first, second, third])).toEqual([2]);
  room.leave(first);
  expect(room.count(third, MiB)).toBe(true);
  room.leave(second);
  room.leave(third);
  expect(room.held_bytes).toBe(0);
});

test("short bodies are not counted", () => {
  const room = new BodyRoom(() => 0);
  expect(room.count(new User(0), 4000)).toBe(true);
  expect(room.held_bytes).toBe(0);
});

test("a body that makes way is refused with 429, and nothing of it is held", async () => {
  const room = new BodyRoom(() => MiB);
  const arriving = (): { body: Readable; source: ArrivingBody } => {
    const body = new Readable({ read: () => undefined });
    const head = { method: "POST", url: "/", headers: {}, rawHeaders: [], hasBody: true };
    return { body, source: new ArrivingBody({ ...head, body }, () => undefined, room) };
  };
  const [slow, quick] = [arriving(), arriving()];
  const refused = Promise.resolve(slow.source.read()).catch((error: unknown) => error);
  slow.body.push(Buffer.alloc(MiB - 1));
  await Bun.sleep(2);
  const taken = quick.source.read();
  quick.body.push(Buffer.alloc(MiB));
  expect(await refused).toMatchObject({ code: 429, options: { retryAfterSeconds: 1 } });
  slow.body.push(Buffer.alloc(MiB));
  quick.body.push(null);
  expect(await taken).toMatchObject({ kind: "bytes" });
  expect(room.held_bytes).toBe(MiB);
  quick.source.release();
  expect(room.held_bytes).toBe(0);
});
