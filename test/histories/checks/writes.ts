/** Promises about writes: done once, as answered, in real-time order, only under their conditions; or not at all. */
import type { KubeObject } from "#shared/api/object.ts";
import { type Call, type Change, contentsOf, type History, type Violation, versionOf } from "../history.ts";
import { keyOf } from "../keys.ts";
import type { Timeline } from "../timeline.ts";

const writing = new Set(["create", "update", "patch", "status", "hold", "release"]);

export function checkWrites({ calls }: History, timeline: Timeline): Violation[] {
  return calls.filter(({ operation }) => writing.has(operation.verb)).flatMap((call) => checkWrite(call, timeline));
}

function checkWrite(call: Call, timeline: Timeline): Violation[] {
  const made = timeline.changesOf(call.tag);
  if (made.length > 1) return [broken("a write is made once", call, `it was made at ${revisions(made)}`)];
  const [change] = made;
  return [
    ...(change ? checkPlace(call, change, timeline) : []),
    ...(call.answer.kind === "lost" ? [] : checkAnswer(call, change, timeline)),
  ];
}

/** Made in real-time order, and on the version that it asked for. */
function checkPlace(call: Call, change: Change, timeline: Timeline): Violation[] {
  const { least, most } = timeline.windowOf(call);
  const found: Violation[] = [];
  if (change.revision <= least || change.revision > most)
    found.push(
      broken("revisions follow real time", call, `${change.revision} is not after ${least} and up to ${most}`),
    );
  const previous = timeline.at(change.key, change.revision - 1);
  if (!isNew(call, previous) && call.version !== undefined && previous?.revision !== Number(call.version))
    found.push(
      broken("a conditional write meets its version", call, `made at ${change.revision} over ${previous?.revision}`),
    );
  if (call.operation.verb === "create" && previous?.object)
    found.push(broken("nothing is created over what is there", call, `made at ${change.revision}`));
  return found;
}

/** Upstream compares versions of what is there: where nothing is, apply creates, whatever version it names. */
const isNew = ({ operation }: Call, previous: Change | undefined): boolean =>
  operation.verb === "patch" && operation.type === "apply" && !previous?.object;

function checkAnswer(call: Call, change: Change | undefined, timeline: Timeline): Violation[] {
  if (call.answer.kind === "lost") return [];
  const { code, body } = call.answer;
  if (code >= 500) return [];
  if (code >= 300) {
    if (change) return [broken("what was refused was not done", call, `answered ${code}, made at ${change.revision}`)];
    return checkRefusal(call, code, timeline);
  }
  const object = body as KubeObject;
  if (!change) return checkEnding(call, object, timeline);
  if (change.revision !== versionOf(object))
    return [
      broken("an answer is what was committed", call, `answered ${versionOf(object)}, made at ${change.revision}`),
    ];
  if (!Bun.deepEquals(contentsOf(object), change.object && contentsOf(change.object)))
    return [broken("an answer is what was committed", call, `${text(object)} is not ${text(change.object)}`)];
  return [];
}

/** A write that takes the last finalizer of what is being deleted is never stored: the object goes with it. */
function checkEnding(call: Call, object: KubeObject, timeline: Timeline): Violation[] {
  const { deletionTimestamp, finalizers = [], uid } = object.metadata;
  const isEnding = deletionTimestamp !== undefined && finalizers.length === 0;
  const isGone = timeline
    .line(keyOfAnswer(call, object))
    .some((change) => !change.object && timeline.before(change)?.metadata.uid === uid);
  if (isEnding && isGone) return [];
  return [broken("what was acknowledged is kept", call, `answered ${versionOf(object)}, but never made`)];
}

function keyOfAnswer({ operation }: Call, object: KubeObject): string {
  if (!("target" in operation)) return "";
  return keyOf({ ...operation.target, name: object.metadata.name ?? "" });
}

/** A refusal names something that was so at some moment of the call. */
function checkRefusal(call: Call, code: number, timeline: Timeline): Violation[] {
  const { operation } = call;
  if (!("target" in operation)) return [];
  const states = timeline.within(keyOf(operation.target), timeline.windowOf(call));
  const { reason } = (call.answer as { body: { reason?: string } }).body;
  if (code === 404 && !states.some((state) => !state?.object))
    return [broken("what is not found was not there", call, "it was there all the time")];
  if (reason === "AlreadyExists" && operation.verb === "create" && !operation.hasGeneratedName) {
    if (!states.some((state) => state?.object)) return [broken("what exists already was there", call, "it was not")];
  }
  if (reason === "Conflict" && call.version !== undefined && operation.verb !== "create") {
    const isMet = states.every((state) => state?.object && state.revision === Number(call.version));
    if (isMet) return [broken("a conflict has a cause", call, `it was at ${call.version} all the time`)];
  }
  return [];
}

export function broken(promise: string, call: Call, what: string): Violation {
  const { tag, server, operation, version, invoked, answered } = call;
  const asked = `${JSON.stringify(operation)}${version === undefined ? "" : ` at ${version}`}`;
  return { promise, what: `${tag} at server ${server}, moments ${invoked} to ${answered}, ${asked}: ${what}` };
}

const revisions = (changes: readonly Change[]): string => changes.map(({ revision }) => revision).join(", ");
const text = (object: unknown): string => JSON.stringify(object);
