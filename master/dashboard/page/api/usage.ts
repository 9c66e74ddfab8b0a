/** Usage by metrics.k8s.io: asked while somebody looks, and kept for the charts as long as the page is open. */
import { ApiError, getJson } from "./request.ts";

export interface Point {
  readonly at_s: number;
  readonly cpu_cores: number;
  readonly memory_bytes: number;
}

interface Metrics {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly timestamp: string;
  readonly usage?: Amounts;
  readonly containers?: readonly { readonly name: string; readonly usage: Amounts }[];
}
interface Amounts {
  readonly cpu: string;
  readonly memory: string;
}

const every_ms = 15_000;
const pointsKept = 240;
const seriesKept = 400;
const history = new Map<string, Point[]>();

/** The points of a board (`nodes/NAME`) or pod (`pods/NAMESPACE/NAME`), oldest first. */
export const historyOf = (key: string): readonly Point[] => history.get(key) ?? [];

export type Usage = ReadonlyMap<string, Point>;

/**
 * Asks `path` below metrics.k8s.io/v1beta1 now and every 15 s. Gives a function that ends it. `show` gets the present
 * values by key; undefined where the cluster has no metrics API, or this user may not read it.
 */
export function followUsage(path: string, show: (usage: Usage | undefined) => void): () => void {
  let ended = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const aborter = new AbortController();
  const ask = async (): Promise<void> => {
    if (!document.hidden) {
      try {
        const answer = await getJson<{ items?: Metrics[] } & Metrics>(`/apis/metrics.k8s.io/v1beta1/${path}`, {
          signal: aborter.signal,
        });
        const usage = new Map((answer.items ?? [answer]).map((each) => [keyOf(each, path), pointOf(each)]));
        for (const [key, point] of usage) remember(key, point);
        if (!ended) show(usage);
      } catch (error) {
        if (ended) return;
        show(undefined);
        // A pod that has just started tells nothing yet; a right that is missing stays missing.
        if (error instanceof ApiError && error.isForbidden) return;
      }
    }
    if (!ended) timer = setTimeout(ask, every_ms);
  };
  void ask();
  return () => {
    ended = true;
    aborter.abort();
    clearTimeout(timer);
  };
}

function keyOf({ metadata }: Metrics, path: string): string {
  return path.startsWith("nodes") ? `nodes/${metadata.name}` : `pods/${metadata.namespace}/${metadata.name}`;
}

function pointOf({ timestamp, usage, containers = [] }: Metrics): Point {
  const amounts = usage ? [usage] : containers.map((each) => each.usage);
  return {
    at_s: Date.parse(timestamp) / 1000,
    cpu_cores: amounts.reduce((sum, { cpu }) => sum + amountOf(cpu), 0),
    memory_bytes: amounts.reduce((sum, { memory }) => sum + amountOf(memory), 0),
  };
}

function remember(key: string, point: Point): void {
  const points = history.get(key) ?? [];
  if (points.at(-1)?.at_s === point.at_s) return;
  points.push(point);
  if (points.length > pointsKept) points.shift();
  // Asked last, forgotten last.
  history.delete(key);
  history.set(key, points);
  const oldest = history.keys().next().value;
  if (history.size > seriesKept && oldest !== undefined) history.delete(oldest);
}

const suffixes: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** A quantity as a number; enough for what is drawn. */
export function amountOf(quantity: string | number | undefined): number {
  const [, digits = "0", suffix = ""] = /^([\d.]+(?:[eE][-+]?\d+)?)([a-zA-Z]*)$/.exec(String(quantity ?? 0)) ?? [];
  return Number(digits) * (suffixes[suffix] ?? 1);
}
