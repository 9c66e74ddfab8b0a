/** What people read to see who waits and why; upstream's paths and first columns. */
import type { ApiResponse, RequestContext } from "../apiserver/request.ts";
import type { PriorityLevel } from "./priority-level.ts";
import type { RequestGate } from "./request-gate.ts";

type Dump = (levels: Iterable<PriorityLevel>) => string;
const dumps: Readonly<Record<string, Dump>> = { dump_priority_levels: dumpLevels, dump_queues: dumpQueues };
const prefix = "/debug/api_priority_and_fairness/";

/** undefined: another path. */
export function flowControlDump({ info }: RequestContext, gate: RequestGate): ApiResponse | undefined {
  if (!info.path.startsWith(prefix)) return undefined;
  const dumped = dumps[info.path.slice(prefix.length)];
  return dumped && { kind: "bytes", code: 200, contentType: "text/plain; charset=utf-8", body: dumped(gate.levels) };
}

function dumpLevels(levels: Iterable<PriorityLevel>): string {
  const head = ["PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests"];
  const rows = [...levels].map((level) => [
    level.name,
    [...level.lengths()].length,
    level.waiting + level.executing === 0,
    false,
    level.waiting,
    level.executing,
  ]);
  return tableText([head, ...rows]);
}

/** Those in which somebody waits. */
function dumpQueues(levels: Iterable<PriorityLevel>): string {
  const head = ["PriorityLevelName", "Index", "PendingRequests", "VirtualStart"];
  const rows = [...levels].flatMap((level) =>
    [...level.lengths()].map(({ queue, waiting, served_s }) => [level.name, queue, waiting, served_s.toFixed(4)]),
  );
  return tableText([head, ...rows]);
}

const tableText = (rows: readonly (readonly unknown[])[]): string => rows.map((row) => `${row.join(", ")}\n`).join("");
