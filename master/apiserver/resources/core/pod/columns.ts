import { isTerminal } from "#shared/api/pod-phase.ts";
import { sidecarsOf } from "#shared/api/sidecars.ts";
import type { ContainerStatus, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { TableRowCondition } from "#shared/api/types/meta-v1.generated.ts";
import type { TableColumn } from "../../../registry/declaration.ts";
import { ageColumn, column, nameColumn, orNone, since, wideColumn } from "../../columns.ts";

interface PodSummary {
  readonly ready: string;
  readonly status: string;
  readonly restarts: string;
}

const summaries = new WeakMap<Pod, PodSummary>();

/** Ready, Status and Restarts come from one walk over the containers; cells of a row share it. */
function summaryOf(pod: Pod): PodSummary {
  const known = summaries.get(pod);
  if (known !== undefined) return known;
  const summary = summarize(pod);
  summaries.set(pod, summary);
  return summary;
}

const terminationReason = (status: ContainerStatus): string => {
  const terminated = status.state?.terminated;
  if (terminated?.reason) return terminated.reason;
  return terminated?.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated?.exitCode ?? 0}`;
};

class Restarts {
  count = 0;
  last: string | undefined;
  add(status: ContainerStatus): void {
    this.count += status.restartCount ?? 0;
    const finished = status.lastState?.terminated?.finishedAt;
    if (finished && (this.last === undefined || Date.parse(finished) > Date.parse(this.last))) this.last = finished;
  }
  text(): string {
    return this.count !== 0 && this.last !== undefined ? `${this.count} (${since(this.last)} ago)` : `${this.count}`;
  }
}

interface InitSummary {
  /** Why initialisation is not over; undefined when it is. */
  readonly reason: string | undefined;
  readonly readySidecars: number;
  readonly all: Restarts;
  readonly sidecars: Restarts;
}

function summarizeInit(pod: Pod, sidecars: ReadonlySet<string>): InitSummary {
  const all = new Restarts();
  const restartable = new Restarts();
  let readySidecars = 0;
  const total = pod.spec.initContainers?.length ?? 0;
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    all.add(status);
    const isSidecar = sidecars.has(status.name);
    if (isSidecar) restartable.add(status);
    const { terminated, waiting } = status.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (isSidecar && status.started) {
      if (status.ready) readySidecars++;
      continue;
    }
    let reason = `Init:${index}/${total}`;
    if (terminated) reason = `Init:${terminationReason(status)}`;
    else if (waiting?.reason && waiting.reason !== "PodInitializing") reason = `Init:${waiting.reason}`;
    return { reason, readySidecars, all, sidecars: restartable };
  }
  return { reason: undefined, readySidecars, all, sidecars: restartable };
}

const hasCondition = (pod: Pod, type: string): boolean =>
  pod.status?.conditions?.some((condition) => condition.type === type && condition.status === "True") ?? false;

interface RunSummary {
  readonly reason: string;
  readonly ready: number;
}

/** What the ordinary containers say, once initialisation is over. */
function summarizeRun(pod: Pod, before: string, restarts: Restarts): RunSummary {
  let reason = before;
  let ready = 0;
  let errorReason = "";
  for (const container of (pod.status?.containerStatuses ?? []).toReversed()) {
    restarts.add(container);
    const { waiting, terminated, running } = container.state ?? {};
    if (waiting?.reason) reason = waiting.reason;
    else if (terminated) {
      reason = terminationReason(container);
      if (terminated.exitCode !== 0) errorReason = reason;
    } else if (container.ready && running) ready++;
  }
  if (reason !== "Completed") return { reason, ready };
  if (ready > 0 && hasCondition(pod, "Ready")) return { reason: "Running", ready };
  if (errorReason !== "") return { reason: errorReason, ready };
  return { reason: ready > 0 ? "NotReady" : reason, ready };
}

function deletionReason(pod: Pod): string | undefined {
  if (pod.metadata.deletionTimestamp === undefined) return undefined;
  if (pod.status?.reason === "NodeLost") return "Unknown";
  return isTerminal(pod) ? undefined : "Terminating";
}

function summarize(pod: Pod): PodSummary {
  const { status } = pod;
  const gated = status?.conditions?.some(({ type, reason }) => type === "PodScheduled" && reason === "SchedulingGated");
  const sidecars = new Set(sidecarsOf(pod.spec).map(({ name }) => name));
  const total = pod.spec.containers.length + sidecars.size;
  const init = summarizeInit(pod, sidecars);
  let reason = init.reason ?? (gated ? "SchedulingGated" : status?.reason || (status?.phase ?? ""));
  let restarts = init.all;
  let ready = init.readySidecars;
  if (init.reason === undefined || hasCondition(pod, "Initialized")) {
    restarts = init.sidecars;
    const run = summarizeRun(pod, reason, restarts);
    reason = run.reason;
    ready += run.ready;
  }
  return { ready: `${ready}/${total}`, status: deletionReason(pod) ?? reason, restarts: restarts.text() };
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec.readinessGates ?? [];
  if (gates.length === 0) return "<none>";
  const held = new Set(
    (pod.status?.conditions ?? []).filter(({ status }) => status === "True").map(({ type }) => type),
  );
  const passed = gates.filter(({ conditionType }) => held.has(conditionType)).length;
  return `${passed}/${gates.length}`;
}

export const podColumns: readonly TableColumn<Pod>[] = [
  nameColumn,
  column("Ready", (pod) => summaryOf(pod).ready),
  column("Status", (pod) => summaryOf(pod).status),
  column("Restarts", (pod) => summarize(pod).restarts),
  ageColumn,
  wideColumn("IP", (pod) => orNone(pod.status?.podIPs?.[0]?.ip)),
  wideColumn("Node", (pod) => orNone(pod.spec.nodeName)),
  wideColumn("Nominated Node", (pod) => orNone(pod.status?.nominatedNodeName)),
  wideColumn("Readiness Gates", readinessGates),
];

const completed = (reason: string, message: string): readonly TableRowCondition[] => [
  { type: "Completed", status: "True", reason, message },
];
const succeeded = completed("Succeeded", "The pod has completed successfully.");
const failed = completed("Failed", "The pod failed.");

/** Tells printers that a pod has run to its end. */
export function completion({ status }: Pod): readonly TableRowCondition[] {
  if (status?.phase === "Succeeded") return succeeded;
  return status?.phase === "Failed" ? failed : [];
}
