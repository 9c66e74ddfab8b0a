/** Where Bramble's lists and watches differ from upstream's on purpose. Everything else is as upstream's. */
import type { Json } from "../wire/request.ts";
import type { AnyStep, Observed } from "./scenario.ts";

export interface WatchDifference {
  readonly reason: string;
  /** Whether this is why these two differ. */
  explains(step: AnyStep, upstream: Observed, ours: Observed): boolean;
}

interface Event {
  readonly type: string;
  readonly object: Json;
}

const isEvent = (value: unknown): value is Event =>
  typeof value === "object" && value !== null && "type" in value && "object" in value;

const withEvents = (observed: Observed, change: (event: unknown) => unknown): Observed => ({
  ...observed,
  ...(observed.events && { events: observed.events.map(change) }),
});

type Fields = readonly (readonly [string, unknown])[];

/** What a bookmark tells: kind and metadata, in a table those of its row. */
function bareBookmark(event: unknown): unknown {
  if (Array.isArray(event)) return bareMessage(event as unknown as Fields);
  if (!isEvent(event) || event.type !== "BOOKMARK") return event;
  const { kind, apiVersion, metadata, columnDefinitions, rows } = event.object;
  const bare = { kind, apiVersion, metadata };
  if (!Array.isArray(rows)) return { type: event.type, object: bare };
  const objects = (rows as Json[]).map(({ object }) => object);
  return { type: event.type, object: { ...bare, columnDefinitions, rows: objects } };
}

/** The metadata alone: the first field of what stands in an object of any kind. */
function bareMessage(fields: Fields): unknown {
  if (!JSON.stringify(fields).includes("BOOKMARK")) return fields;
  return JSON.parse(JSON.stringify(fields), (_, value) => {
    const isObject = Array.isArray(value) && value[0] === "2" && Array.isArray(value[1]) && value[1][0]?.[0] === "1";
    return isObject && Array.isArray(value[1][0][1]) && value[1].length > 1 ? ["2", [value[1][0]]] : value;
  });
}

/** Changes by their objects, each object's in their order, whichever of the writes of one step made them. */
function byObject(observed: Observed): unknown {
  const nameOf = (event: unknown): string => {
    const { object } = event as Event;
    const shown = Array.isArray(object?.["rows"]) ? ((object["rows"] as Json[])[0]?.["object"] as Json) : object;
    return String((shown?.["metadata"] as Json | undefined)?.["name"]);
  };
  const sorted = [...(observed.events ?? [])].sort((a, b) =>
    nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0,
  );
  return JSON.parse(JSON.stringify({ ...observed, events: sorted }).replace(/(all are deleted) \d+/g, "$1"));
}

const withoutMoment = (event: unknown): unknown =>
  isEvent(event) && event.type === "BOOKMARK"
    ? JSON.parse(JSON.stringify(event).replace(/"resourceVersion":"[^"]*"/g, '"resourceVersion":""'))
    : event;

/** Without what upstream's conversion of DaemonSets adds, in JSON and in protobuf. */
const withoutConverted = (observed: Observed): Observed =>
  JSON.parse(
    JSON.stringify(observed)
      .replace(/"deprecated\.daemonset\.template\.generation":"\d+",?/g, "")
      .replace(/,?\["\d+",\[\["1","\\"deprecated\.daemonset\.template\.generation\\""\],\["2",[^\]]*\]\]\]/g, "")
      .replace(/"annotations":\{\},?/g, "")
      .replace(/,\}/g, "}"),
  );

/** Without uid (3) and extra (6) of who asked for a certificate: the message that has the name of its signer (7). */
function withoutRequester(observed: Observed): Observed {
  const isSigner = (field: unknown): boolean =>
    Array.isArray(field) && field[0] === "7" && typeof field[1] === "string" && field[1].includes("/signer");
  return JSON.parse(JSON.stringify(observed), (_, value) =>
    Array.isArray(value) && value.some(isSigner)
      ? value.filter((field) => !Array.isArray(field) || !/^[36]$/.test(String(field[0])))
      : value,
  );
}

/** The type of an event, and the write by whose revision its object is known. */
const changeOf = (event: unknown): string =>
  isEvent(event) ? `${event.type} ${(event.object["metadata"] as Json)["resourceVersion"]}` : "";

const bare = (observed: Observed): Observed => withEvents(observed, bareBookmark);

export const watchDifferences: readonly WatchDifference[] = [
  {
    reason: "An annotation that upstream's conversion of DaemonSets adds: to a bookmark, and not to metadata alone.",
    explains: (step, upstream, ours) =>
      step.do === "watch" &&
      step.path.includes("/daemonsets") &&
      Bun.deepEquals(bare(withoutConverted(upstream)), bare(withoutConverted(ours))),
  },
  {
    reason:
      "A bookmark is an object without contents. Go writes the fields that its structs always have, and upstream prints a row of them; Bramble writes what a bookmark tells.",
    explains: (_, upstream, ours) => Bun.deepEquals(bare(upstream), bare(ours)),
  },
  {
    reason:
      "Where a client is content with an older revision, upstream's bookmark may tell of an older moment than Bramble's.",
    explains: (step, upstream, ours) =>
      step.do === "watch" &&
      step.path.includes("resourceVersion=") &&
      Bun.deepEquals(withEvents(bare(upstream), withoutMoment), withEvents(bare(ours), withoutMoment)),
  },
  {
    reason:
      "Objects of a collection are deleted side by side: marks and deletions of several may come between one another.",
    explains: (step, upstream, ours) =>
      step.do === "watch" && Bun.deepEquals(byObject(bare(upstream)), byObject(bare(ours))),
  },
  {
    reason:
      "After a start the history that the store still has is there again; upstream's caches begin with the present.",
    explains: ({ label }, upstream, ours) =>
      label === "cold: from the compaction" &&
      JSON.stringify(upstream.events).includes("too old resource version") &&
      Bun.deepEquals(ours.events?.map(changeOf), ["MODIFIED a is labelled again", "MODIFIED c changes"]),
  },
  {
    reason:
      "Upstream was asked by somebody with a token, Bramble by somebody with a certificate: a request for one says so.",
    explains: (step, upstream, ours) =>
      step.do === "watch" &&
      step.path.includes("/certificatesigningrequests") &&
      upstream.type?.includes("protobuf") === true &&
      Bun.deepEquals(bare(withoutRequester(upstream)), bare(withoutRequester(ours))),
  },
];
