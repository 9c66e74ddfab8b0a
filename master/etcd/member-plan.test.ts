import { describe, expect, test } from "bun:test";
import { hasRoom, planJoin, planUpkeep, reasonToStay, type SeenMember } from "./member-plan.ts";

const url = (name: string): string => `https://${name}:2380`;
const seen = (id: bigint, name: string, state: Partial<SeenMember["member"]> & { sick?: true } = {}): SeenMember => ({
  member: { id, name, peerUrls: [url(name || `new-${id}`)], clientUrls: [], isLearner: false, ...state },
  isHealthy: !state.sick,
});
const joining = { name: "c", peerUrl: url("c") };

describe("joining", () => {
  test("a board is added where all members are well", () => {
    expect(planJoin([seen(1n, "a"), seen(2n, "b")], joining)).toEqual({ kind: "add" });
  });
  test("one that was added and has not started starts", () => {
    expect(planJoin([seen(1n, "a"), seen(3n, "", { peerUrls: [url("c")], sick: true })], joining)).toEqual({
      kind: "start",
    });
  });
  test("one whose data are lost is taken out first", () => {
    expect(planJoin([seen(1n, "a"), seen(2n, "b"), seen(3n, "c", { sick: true })], joining)).toEqual({
      kind: "replace",
      id: 3n,
    });
  });
  test("another that is just joining is waited for", () => {
    expect(planJoin([seen(1n, "a"), seen(2n, "b", { isLearner: true })], joining).kind).toBe("wait");
  });
  test("with a member that does not answer nobody is added, and the way out is named", () => {
    const step = planJoin([seen(1n, "a"), seen(2n, "b", { sick: true })], joining);
    expect(step).toMatchObject({ kind: "refuse", why: expect.stringContaining("bramble etcd remove b") });
  });
});

test("a member leaves only where the others keep a majority that answers", () => {
  const three = [seen(1n, "a"), seen(2n, "b"), seen(3n, "c")];
  expect(reasonToStay(three, 3n)).toBeUndefined();
  expect(reasonToStay([seen(1n, "a"), seen(2n, "b", { sick: true }), seen(3n, "c")], 3n)).toContain("only 1 of the 2");
  expect(reasonToStay([seen(1n, "a")], 1n)).toContain("only member");
  // A dead one may always go, and so may a learner.
  expect(reasonToStay([seen(1n, "a"), seen(2n, "b"), seen(3n, "c", { sick: true })], 3n)).toBeUndefined();
  expect(reasonToStay([seen(1n, "a"), seen(2n, "b", { isLearner: true })], 2n)).toBeUndefined();
});

describe("upkeep", () => {
  const MiB = 1024 * 1024;
  const status = { id: 1n, leader: 1n, version: "3.4.23", size_bytes: 100 * MiB, used_bytes: 10 * MiB };
  const own = {
    member: seen(1n, "a").member,
    status,
    peerUrl: url("a"),
    alarms: [],
    quota_bytes: 200 * MiB,
    mayPause: true,
  };
  const alarm = { memberId: 1n, kind: "NOSPACE" } as const;
  test.each([
    ["a learner is to vote", { member: { ...own.member, isLearner: true } }, "promote"],
    ["a new address is told", { peerUrl: url("b") }, "set-peer-url"],
    ["an alarm comes before tidiness", { alarms: [alarm], mayPause: false }, "make-room"],
    ["a file that is mostly empty is made small", {}, "defragment"],
    ["in this member's turn only", { mayPause: false }, undefined],
    ["and not for little", { status: { ...status, size_bytes: 20 * MiB } }, undefined],
    ["nor where most is in use", { status: { ...status, used_bytes: 60 * MiB } }, undefined],
    ["another's alarm is the other's", { alarms: [{ ...alarm, memberId: 2n }], mayPause: false }, undefined],
    [
      "unless this one's would come next",
      { alarms: [{ ...alarm, memberId: 2n }], quota_bytes: 105 * MiB },
      "make-room",
    ],
  ])("%s", (_, change, kind) => {
    expect(planUpkeep({ ...own, ...change })?.kind).toBe(kind as never);
  });
  test("there is room where the file stays below the quota by some margin", () => {
    expect(hasRoom(status, 200 * MiB)).toBe(true);
    expect(hasRoom(status, 105 * MiB)).toBe(false);
  });
});
