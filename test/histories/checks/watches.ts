/** Promises about watches: exactly what was committed after their version, in order, as their selection sees it. */
import type { KubeObject } from "#shared/api/object.ts";
import {
  type Change,
  contentsOf,
  type Frame,
  groupOf,
  type History,
  type Violation,
  versionOf,
  type WatchRun,
  type WatchSelection,
} from "../history.ts";
import { prefixOf } from "../keys.ts";
import type { Timeline } from "../timeline.ts";

const initialEnd = "k8s.io/initial-events-end";

export function checkWatches({ watches }: History, timeline: Timeline): Violation[] {
  return watches.flatMap((watch) => checkWatch(watch, timeline));
}

/** Gone, and an error of a server that is about to end. */
const honestEnds = new Set([410, 429, 500, 503, 504]);

function checkWatch(watch: WatchRun, timeline: Timeline): Violation[] {
  const { frames, refused } = watch;
  if (refused !== undefined) {
    return honestEnds.has(refused) ? [] : [broken("a watch is served or gone", watch, `refused with ${refused}`)];
  }
  const at = frames.findIndex(({ type }) => type === "ERROR");
  const error = frames[at]?.object as { readonly code?: number; readonly message?: string } | undefined;
  if (error && error.code !== 410)
    return [broken("a watch is served or gone", watch, `ended with ${error.code}: ${error.message}`)];
  const told = at < 0 ? frames : frames.slice(0, at);
  switch (watch.mode) {
    case "from":
      return checkAfter(watch, told, Number(watch.version), timeline);
    case "list":
      return checkWatchList(watch, told, timeline);
    case "any":
    case "newest":
      return checkInitial(watch, told, timeline);
  }
}

/** Told: what an event of a watch would be of each change. */
interface Expected {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly revision: number;
  readonly object: KubeObject;
}

const isSelected = (object: KubeObject | undefined, { group, name }: WatchSelection): object is KubeObject =>
  object !== undefined &&
  (group === undefined || groupOf(object) === group) &&
  (name === undefined || object.metadata.name === name);

function expectedOf(change: Change, selection: WatchSelection, timeline: Timeline): Expected | undefined {
  const before = timeline.before(change);
  const was = isSelected(before, selection);
  const is = isSelected(change.object, selection);
  const { revision } = change;
  if (is && change.object) return { type: was ? "MODIFIED" : "ADDED", revision, object: change.object };
  // What leaves a selection is shown as it was while it belonged to it.
  return was ? { type: "DELETED", revision, object: before } : undefined;
}

function checkAfter(watch: WatchRun, frames: readonly Frame[], after: number, timeline: Timeline): Violation[] {
  const { selection } = watch;
  const expected = timeline
    .changesUnder(prefixOf(selection.plural, selection.namespace), after)
    .flatMap((change) => expectedOf(change, selection, timeline) ?? []);
  let next = 0;
  let reached = after;
  for (const { type, object } of frames) {
    const revision = versionOf(object);
    if (type === "BOOKMARK") {
      const untold = expected[next];
      if (untold && untold.revision <= revision)
        return [broken("a bookmark tells nothing untold", watch, `at ${revision}, before ${untold.revision} was told`)];
      if (revision < reached)
        return [broken("a watch goes forward", watch, `a bookmark at ${revision} after ${reached}`)];
      reached = revision;
      continue;
    }
    const wanted = expected[next];
    if (!wanted || wanted.type !== type || wanted.revision !== revision) {
      const instead = wanted ? `${wanted.type} at ${wanted.revision}` : "nothing";
      return [broken("a watch tells each change once", watch, `${type} at ${revision} instead of ${instead}`)];
    }
    if (!Bun.deepEquals(contentsOf(object), contentsOf(wanted.object))) {
      const what = `${JSON.stringify(object)} is not ${JSON.stringify(wanted.object)}`;
      return [broken("a watch tells what was committed", watch, what)];
    }
    reached = revision;
    next += 1;
  }
  return [];
}

function checkWatchList(watch: WatchRun, frames: readonly Frame[], timeline: Timeline): Violation[] {
  const end = frames.findIndex(({ type, object }) => type === "BOOKMARK" && object.metadata.annotations?.[initialEnd]);
  // It was cut before all was told.
  if (end < 0) return [];
  const version = versionOf(frames[end]?.object as KubeObject);
  const least = watch.version === "" ? timeline.shownBefore(watch.invoked) : 0;
  if (version < least)
    return [broken("a watch begins with what was acknowledged", watch, `at ${version}, before ${least}`)];
  return [
    ...checkState(watch, frames.slice(0, end), version, timeline),
    ...checkAfter(watch, frames.slice(end + 1), version, timeline),
  ];
}

function checkState(watch: WatchRun, frames: readonly Frame[], version: number, timeline: Timeline): Violation[] {
  const { selection } = watch;
  const shown = frames.map(({ type, object }) => `${type} ${nameOf(object)}@${versionOf(object)}`).sort();
  const wanted = initialOf(selection, version, timeline).map(
    ({ object, revision }) => `ADDED ${object ? nameOf(object) : ""}@${revision}`,
  );
  if (Bun.deepEquals(shown, wanted.sort())) return [];
  return [broken("a watch begins with a state", watch, `at ${version} [${shown}], but there was [${wanted}]`)];
}

const nameOf = ({ metadata }: KubeObject): string => `${metadata.namespace}/${metadata.name}`;

const initialOf = (selection: WatchSelection, version: number, timeline: Timeline): Change[] =>
  timeline
    .state(prefixOf(selection.plural, selection.namespace), version)
    .filter(({ object }) => isSelected(object, selection));

/** It begins with the state of a version that it does not say: one must explain all that came. */
function checkInitial(watch: WatchRun, frames: readonly Frame[], timeline: Timeline): Violation[] {
  const least = watch.mode === "newest" ? timeline.shownBefore(watch.invoked) : 0;
  const versions = [least, ...timeline.changes.map(({ revision }) => revision).filter((revision) => revision > least)];
  let nearest: Violation[] = [];
  for (const version of versions) {
    const count = initialOf(watch.selection, version, timeline).length;
    // A watch that was cut may not have told the whole state.
    if (frames.length < count) {
      if (isPartOfState(watch, frames, version, timeline)) return [];
      continue;
    }
    const found = [
      ...checkState(watch, frames.slice(0, count), version, timeline),
      ...checkAfter(watch, frames.slice(count), version, timeline),
    ];
    if (found.length === 0) return [];
    nearest = found;
  }
  if (versions.length === 1 && frames.length === 0) return [];
  const told = frames.map(({ type, object }) => `${type} ${nameOf(object)}@${versionOf(object)}`);
  return [broken("a watch begins with a state", watch, `no state explains [${told}]; the last: ${nearest[0]?.what}`)];
}

function isPartOfState(watch: WatchRun, frames: readonly Frame[], version: number, timeline: Timeline): boolean {
  const state = new Set(
    initialOf(watch.selection, version, timeline).map(
      ({ object, revision }) => `${object ? nameOf(object) : ""}@${revision}`,
    ),
  );
  return frames.every(({ type, object }) => type === "ADDED" && state.has(`${nameOf(object)}@${versionOf(object)}`));
}

function broken(promise: string, watch: WatchRun, what: string): Violation {
  const { server, selection, mode, version, invoked } = watch;
  return {
    promise,
    what: `a watch at server ${server} from moment ${invoked}, ${mode} ${version} ${JSON.stringify(selection)}: ${what}`,
  };
}
