import { readPrometheus } from "#shared/metrics/prometheus-text.ts";

/** Counters of one container or board at one time. */
export interface Counters {
  readonly at_ms: number;
  readonly cpu_s: number;
  readonly memory_bytes: number;
  /** When it began to count, in ms since 1970. */
  readonly startedAt_ms?: number | undefined;
}

/** What a board's /metrics/resource told once. */
export interface UsageSample {
  readonly board: Counters | undefined;
  /** By `namespace/pod`, then by container. */
  readonly pods: ReadonlyMap<string, ReadonlyMap<string, Counters>>;
}

interface Draft {
  at_ms?: number | undefined;
  cpu_s?: number;
  memory_bytes?: number;
  startedAt_ms?: number;
}

/** Reads /metrics/resource. What lacks CPU or memory is left out, so that nothing is taken for idle that did not tell. */
export function readUsageSample(text: string, now_ms: number): UsageSample {
  const board: Draft = {};
  const pods = new Map<string, Map<string, Draft>>();
  readPrometheus(text, (name, { labels, value, at_ms }) => {
    const ofNode = name.startsWith("node_");
    if (!ofNode && !name.startsWith("container_")) return;
    const draft = ofNode ? board : draftOf(pods, labels);
    switch (name.slice(name.indexOf("_") + 1)) {
      case "cpu_usage_seconds_total":
        draft.cpu_s = value;
        draft.at_ms = at_ms;
        break;
      case "memory_working_set_bytes":
        draft.memory_bytes = value;
        break;
      case "start_time_seconds":
        draft.startedAt_ms = value * 1000;
        break;
    }
  });
  return {
    board: counters(board, now_ms),
    pods: new Map(
      [...pods].map(([key, containers]) => [
        key,
        new Map(
          [...containers].flatMap(([container, draft]): [string, Counters][] => {
            const whole = counters(draft, now_ms);
            return whole ? [[container, whole]] : [];
          }),
        ),
      ]),
    ),
  };
}

function draftOf(pods: Map<string, Map<string, Draft>>, labels: Readonly<Record<string, string>>): Draft {
  const { namespace = "", pod = "", container = "" } = labels;
  const key = `${namespace}/${pod}`;
  const containers = pods.get(key) ?? new Map<string, Draft>();
  pods.set(key, containers);
  const draft = containers.get(container) ?? {};
  containers.set(container, draft);
  return draft;
}

function counters({ at_ms, cpu_s, memory_bytes, startedAt_ms }: Draft, now_ms: number): Counters | undefined {
  if (cpu_s === undefined || memory_bytes === undefined) return undefined;
  return { at_ms: at_ms ?? now_ms, cpu_s, memory_bytes, startedAt_ms };
}

/** What was used over a time. */
export interface Usage {
  readonly cpu_cores: number;
  readonly memory_bytes: number;
  readonly at_ms: number;
  readonly window_ms: number;
}

/**
 * CPU between two samples, memory of the later one. A container that started in between is counted from its start; one
 * whose counter went back has begun anew and tells nothing yet (metrics-server's rules).
 */
export function usageBetween(before: Counters | undefined, now: Counters): Usage | undefined {
  const { startedAt_ms } = now;
  const isFresh = startedAt_ms !== undefined && (before === undefined || startedAt_ms > before.at_ms);
  const from = isFresh ? { at_ms: startedAt_ms, cpu_s: 0 } : before;
  if (from === undefined) return undefined;
  const window_ms = now.at_ms - from.at_ms;
  const used_s = now.cpu_s - from.cpu_s;
  if (window_ms <= 0 || used_s < 0) return undefined;
  return { cpu_cores: (used_s * 1000) / window_ms, memory_bytes: now.memory_bytes, at_ms: now.at_ms, window_ms };
}
