import { hasReason, isConflict, isNotFound } from "#shared/api/errors.ts";
import { pods } from "#shared/api/resources.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { Pod, PodCondition, PodStatus } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { runQueueWorker } from "#shared/client/queue-worker.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import { isMirrorPod, isStaticPod, isTerminalPhase, mirroredUid, podUid } from "../pod-containers.ts";
import { kubeletConditions, sharedConditions } from "./pod-conditions.ts";

interface Entry {
  /** The pod as the API last gave it; of a static pod, its mirror. */
  pod: Pod;
  status: PodStatus;
  /** Containers may still run: a final phase is not told yet. */
  mayRun: boolean;
  /** Nothing of the pod is left: when it is being deleted, let it go. */
  finished: boolean;
  /** The last patch sent, as JSON. */
  lastSent?: string;
}

const parallelWrites = 4;
/** A patch that the API took and that changed nothing is not sent again sooner: it would go round for ever. */
const repeat_ms = 10_000;

/**
 * Writes pod statuses to the API: only when something differs from what the API has, the newest of several, with
 * retries. A pod that is being deleted is deleted for good once all of it has ended and the API knows.
 */
export class StatusWriter {
  readonly #entries = new Map<string, Entry>();
  /** Pods that started without asking the API, which may have given them up: nothing is written before it has said. */
  readonly #held = new Set<string>();
  /** The API's pictures of static pods, by the UID of what they picture. */
  readonly #mirrors = new Map<string, Pod>();
  /** Pods of which the API refuses a status, by UID: told once. */
  readonly #refused = new Set<string>();
  readonly #queue = new WorkQueue({ firstBackOff_ms: 200, longestBackOff_ms: 30_000 });
  #workers: Promise<void>[] = [];

  constructor(
    readonly client: Client,
    readonly log: Log,
    /** Called when a pod's status has been set, before it is written. */
    readonly onSet: () => void = () => undefined,
  ) {}

  start(): void {
    this.#workers = Array.from({ length: parallelWrites }, () =>
      runQueueWorker(
        this.#queue,
        (uid) => this.#write(uid),
        (uid, error) => this.#tell(uid, error),
      ),
    );
  }

  async stop(): Promise<void> {
    this.#queue.shutDown();
    await Promise.all(this.#workers);
  }

  /** The status last set, whether it is written yet or not. */
  get(podUid: string): PodStatus | undefined {
    return this.#entries.get(podUid)?.status;
  }

  /** Takes note of what the API says of a pod, which tells what is left to write. */
  observe(pod: Pod): void {
    const uid = mirroredUid(pod) ?? podUid(pod);
    this.#held.delete(uid);
    if (isMirrorPod(pod)) this.#mirrors.set(uid, pod);
    const entry = this.#entries.get(uid);
    if (!entry || !isNewer(pod, entry.pod)) return;
    entry.pod = pod;
    const patch = statusPatch(entry);
    if (patch && JSON.stringify(patch) === entry.lastSent) this.#queue.addAfter(uid, repeat_ms);
    else if (patch || mayDelete(entry)) this.#queue.add(uid);
  }

  /** Writes nothing of a pod until the API has shown it. */
  hold(podUid: string): void {
    this.#held.add(podUid);
  }

  /** Does the API have the status last set? Also when it does not want it any more. */
  isWritten(podUid: string): boolean {
    const entry = this.#entries.get(podUid);
    return entry === undefined || statusPatch(entry) === undefined;
  }

  set(pod: Pod, status: PodStatus, state: { readonly mayRun: boolean; readonly finished: boolean }): void {
    const uid = podUid(pod);
    const present = this.#entries.get(uid);
    const finished = state.finished || (present?.finished ?? false);
    if (present) {
      if (isNewer(pod, present.pod)) present.pod = pod;
      Object.assign(present, { status, mayRun: state.mayRun && !finished, finished });
    } else {
      this.#entries.set(uid, {
        pod: this.#mirrors.get(uid) ?? pod,
        status,
        mayRun: state.mayRun && !finished,
        finished,
      });
    }
    this.#queue.add(uid);
    this.onSet();
  }

  /** The API answers again: what waits for a retry need not. */
  retryAll(): void {
    for (const uid of this.#entries.keys()) {
      this.#queue.forget(uid);
      this.#queue.add(uid);
    }
  }

  /** The pod is gone from the API. */
  forget(podUid: string): void {
    this.#mirrors.delete(podUid);
    this.#entries.delete(podUid);
    this.#held.delete(podUid);
    this.#refused.delete(podUid);
    this.#queue.forget(podUid);
  }

  /** One that the API refuses would be refused for ever, and nobody would know why the pod does not become ready. */
  #tell(uid: string, error: unknown): void {
    const isRefusal = hasReason(error, "Invalid") && !this.#refused.has(uid);
    if (isRefusal) this.#refused.add(uid);
    const { namespace, name } = this.#entries.get(uid)?.pod.metadata ?? {};
    const fields = { pod: `${namespace}/${name}`, uid, error };
    this.log[isRefusal ? "warn" : "debug"]("a pod status could not be written", fields);
  }

  async #write(uid: string): Promise<void> {
    const entry = this.#entries.get(uid);
    // Static pods without a mirror are not in the API yet.
    if (!entry || this.#held.has(uid) || (isStaticPod(entry.pod) && !isMirrorPod(entry.pod))) return;
    const { namespace, name = "" } = entry.pod.metadata;
    const key = { namespace, name };
    const body = statusPatch(entry);
    if (body) {
      try {
        const written = await this.client.patch(pods, key, { type: "strategic", body }, { subresource: "status" });
        entry.lastSent = JSON.stringify(body);
        if (isNewer(written, entry.pod)) entry.pod = written;
      } catch (error) {
        // Gone, or replaced by another of the same name: nobody waits for this status.
        if (isNotFound(error) || (isConflict(error) && (await this.#isReplaced(entry.pod)))) {
          // A static pod gets another mirror, which is then observed.
          if (!isMirrorPod(entry.pod)) this.forget(uid);
          return;
        }
        throw error;
      }
    }
    if (!mayDelete(entry)) return;
    try {
      await this.client.delete(pods, key, { gracePeriodSeconds: 0, preconditions: { uid: podUid(entry.pod) } });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  async #isReplaced(pod: Pod): Promise<boolean> {
    const { namespace, name = "" } = pod.metadata;
    try {
      const present = await this.client.get(pods, { namespace, name });
      return podUid(present) !== podUid(pod);
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  }
}

function mayDelete({ pod, finished }: Entry): boolean {
  return (
    finished && pod.metadata.deletionTimestamp !== undefined && !isMirrorPod(pod) && isTerminalPhase(pod.status?.phase)
  );
}

/** The newer of two states of one pod; revisions of one server are numbers that grow. A mirror is newer than its pod. */
function isNewer(a: Pod, b: Pod): boolean {
  if (isMirrorPod(a) !== isMirrorPod(b)) return isMirrorPod(a);
  return Number(a.metadata.resourceVersion ?? 0) >= Number(b.metadata.resourceVersion ?? 0);
}

/** The strategic merge patch that makes the API's status this one; undefined when it is. */
export function statusPatch({ pod, status, mayRun }: Omit<Entry, "finished">): object | undefined {
  const old = pod.status ?? {};
  // What is over stays so, and its worker is about to learn it. A static pod begins again with each boot.
  if (isTerminalPhase(old.phase) && !isTerminalPhase(status.phase) && !isStaticPod(pod)) return undefined;
  const wanted = settled(status, old, mayRun);
  const changes: Record<string, unknown> = {};
  for (const key of owned) {
    if (equal(old[key], wanted[key])) continue;
    const value = wanted[key];
    // These lists merge by key unless told otherwise; the others are replaced anyway.
    const merging = (key === "podIPs" || key === "hostIPs") && Array.isArray(value) && old[key] !== undefined;
    changes[key] = value === undefined ? null : merging ? [...value, { $patch: "replace" }] : value;
  }
  const conditions = changedConditions(wanted.conditions ?? [], old.conditions ?? []);
  if (conditions.length > 0) changes["conditions"] = conditions;
  if (Object.keys(changes).length === 0) return undefined;
  return { metadata: { uid: podUid(pod) }, status: changes };
}

const owned = [
  "observedGeneration",
  "phase",
  "reason",
  "message",
  "hostIP",
  "hostIPs",
  "podIP",
  "podIPs",
  "startTime",
  "initContainerStatuses",
  "containerStatuses",
  "ephemeralContainerStatuses",
  "qosClass",
] as const satisfies readonly (keyof PodStatus)[];

/** What is told of a status: no final phase while something may still run, and no ready pod that has ended. */
function settled(status: PodStatus, old: PodStatus, mayRun: boolean): PodStatus {
  if (isTerminalPhase(status.phase) && !isTerminalPhase(old.phase) && mayRun) {
    return { ...status, phase: old.phase ?? "Pending", reason: old.reason, message: old.message };
  }
  if (!isTerminalPhase(status.phase)) return status;
  const reason = status.phase === "Failed" ? "PodFailed" : "PodCompleted";
  const conditions = (status.conditions ?? []).map((condition): PodCondition => {
    const ends = (condition.type === "Ready" || condition.type === "ContainersReady") && condition.status === "True";
    return ends ? { ...condition, status: "False", reason, lastTransitionTime: rfc3339(Date.now()) } : condition;
  });
  return { ...status, conditions };
}

function changedConditions(wanted: readonly PodCondition[], old: readonly PodCondition[]): object[] {
  const ended = old
    .filter(({ type }) => kubeletConditions.has(type) && !wanted.some((condition) => condition.type === type))
    .map(({ type }) => ({ $patch: "delete", type }));
  const changed = wanted
    .filter(({ type }) => kubeletConditions.has(type) || sharedConditions.has(type))
    .flatMap((condition) => {
      const before = old.find(({ type }) => type === condition.type);
      if (before && equal(meaning(before), meaning(condition))) return [];
      // A patch merges: what the old condition said and the new one does not must be taken away.
      const { reason, message } = condition;
      return {
        ...condition,
        ...(before?.reason !== undefined && reason === undefined ? { reason: null } : {}),
        ...(before?.message !== undefined && message === undefined ? { message: null } : {}),
      };
    });
  return [...ended, ...changed];
}

const meaning = ({ type, status, reason, message, observedGeneration }: PodCondition): object => ({
  type,
  status,
  reason: reason || undefined,
  message: message || undefined,
  observedGeneration,
});

/** Equal as JSON: order of keys and undefined ones do not count, nor does an empty object or list against none. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isEmpty(a) && isEmpty(b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) => equal(left[key], right[key]));
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
