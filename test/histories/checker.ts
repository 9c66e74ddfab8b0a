/** Judges a history: a pure function of what was asked, told and committed. */
import { checkDeletions } from "./checks/deletions.ts";
import { checkObjects } from "./checks/objects.ts";
import { checkReads } from "./checks/reads.ts";
import { checkWatches } from "./checks/watches.ts";
import { checkWrites } from "./checks/writes.ts";
import type { History, Violation } from "./history.ts";
import { Timeline } from "./timeline.ts";

/** Every broken promise that the history shows; none when all is well. */
export function check(history: History): Violation[] {
  const timeline = new Timeline(history);
  return [checkWrites, checkDeletions, checkReads, checkWatches, checkObjects].flatMap((judge) =>
    judge(history, timeline),
  );
}
