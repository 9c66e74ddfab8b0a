import { describe, expect, test } from "bun:test";
import type { AttachmentStep } from "./attachment-plan.ts";
import { ToldRefusals } from "./told-refusals.ts";

const refused = (name: string, why: "conflict" | "failure", message = "m"): AttachmentStep => ({
  kind: "refuse",
  why,
  wanted: { volume: { apiVersion: "v1", kind: "PersistentVolume", metadata: { name }, spec: {} }, pods: [] },
  message,
});

/** Looks at the node as often as it is asked to, and at other times, for an hour; gives when something was told, in s. */
function tellingsOf(steps: (now_s: number) => readonly AttachmentStep[]): number[] {
  const refusals = new ToldRefusals();
  const told: number[] = [];
  let due_ms = 0;
  for (let now_ms = 0; now_ms < 3_600_000; now_ms += 100) {
    // Events of the attachment come at any time.
    if (now_ms < due_ms && now_ms % 3_000 !== 0) continue;
    const now = steps(now_ms / 1000);
    if (refusals.untold("a", now, now_ms).length > 0) told.push(now_ms / 1000);
    refusals.note("a", now, now_ms);
    due_ms = now_ms + refusals.againIn_ms("a", now_ms);
  }
  return told;
}

describe("of a volume that they cannot have, pods are told", () => {
  test("ever more seldom that its driver fails, whatever else the node is looked at for", () => {
    const told = tellingsOf((now_s) => [refused("v", "failure", `attempt at ${now_s}`)]);
    expect(told.slice(0, 10)).toEqual([0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 127.5, 249.5]);
    expect(told.length).toBe(37);
  });

  test("once that another node has it", () => {
    expect(tellingsOf(() => [refused("v", "conflict")])).toEqual([0]);
  });

  test("anew when it is so anew, and when it is for another reason", () => {
    expect(tellingsOf((now_s) => (now_s < 600 || now_s > 1200 ? [refused("v", "conflict")] : []))).toEqual([0, 1203]);
    const changing = tellingsOf((now_s) => [refused("v", now_s < 600 ? "conflict" : "failure")]);
    expect(changing.slice(0, 3)).toEqual([0, 600, 600.5]);
  });

  test("of each volume by itself", () => {
    const refusals = new ToldRefusals();
    const [one, two] = [refused("one", "failure"), refused("two", "failure")];
    refusals.note("a", [one], 0);
    expect(refusals.untold("a", [one, two], 100)).toEqual([two]);
    expect(refusals.untold("b", [one], 100)).toEqual([one]);
    refusals.note("a", [], 200);
    expect([refusals.untold("a", [one], 300), refusals.againIn_ms("a", 300)]).toEqual([[one], Infinity]);
  });
});
