/** What people read to see who waits and why: upstream's paths, columns and layout (apf_controller_debug.go of apiserver). */
import type { ApiResponse, RequestContext } from "../apiserver/request.ts";
import type { PriorityLevel, Visit } from "./priority-level.ts";
import type { RequestGate } from "./request-gate.ts";

type Cell = string | number | boolean;
type Dump = (levels: readonly PriorityLevel[], query: URLSearchParams) => string;
const dumps: Readonly<Record<string, Dump>> = {
  dump_priority_levels: dumpLevels,
  dump_queues: dumpQueues,
  dump_requests: dumpRequests,
};
const prefix = "/debug/api_priority_and_fairness/";

/** undefined: another path. */
export function flowControlDump({ info, query }: RequestContext, gate: RequestGate): ApiResponse | undefined {
  if (!info.path.startsWith(prefix)) return undefined;
  const name = info.path.slice(prefix.length);
  const dump = Object.hasOwn(dumps, name) ? dumps[name] : undefined;
  if (!dump) return undefined;
  const levels = [...gate.levels].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { kind: "bytes", code: 200, contentType: "text/plain; charset=utf-8", body: dump(levels, query) };
}

function dumpLevels(levels: readonly PriorityLevel[]): string {
  const head = [
    ...["PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests"],
    ...["DispatchedRequests", "RejectedRequests", "TimedoutRequests", "CancelledRequests"],
  ];
  const rows = levels.map((level) => [
    level.name,
    level.queueStates().filter(({ waiting }) => waiting.length > 0).length,
    level.waiting + level.executing === 0,
    level.isQuiescing,
    level.waiting,
    level.executing,
    level.totals.dispatched,
    level.totals.rejected,
    level.totals.timedOut,
    level.totals.cancelled,
  ]);
  return tableText([head, ...rows]);
}

function dumpQueues(levels: readonly PriorityLevel[]): string {
  const head = [
    ...["PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse", "NextDispatchR"],
    ...["InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum"],
  ];
  const rows = levels.flatMap((level) =>
    level
      .queueStates()
      .map(({ index, waiting, executing, seats, served_s, seatsWanted, work_s }) => [
        ...[level.name, index, waiting.length, executing, seats, seatSeconds(served_s)],
        ...[seatsWanted, seatsWanted, seatSeconds(work_s)],
      ]),
  );
  return tableText([head, ...rows]);
}

function dumpRequests(levels: readonly PriorityLevel[], query: URLSearchParams): string {
  const isDetailed = (query.get("includeRequestDetails") ?? "") !== "";
  const head = [
    // Spelt so upstream.
    ...["PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher", "ArriveTime"],
    ...["InitialSeats", "FinalSeats", "AdditionalLatency", "StartTime"],
    ...(isDetailed
      ? ["UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"]
      : []),
  ];
  const row = (level: PriorityLevel, visit: Visit, place: number): Cell[] => [
    ...[level.name, visit.schema, visit.queue ?? none, place, visit.distinguisher, timeText(visit.came_ms)],
    // A request has all its seats from its start to its end.
    ...[visit.width, 0, "0s", timeText(visit.began_ms)],
    ...(isDetailed ? detailsOf(visit) : []),
  ];
  const rows = levels.flatMap((level) => [
    ...level
      .queueStates()
      .flatMap(({ index, waiting }) => waiting.map((visit, place) => row(level, { ...visit, queue: index }, place))),
    ...[...level.running].map((visit) => row(level, visit, none)),
  ]);
  return tableText([head, ...rows]);
}

/** Of a request that has not waited: it has no queue; of one that runs: it has no place in one. */
const none = -1;

function detailsOf({ user, info }: Visit): Cell[] {
  const { path, verb, namespace = "", name = "", group, version, resource, subresource = "" } = info;
  const apiVersion = group === "" ? version : `${group}/${version}`;
  return [user.name, verb, path, namespace, name, apiVersion, resource, subresource];
}

const seatSeconds = (value_s: number): string => `${value_s.toFixed(8)}ss`;

/** RFC 3339 without zeros at the end, as Go prints it; the zero time for one that has not begun. */
function timeText(at_ms: number | undefined): string {
  if (at_ms === undefined) return "0001-01-01T00:00:00Z";
  return new Date(performance.timeOrigin + at_ms).toISOString().replace(/\.?0*Z$/, "Z");
}

const narrowest = 8;

/** Cells under one another: each but a row's last with a comma, and as wide as the widest of its column. */
function tableText(rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => row.map((cell, index) => (index < row.length - 1 ? `${cell},` : String(cell))));
  const widths = (texts[0] ?? []).map((_, column) =>
    texts.reduce((widest, row) => Math.max(widest, [...(row[column] ?? "")].length + 1), narrowest),
  );
  const padded = (text: string, width: number): string => text + " ".repeat(width - [...text].length);
  return texts
    .map((row) => row.map((text, index) => (index < row.length - 1 ? padded(text, widths[index] ?? 0) : text)))
    .map((row) => `${row.join("")}\n`)
    .join("");
}
