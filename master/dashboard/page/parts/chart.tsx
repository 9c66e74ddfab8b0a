import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Point } from "../api/usage.ts";
import { bytesOf, coresOf } from "./words.ts";

const height_px = 150;
/** A chart shows at least the last five minutes. */
const shortest_s = 300;

/** CPU and memory of a board or pod since the page was opened. */
export default function Charts({ points, label }: { readonly points: readonly Point[]; readonly label: string }) {
  const latest = points.at(-1);
  return (
    <div class="charts">
      <Chart
        title="CPU"
        label={`CPU of ${label}`}
        now={latest ? `${coresOf(latest.cpu_cores)} cores` : ""}
        data={[points.map(({ at_s }) => at_s), points.map(({ cpu_cores }) => cpu_cores)]}
        color="--chart-cpu"
        format={coresOf}
      />
      <Chart
        title="Memory"
        label={`Memory of ${label}`}
        now={latest ? bytesOf(latest.memory_bytes) : ""}
        data={[points.map(({ at_s }) => at_s), points.map(({ memory_bytes }) => memory_bytes)]}
        color="--chart-memory"
        format={bytesOf}
      />
    </div>
  );
}

interface ChartProps {
  readonly title: string;
  readonly label: string;
  /** The present value in words. */
  readonly now: string;
  readonly data: [number[], number[]];
  /** A custom property of the style sheet. */
  readonly color: string;
  format(value: number): string;
}

function Chart({ title, label, now, data, color, format }: ChartProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const style = getComputedStyle(element);
    const line = style.getPropertyValue(color);
    const faint = style.getPropertyValue("--text-faint");
    const grid = { stroke: style.getPropertyValue("--line"), width: 1 };
    const axis = { stroke: faint, grid, ticks: grid, font: "11px system-ui, sans-serif" };
    plot.current = new uPlot(
      {
        width: element.clientWidth,
        height: height_px,
        legend: { show: false },
        cursor: { y: false },
        scales: {
          x: { range: (plot) => spanOfPoints(plot.data[0]) },
          y: { range: (_, __, most) => [0, most > 0 ? most * 1.15 : 1] },
        },
        series: [{}, { stroke: line, width: 2, fill: `${line}22`, points: { show: data[0].length < 2 } }],
        axes: [axis, { ...axis, size: 64, values: (_, values) => values.map(format) }],
      },
      data,
      element,
    );
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: height_px }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
    };
  }, [color, format]);
  useEffect(() => plot.current?.setData(data), [data]);
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span>
        <strong class="number">{now}</strong>
      </figcaption>
      <div ref={holder} role="img" aria-label={`${label}: ${now || "no value yet"}`} />
    </figure>
  );
}

function spanOfPoints(times_s: ArrayLike<number>): [number, number] {
  const last_s = times_s[times_s.length - 1] ?? Date.now() / 1000;
  return [Math.min(times_s[0] ?? last_s, last_s - shortest_s), last_s];
}
