/** Promises about gets and lists: each shows one committed state, and a consistent one shows all that was acknowledged. */
import type { KubeObject } from "#shared/api/object.ts";
import {
  type Answer,
  type Call,
  type Change,
  contentsOf,
  groupOf,
  type History,
  type Violation,
  versionOf,
} from "../history.ts";
import { keyOf, prefixOf } from "../keys.ts";
import type { Timeline, Window } from "../timeline.ts";
import { broken } from "./writes.ts";

export function checkReads({ calls }: History, timeline: Timeline): Violation[] {
  return calls.flatMap((call) => {
    if (call.operation.verb === "get") return checkGet(call, timeline);
    if (call.operation.verb === "list") return checkList(call, timeline);
    return [];
  });
}

/** A server that is busy, starting or ending shows nothing. */
function isDecided(answer: Answer): answer is Extract<Answer, { kind: "answered" }> {
  return answer.kind === "answered" && answer.code !== 429 && answer.code < 500;
}

/** The states that a read may show, by the version that it asked for. */
function allowed(call: Call, timeline: Timeline): Window {
  const { least, most } = timeline.windowOf(call);
  if (call.version === undefined) return { least, most };
  return { least: Number(call.version), most };
}

function checkGet(call: Call, timeline: Timeline): Violation[] {
  const { operation, answer } = call;
  if (operation.verb !== "get" || !isDecided(answer)) return [];
  const states = timeline.within(keyOf(operation.target), allowed(call, timeline));
  const said = states.map((state) => (state?.object ? state.revision : "none")).join(", ");
  if (answer.code === 404) {
    if (states.some((state) => !state?.object)) return [];
    return [broken("a get shows what was acknowledged", call, `not found, but there were ${said}`)];
  }
  if (answer.code >= 300) return [broken("a get is answered", call, `with ${answer.code}`)];
  const object = answer.body as KubeObject;
  const state = states.find((each) => each?.object && each.revision === versionOf(object));
  if (!state)
    return [broken("a get shows what was acknowledged", call, `${versionOf(object)}, but there were ${said}`)];
  return isSame(object, state) ? [] : [broken("a get shows what was committed", call, difference(object, state))];
}

function checkList(call: Call, timeline: Timeline): Violation[] {
  const { operation, answer } = call;
  if (operation.verb !== "list" || !isDecided(answer)) return [];
  // Only a version of before can be gone.
  if (answer.code === 410 && (operation.limit > 0 || operation.at === "exact")) return [];
  const { items, metadata, message } = answer.body as {
    items: KubeObject[] | null;
    metadata: { resourceVersion?: string };
    message?: string;
  };
  if (answer.code !== 200) return [broken("a list is answered", call, `with ${answer.code}: ${message}`)];
  const version = Number(metadata.resourceVersion);
  const isExact = operation.at === "exact" && call.version !== undefined;
  const { least, most } = isExact
    ? { least: Number(call.version), most: Number(call.version) }
    : allowed(call, timeline);
  if (version < least || version > most)
    return [broken("a list shows what was acknowledged", call, `at ${version}, not from ${least} to ${most}`)];
  const expected = timeline
    .state(prefixOf(operation.plural, operation.namespace), version)
    .filter(({ object }) => operation.group === undefined || (object && groupOf(object) === operation.group));
  return checkItems(call, version, items ?? [], expected);
}

function checkItems(
  call: Call,
  version: number,
  items: readonly KubeObject[],
  expected: readonly Change[],
): Violation[] {
  const name = ({ metadata }: KubeObject): string =>
    `${metadata.namespace}/${metadata.name}@${metadata.resourceVersion}`;
  const shown = items.map(name);
  const wanted = expected.map(
    ({ object, revision }) => `${object?.metadata.namespace}/${object?.metadata.name}@${revision}`,
  );
  if (!Bun.deepEquals(shown, wanted))
    return [
      broken("a list shows the state of its version", call, `at ${version} [${shown}], but there was [${wanted}]`),
    ];
  return expected.flatMap((state, index) => {
    const item = items[index];
    if (item && isSame(item, state)) return [];
    return [broken("a list shows what was committed", call, item ? difference(item, state) : "nothing")];
  });
}

export const isSame = (object: KubeObject, { object: committed }: Change): boolean =>
  committed !== undefined && Bun.deepEquals(contentsOf(object), contentsOf(committed));

export const difference = (object: KubeObject, { object: committed }: Change): string =>
  `${JSON.stringify(object)} is not ${JSON.stringify(committed)}`;
