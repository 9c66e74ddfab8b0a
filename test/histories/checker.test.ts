/** Histories that break one promise each, which the checker must refuse; and the good one that they are made of. */
import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import { check } from "./checker.ts";
import type { Answer, Call, Change, Frame, History, WatchRun } from "./history.ts";
import type { Operation, Target } from "./operations.ts";
import { plainNamespace, quotaNamespace } from "./resources.ts";

const target: Target = { plural: "configmaps", namespace: plainNamespace, name: "p" };
const key = `/registry/configmaps/${plainNamespace}/p`;

function resting(tag: string, more: object = {}): KubeObject {
  const annotations = { tag };
  const metadata = { name: "p", namespace: plainNamespace, uid: "u1", labels: { group: "a" }, annotations, ...more };
  return { apiVersion: "v1", kind: "ConfigMap", metadata };
}

const shown = (object: KubeObject, revision: number): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: String(revision) },
});

const put = (revision: number, object: KubeObject, at = key): Change => ({ revision, key: at, object });
const deletion = (revision: number, at = key): Change => ({ revision, key: at, object: undefined });
const answered = (body: unknown, code = 200): Answer => ({ kind: "answered", code, body });
const refusal = (code: number, reason: string): Answer => answered({ kind: "Status", reason }, code);

function call(tag: string, operation: Operation, invoked: number, answer: Answer, more: Partial<Call> = {}): Call {
  return {
    tag,
    server: 0,
    operation,
    version: undefined,
    uid: undefined,
    invoked,
    answered: invoked + 1,
    answer,
    ...more,
  };
}

const creation: Operation = {
  verb: "create",
  target,
  group: "a",
  isHeld: false,
  hasGeneratedName: false,
  hasNodePort: false,
};
const update: Operation = { verb: "update", target, group: "a", condition: "seen" };
const get: Operation = { verb: "get", target, at: "newest" };
const list: Operation = {
  verb: "list",
  plural: "configmaps",
  namespace: plainNamespace,
  group: undefined,
  at: "newest",
  limit: 0,
};
const remove: Operation = { verb: "delete", target, preconditions: "none" };

const first = resting("c0-0");
const second = resting("c0-1");
const listed = (version: number, ...items: KubeObject[]): Answer =>
  answered({ items, metadata: { resourceVersion: String(version) } });

function watch(frames: readonly Omit<Frame, "seen">[], more: Partial<WatchRun> = {}): WatchRun {
  const selection = { plural: "configmaps", namespace: plainNamespace, group: undefined, name: undefined } as const;
  const seen = frames.map((frame, n) => ({ ...frame, seen: 20 + n }));
  return { server: 0, selection, mode: "from", version: "9", invoked: 0, refused: undefined, ...more, frames: seen };
}

const frame = (type: Frame["type"], object: KubeObject, revision: number): Omit<Frame, "seen"> => ({
  type,
  object: shown(object, revision),
});
const bookmark = (revision: number, annotations = {}): Omit<Frame, "seen"> => ({
  type: "BOOKMARK",
  object: { apiVersion: "v1", kind: "ConfigMap", metadata: { resourceVersion: String(revision), annotations } },
});

/** Created at 10, changed at 11, deleted at 12. */
const changes = [put(10, first), put(11, second), deletion(12)];
const created = call("c0-0", creation, 1, answered(shown(first, 10), 201));
const updated = call("c0-1", update, 3, answered(shown(second, 11)), { version: "10" });
const removed = call("c0-2", remove, 7, answered({ kind: "Status", metadata: {}, details: { uid: "u1" } }));
const wholeWatch = watch([
  frame("ADDED", first, 10),
  frame("MODIFIED", second, 11),
  bookmark(11),
  frame("DELETED", second, 12),
]);
const good: History = {
  changes,
  calls: [
    created,
    updated,
    call("c1-0", get, 5, answered(shown(second, 11))),
    call("c1-1", list, 5, listed(11, shown(second, 11))),
    removed,
    call("c1-2", get, 9, refusal(404, "NotFound")),
  ],
  watches: [wholeWatch],
};
const of = (more: Partial<History>): History => ({ ...good, ...more });
const withCall = (...calls: Call[]): History => of({ calls: [...good.calls, ...calls] });
const withWatch = (one: WatchRun): History => of({ watches: [one] });

test("a history that keeps every promise is taken", () => {
  expect(check(good)).toEqual([]);
});

test("what is allowed is taken: a lost answer, made or not; a stale read that asked for no more; a refusal with a cause", () => {
  const lost: Answer = { kind: "lost" };
  const isLost = (one: Call): Call => ({ ...one, answer: lost });
  expect(check(of({ calls: [isLost(created), isLost(updated), isLost(removed)] }))).toEqual([]);
  expect(check(withCall(call("c2-0", update, 3, lost)))).toEqual([]);
  expect(check(withCall(call("c2-0", { ...get, at: "any" }, 9, answered(shown(first, 10)), { version: "0" })))).toEqual(
    [],
  );
  expect(check(withCall(call("c2-0", update, 5, refusal(409, "Conflict"), { version: "10" })))).toEqual([]);
  expect(check(withWatch(watch([frame("ADDED", first, 10), frame("ERROR", first, 0)])))).toHaveLength(1);
});

const holder = { name: "p", finalizers: ["histories.test/hold"] };
const service = (name: string, ip: string): KubeObject =>
  ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, uid: `${name}-uid` },
    spec: { clusterIPs: [ip] },
  }) as KubeObject;
const widget = (generation: number, tag: string): KubeObject =>
  ({ apiVersion: "v1", kind: "Widget", metadata: { uid: "w", generation }, spec: { tag } }) as KubeObject;
const widgetKey = `/registry/histories.test/widgets/${plainNamespace}/p`;

const bad: readonly (readonly [promise: string, how: string, history: History])[] = [
  ["what was acknowledged is kept", "a write is lost", withCall(call("c2-0", update, 5, answered(shown(first, 13))))],
  ["a write is made once", "its tag comes again", of({ changes: [...changes, put(13, first)] })],
  [
    "revisions follow real time",
    "a write is made before one that was answered before it began",
    of({
      changes: [put(9, second), put(10, first)],
      calls: [created, call("c0-1", update, 3, answered(shown(second, 9)))],
      watches: [],
    }),
  ],
  [
    "a conditional write meets its version",
    "another version was there",
    of({ calls: [created, { ...updated, version: "8" }, removed] }),
  ],
  [
    "what was refused was not done",
    "a conflict was made",
    of({ calls: [created, { ...updated, answer: refusal(409, "Conflict") }, removed] }),
  ],
  [
    "an answer is what was committed",
    "contents differ",
    of({ calls: [created, { ...updated, answer: answered(shown(resting("c0-1", { labels: {} }), 11)) }, removed] }),
  ],
  ["what is not found was not there", "it was", withCall(call("c2-0", update, 5, refusal(404, "NotFound")))],
  ["what exists already was there", "it was not", withCall(call("c2-0", creation, 9, refusal(409, "AlreadyExists")))],
  [
    "a conflict has a cause",
    "the version was there",
    withCall(call("c2-0", update, 5, refusal(409, "Conflict"), { version: "11" })),
  ],
  ["a get shows what was acknowledged", "it is stale", withCall(call("c2-0", get, 5, answered(shown(first, 10))))],
  ["a get shows what was acknowledged", "it is not found", withCall(call("c2-0", get, 5, refusal(404, "NotFound")))],
  [
    "a get shows what was acknowledged",
    "a deletion was acknowledged before",
    withCall(call("c2-0", get, 9, answered(shown(second, 11)))),
  ],
  ["a get shows what was committed", "contents differ", withCall(call("c2-0", get, 5, answered(shown(first, 11))))],
  ["a list shows what was acknowledged", "it is stale", withCall(call("c2-0", list, 5, listed(10, shown(first, 10))))],
  ["a list shows the state of its version", "one lacks", withCall(call("c2-0", list, 5, listed(11)))],
  ["a list is answered", "a consistent one is gone", withCall(call("c2-0", list, 5, refusal(410, "Expired")))],
  ["nothing is deleted unasked", "nobody asked", of({ calls: [created, updated] })],
  [
    "a finalizer holds",
    "nobody took it away",
    of({ changes: [put(10, resting("c0-0", holder)), deletion(12)], calls: [removed], watches: [] }),
  ],
  [
    "what was acknowledged is kept",
    "a deletion is lost",
    of({ changes: [put(10, first), put(11, second)], watches: [] }),
  ],
  [
    "a conditional deletion meets its conditions",
    "another version was there",
    of({ calls: [created, updated, { ...removed, version: "10" }] }),
  ],
  [
    "of two writes over a version one succeeds",
    "both did",
    withCall(call("c0-1", update, 3, answered(shown(second, 11)), { version: "10" })),
  ],
  [
    "a watch tells each change once",
    "one lacks",
    withWatch(watch([frame("ADDED", first, 10), frame("DELETED", second, 12)])),
  ],
  [
    "a watch tells each change once",
    "one comes twice",
    withWatch(watch([frame("ADDED", first, 10), frame("ADDED", first, 10)])),
  ],
  ["a watch tells each change once", "its type is wrong", withWatch(watch([frame("MODIFIED", first, 10)]))],
  ["a watch tells what was committed", "contents differ", withWatch(watch([frame("ADDED", second, 10)]))],
  ["a bookmark tells nothing untold", "it runs ahead", withWatch(watch([frame("ADDED", first, 10), bookmark(11)]))],
  ["a watch goes forward", "a bookmark goes back", withWatch(watch([frame("ADDED", first, 10), bookmark(9)]))],
  [
    "a watch begins with a state",
    "none explains what came",
    withWatch(watch([frame("ADDED", first, 10), frame("DELETED", second, 12)], { mode: "any", version: "0" })),
  ],
  [
    "a watch begins with a state",
    "its list lacks an object",
    withWatch(watch([bookmark(11, { "k8s.io/initial-events-end": "true" })], { mode: "list", version: "" })),
  ],
  ["a watch is served or gone", "it is refused", withWatch(watch([], { refused: 400 }))],
  [
    "a uid stays as long as its object",
    "it changes",
    of({
      changes: [put(10, first), put(11, resting("c0-1", { uid: "u2" })), deletion(12)],
      calls: [removed],
      watches: [],
    }),
  ],
  ["a uid is given once", "a new object has it again", of({ changes: [...changes, put(13, resting("x"))] })],
  [
    "generation counts changes of the spec",
    "it does not grow",
    of({ changes: [put(20, widget(1, "a"), widgetKey), put(21, widget(1, "b"), widgetKey)], calls: [], watches: [] }),
  ],
  [
    "generation counts changes of the spec",
    "it grows by itself",
    of({ changes: [put(20, widget(1, "a"), widgetKey), put(21, widget(2, "a"), widgetKey)], calls: [], watches: [] }),
  ],
  [
    "owners' fields can be read",
    "a key is of no kind",
    of({
      changes: [
        put(
          10,
          resting("x", {
            managedFields: [{ manager: "m", operation: "Update", fieldsType: "FieldsV1", fieldsV1: { x: {} } }],
          }),
        ),
      ],
      calls: [],
      watches: [],
    }),
  ],
  [
    "who applied owns what it applied",
    "it owns nothing",
    of({ calls: [created, { ...updated, operation: { ...update, verb: "patch", type: "apply" } }, removed] }),
  ],
  [
    "no two Services share an address or a node port",
    "they do",
    of({
      changes: ["p", "q"].map((name, n) =>
        put(10 + n, service(name, "10.43.0.9"), `/registry/services/${plainNamespace}/${name}`),
      ),
      calls: [],
      watches: [],
    }),
  ],
  [
    "a quota is not exceeded",
    "there are five of four",
    of({
      changes: Array.from({ length: 5 }, (_, n) =>
        put(10 + n, resting(`x${n}`, { uid: `u${n}` }), `/registry/configmaps/${quotaNamespace}/${n}`),
      ),
      calls: [],
      watches: [],
    }),
  ],
];

for (const [promise, how, history] of bad)
  test(`${promise}: refused when ${how}`, () => {
    expect(check(history).map((violation) => violation.promise)).toContain(promise);
  });
