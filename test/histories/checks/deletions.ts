/** Promises about deletions: each is somebody's, under the conditions of that, and never past a finalizer. */
import { finalizer } from "../bodies.ts";
import { asksFor, mayHaveBeenDone } from "../causes.ts";
import type { Call, Change, History, Violation } from "../history.ts";
import { keyOf } from "../keys.ts";
import type { Timeline } from "../timeline.ts";
import { broken } from "./writes.ts";

export function checkDeletions({ calls, changes }: History, timeline: Timeline): Violation[] {
  return [
    ...changes.filter(({ object }) => !object).flatMap((change) => checkCause(change, calls, timeline)),
    ...calls.filter(({ operation }) => operation.verb === "delete").flatMap((call) => checkDeletion(call, timeline)),
    ...checkSingle(calls, timeline),
  ];
}

/** Some call asked for it before it was made, and where a finalizer stood, some call took that away. */
function checkCause(change: Change, calls: readonly Call[], timeline: Timeline): Violation[] {
  const before = timeline.before(change);
  const done = calls.filter(mayHaveBeenDone);
  const isPossible = (call: Call): boolean =>
    // What began after anyone had been told of the deletion did not bring it about.
    timeline.shownBefore(call.invoked) < change.revision;
  const found: Violation[] = [];
  if (!done.some((call) => isPossible(call) && asksFor(call, change, before?.metadata.uid)))
    found.push({ promise: "nothing is deleted unasked", what: `${change.key} at ${change.revision}` });
  if (before?.metadata.finalizers?.includes(finalizer)) {
    const released = done.some(
      (call) =>
        releases(call) && "target" in call.operation && keyOf(call.operation.target) === change.key && isPossible(call),
    );
    if (!released)
      found.push({ promise: "a finalizer holds", what: `${change.key} was deleted at ${change.revision}` });
  }
  return found;
}

/** A whole object of before may lack the finalizer as well. */
const releases = ({ operation }: Call): boolean => operation.verb === "release" || operation.verb === "update";

function checkDeletion(call: Call, timeline: Timeline): Violation[] {
  const { operation, answer } = call;
  if (operation.verb !== "delete" || answer.kind === "lost" || answer.code >= 500) return [];
  const key = keyOf(operation.target);
  const window = timeline.windowOf(call);
  const states = timeline.within(key, window);
  if (answer.code === 404) {
    if (states.every((state) => state?.object))
      return [broken("what is not found was not there", call, "it was there all the time")];
    return [];
  }
  if (answer.code === 409) return checkConflict(call, states);
  if (answer.code >= 300) return [];
  const isMade = states.some((state) => !state?.object || state.object.metadata.deletionTimestamp !== undefined);
  if (!isMade) return [broken("what was acknowledged is kept", call, "it was neither deleted nor marked")];
  return checkConditions(call, states);
}

function checkConflict(call: Call, states: readonly (Change | undefined)[]): Violation[] {
  const { version, uid } = call;
  if (version === undefined && uid === undefined) return [];
  const isMet = states.every(
    (state) =>
      state?.object &&
      (version === undefined || state.revision === Number(version)) &&
      (uid === undefined || state.object.metadata.uid === uid),
  );
  return isMet ? [broken("a conflict has a cause", call, "its conditions were met all the time")] : [];
}

/** The object had the version and the uid at one moment of the call. */
function checkConditions(call: Call, states: readonly (Change | undefined)[]): Violation[] {
  const { version, uid } = call;
  if (version === undefined && uid === undefined) return [];
  const isMet = states.some(
    (state) =>
      state?.object &&
      (version === undefined || state.revision === Number(version)) &&
      (uid === undefined || state.object.metadata.uid === uid),
  );
  const what = `uid ${uid}, but it was at ${states.map((state) => state?.revision ?? "none").join(", ")}`;
  return isMet ? [] : [broken("a conditional deletion meets its conditions", call, what)];
}

/** A deletion under a version that went through at once is the only write over that version. */
function checkSingle(calls: readonly Call[], timeline: Timeline): Violation[] {
  const over = new Map<string, Call>();
  const found: Violation[] = [];
  for (const call of calls) {
    const { operation, answer, version } = call;
    if (version === undefined || answer.kind === "lost" || answer.code >= 300) continue;
    if (!("target" in operation) || operation.verb === "get") continue;
    // Where nothing is, apply creates, whatever version it names.
    if (answer.code === 201) continue;
    const key = `${keyOf(operation.target)}@${version}`;
    const other = over.get(key);
    // What is being deleted already is not marked again.
    const isMarked = timeline.at(keyOf(operation.target), Number(version))?.object?.metadata.deletionTimestamp;
    if (operation.verb === "delete" && isMarked) continue;
    if (other) found.push(broken("of two writes over a version one succeeds", call, `so did ${other.tag}`));
    over.set(key, call);
  }
  return found;
}
