import { describe, expect, test } from "bun:test";
import { GroupCommit, type GroupTimes } from "./group-commit.ts";

interface Call {
  readonly at_ms: number;
  readonly call: () => void;
}

/** What is due, by the time. */
class Calendar {
  #calls: Call[] = [];

  add(at_ms: number, call: () => void): { cancel(): void } {
    const own = { at_ms, call };
    this.#calls.push(own);
    const cancel = (): void => {
      this.#calls = this.#calls.filter((other) => other !== own);
    };
    return { cancel };
  }

  get next(): Call | undefined {
    return this.#calls.reduce<Call | undefined>(
      (first, other) => (first && first.at_ms <= other.at_ms ? first : other),
      undefined,
    );
  }

  take(call: Call): void {
    this.#calls = this.#calls.filter((other) => other !== call);
  }
}

/** A clock that goes on as it is told, and a disk whose syncs take time on it. Who writes goes on during a sync; the thread that
 *  syncs hears of it afterwards. */
class Disk implements GroupTimes {
  #now_ms = 0;
  readonly #thread = new Calendar();
  readonly #writers = new Calendar();
  #underWay = 0;
  readonly groups: string[][] = [];
  readonly commits: GroupCommit<string>;
  /** What happens when a write is on the disk: how long until its writer's next, if there is one. */
  pauseOf_ms: (index: number) => number | undefined = () => undefined;

  constructor(sync_ms: number) {
    this.commits = new GroupCommit((group) => {
      this.groups.push([...group]);
      const end_ms = this.#now_ms + sync_ms;
      for (let due = this.#writers.next; due && due.at_ms < end_ms; due = this.#writers.next)
        this.#run(this.#writers, due);
      this.#now_ms = end_ms;
      this.#underWay -= group.length;
      for (const [index, name] of group.entries()) {
        const pause_ms = this.pauseOf_ms(index);
        if (pause_ms !== undefined) this.write(name, pause_ms);
      }
    }, this);
  }

  now_ms(): number {
    return this.#now_ms;
  }

  soon(call: () => void): void {
    this.later(call, 0);
  }

  later(call: () => void, after_ms: number): { cancel(): void } {
    return this.#thread.add(this.#now_ms + after_ms, call);
  }

  write(name: string, after_ms = 0): void {
    this.#writers.add(this.#now_ms + after_ms, () => {
      this.#underWay += 1;
      const underWay = this.#underWay;
      this.soon(() => this.commits.add([name], underWay));
    });
  }

  /** Goes on until so many groups were written or nothing is left. */
  run(groups: number): void {
    while (this.groups.length < groups) {
      const [writer, own] = [this.#writers.next, this.#thread.next];
      if (writer && (!own || writer.at_ms <= own.at_ms)) this.#run(this.#writers, writer);
      else if (own) this.#run(this.#thread, own);
      else return;
    }
  }

  #run(calendar: Calendar, due: Call): void {
    calendar.take(due);
    this.#now_ms = Math.max(this.#now_ms, due.at_ms);
    due.call();
  }
}

/** Half of them begin while the others' writes are being synced; each writes again some time after it was answered. */
function writers(disk: Disk, count: number, pause_ms: number): void {
  disk.pauseOf_ms = (index) => pause_ms * (index + 1);
  for (let index = 0; index < count; index += 1) disk.write(`w${index}`, index < count / 2 ? 0 : 1);
}

describe("groups of writes", () => {
  test("on a slow disk writers who were answered together and those who waited end up in one group", () => {
    const disk = new Disk(20);
    writers(disk, 16, 0.2);
    disk.run(12);
    expect(disk.groups.map((group) => group.length)).toEqual([8, ...Array(11).fill(16)]);
  });

  test("on a fast disk nobody waits for anybody", () => {
    const disk = new Disk(2);
    writers(disk, 16, 0.1);
    disk.run(12);
    expect(disk.groups.map((group) => group.length)).toEqual(Array(12).fill(8));
    expect(disk.now_ms()).toBeCloseTo(12 * 2, 5);
  });

  test("a writer who is alone never waits", () => {
    const disk = new Disk(20);
    writers(disk, 1, 1);
    disk.run(10);
    expect(disk.now_ms()).toBeCloseTo(10 * 20 + 9 * 1, 5);
  });

  test("who does not come back is waited for once, a quarter of a sync", () => {
    const disk = new Disk(20);
    disk.write("a");
    disk.write("b");
    disk.run(1);
    disk.write("a");
    disk.run(2);
    expect(disk.now_ms()).toBeCloseTo(20 + 5 + 20, 5);
    disk.write("a");
    disk.run(3);
    expect(disk.now_ms()).toBeCloseTo(20 + 5 + 20 + 20, 5);
  });

  test("a group that keeps growing waits half a sync at most", () => {
    const disk = new Disk(20);
    for (let index = 0; index < 100; index += 1) disk.write(`before ${index}`);
    disk.run(1);
    const begun_ms = disk.now_ms();
    for (let index = 0; index < 100; index += 1) disk.write(`${index}`, index);
    disk.run(2);
    expect(disk.groups[1]).toHaveLength(11);
    expect(disk.now_ms() - begun_ms).toBeCloseTo(10 + 20, 5);
  });

  test("what waits is written at once when it must be", () => {
    const disk = new Disk(20);
    disk.commits.add(["a", "b"], 2);
    disk.run(1);
    disk.commits.add(["c"], 1);
    disk.commits.flush();
    expect(disk.groups).toEqual([["a", "b"], ["c"]]);
    disk.run(3);
    expect(disk.groups).toHaveLength(2);
  });
});
