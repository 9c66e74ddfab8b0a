/** Usage over time: of a board from the history that it keeps, of a pod since the page was opened. */
import { lazy, Suspense } from "preact/compat";
import { useMemo, useState } from "preact/hooks";
import type { UsageSample } from "#master/metrics/board-history-resource.ts";
import { boardHistory, type Measure } from "../api/history.ts";
import type { Point } from "../api/usage.ts";
import type { Series } from "./chart.tsx";
import { useEvery } from "./hooks.ts";
import { bytesOf, coresOf } from "./words.ts";

// Large, and seldom needed: loaded when somebody opens one.
const Charts = lazy(() => import("./chart.tsx"));

const every_ms = 20_000;
const quarter_ms = 15 * 60_000;

const rateOf = (bytes: number): string => `${bytesOf(bytes)}/s`;
const measures: readonly (Omit<Series, "values"> & { readonly measure: Measure })[] = [
  { measure: "cpuCores", title: "CPU", color: "--chart-cpu", format: coresOf },
  { measure: "memoryBytes", title: "Memory", color: "--chart-memory", format: bytesOf, isBinary: true },
  { measure: "temperatureCelsius", title: "Temperature", color: "--chart-heat", format: (c) => `${Math.round(c)} °C` },
  { measure: "diskBytes", title: "Disk", color: "--chart-disk", format: bytesOf, isBinary: true },
  { measure: "receivedBytesPerSecond", title: "Received", color: "--chart-net", format: rateOf, isBinary: true },
  { measure: "sentBytesPerSecond", title: "Sent", color: "--chart-net", format: rateOf, isBinary: true },
];

/** @param fallback what the page has seen of it, for a board that keeps no history. */
export function BoardUsageCard({ name, fallback }: { readonly name: string; readonly fallback: readonly Point[] }) {
  const [history, setHistory] = useState<readonly UsageSample[]>([]);
  const [isLong, setLong] = useState(false);
  useEvery(
    every_ms,
    () => {
      // Without the right to read it, or from a board of an older version, there is what the page has seen itself.
      boardHistory(name).then(setHistory, () => setHistory([]));
    },
    name,
  );
  const hours = Math.round((Date.now() - Date.parse(history[0]?.time ?? "")) / 3_600_000);
  const shown = useMemo(() => {
    if (history.length === 0) return samplesOf(fallback);
    const from_ms = isLong ? 0 : Date.parse(history.at(-1)?.time ?? "") - quarter_ms;
    return history.filter(({ time }) => Date.parse(time) >= from_ms);
  }, [history, isLong, history.length === 0 ? fallback.length : 0]);
  return (
    <section class="card">
      <div class="row wrap">
        <h2>Usage</h2>
        {history.length > 0 && (
          <fieldset class="choice push">
            <legend class="hidden">Time shown</legend>
            <button type="button" aria-pressed={!isLong} onClick={() => setLong(false)}>
              15 minutes
            </button>
            <button type="button" aria-pressed={isLong} onClick={() => setLong(true)}>
              {hours > 1 ? `${hours} hours` : "All"}
            </button>
          </fieldset>
        )}
      </div>
      <Drawn samples={shown} name={name} />
    </section>
  );
}

export function PodUsageCard({ name, points }: { readonly name: string; readonly points: readonly Point[] }) {
  const samples = useMemo(() => samplesOf(points), [points.at(-1)?.at_s]);
  return (
    <section class="card">
      <h2>Usage</h2>
      <Drawn samples={samples} name={name} />
    </section>
  );
}

function Drawn({ samples, name }: { readonly samples: readonly UsageSample[]; readonly name: string }) {
  const times_s = useMemo(() => samples.map(({ time }) => Date.parse(time) / 1000), [samples]);
  const series = useMemo(
    () => measures.map(({ measure, ...each }) => ({ ...each, values: samples.map((one) => one[measure] ?? null) })),
    [samples],
  );
  if (samples.length === 0)
    return <p class="faint">No usage known yet. It is drawn from now on, a point every few seconds.</p>;
  return (
    <Suspense fallback={<p class="faint">Loading the chart…</p>}>
      <Charts times_s={times_s} series={series} label={name} />
    </Suspense>
  );
}

const samplesOf = (points: readonly Point[]): UsageSample[] =>
  points.map(({ at_s, cpu_cores, memory_bytes }) => ({
    time: new Date(at_s * 1000).toISOString(),
    cpuCores: cpu_cores,
    memoryBytes: memory_bytes,
  }));
