import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { minuteOf, timeOf } from "./words.ts";

const height_px = 150;
/** A chart shows at least the last five minutes. */
const shortest_s = 300;
/** Rows of the table beside the charts. */
const tableRows = 60;

/** One measure over time. */
export interface Series {
  readonly title: string;
  /** A custom property of the style sheet. */
  readonly color: string;
  /** By time; null where nothing was measured. */
  readonly values: readonly (number | null)[];
  /** Whether the axis has round numbers of bytes. */
  readonly isBinary?: boolean;
  format(value: number): string;
}

const powersOfTwo = Array.from({ length: 50 }, (_, power) => 2 ** power);

interface ChartsProps {
  readonly times_s: readonly number[];
  readonly series: readonly Series[];
  /** Whose usage it is. */
  readonly label: string;
}

/** A chart for each measure, and the same as a table for whoever does not see them. */
export default function Charts({ times_s, series, label }: ChartsProps) {
  const shown = series.filter(({ values }) => values.some((value) => value !== null));
  return (
    <>
      <div class="charts">
        {shown.map((each) => (
          <Chart key={each.title} times_s={times_s} series={each} label={label} />
        ))}
      </div>
      <details class="figures">
        <summary>As a table</summary>
        <Figures times_s={times_s} series={shown} label={label} />
      </details>
    </>
  );
}

function Chart({ times_s, series, label }: Omit<ChartsProps, "series"> & { readonly series: Series }) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const { title, color, values, format, isBinary = false } = series;
  const data = useMemo((): uPlot.AlignedData => [[...times_s], [...values]], [times_s, values]);
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    // Asked for each drawing: the theme may have changed.
    const tone = (name: string) => (): string => getComputedStyle(element).getPropertyValue(name);
    const line = tone(color);
    const grid = { stroke: tone("--line"), width: 1 };
    const axis = { stroke: tone("--text-faint"), grid, ticks: grid, font: "11px system-ui, sans-serif" };
    plot.current = new uPlot(
      {
        width: element.clientWidth,
        height: height_px,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: {
          x: { range: (plot) => spanOfPoints(plot.data[0]) },
          y: { range: (_, __, most) => [0, most > 0 ? most * 1.15 : 1] },
        },
        series: [{}, { stroke: line, width: 2, fill: () => `${line()}22`, spanGaps: false }],
        axes: [
          { ...axis, size: 30, space: 70, values: (_, marks) => marks.map((at_s) => minuteOf(at_s * 1000)) },
          {
            ...axis,
            size: 72,
            space: 28,
            values: (_, marks) => marks.map(format),
            ...(isBinary ? { incrs: powersOfTwo } : {}),
          },
        ],
      },
      data,
      element,
    );
    const sizes = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: height_px }));
    sizes.observe(element);
    const themes = new MutationObserver(() => plot.current?.redraw(false));
    themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      sizes.disconnect();
      themes.disconnect();
      plot.current?.destroy();
    };
  }, [color, format, isBinary]);
  useEffect(() => plot.current?.setData(data), [data]);
  const { now, span } = inWords(values, format);
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span>
        <strong class="number">{now}</strong>
        <span class="faint number push">{span}</span>
      </figcaption>
      <div ref={holder} role="img" aria-label={`${title} of ${label}: ${now || "no value yet"} now; ${span}`} />
    </figure>
  );
}

function Figures({ times_s, series, label }: ChartsProps) {
  const step = Math.max(1, Math.ceil(times_s.length / tableRows));
  const rows = times_s.map((_, index) => index).filter((index) => (times_s.length - 1 - index) % step === 0);
  return (
    <div class="figures-table">
      <table>
        <caption class="hidden">Usage of {label}, latest first</caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {series.map(({ title }) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.reverse().map((index) => (
            <tr key={times_s[index]}>
              <th scope="row">{timeOf((times_s[index] ?? 0) * 1000)}</th>
              {series.map(({ title, values, format }) => (
                <td key={title} class="number">
                  {values[index] == null ? "–" : format(values[index])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The present value and the span of all of them. */
function inWords(values: Series["values"], format: Series["format"]): { now: string; span: string } {
  const known = values.filter((value) => value !== null);
  const latest = known.at(-1);
  if (latest === undefined) return { now: "", span: "" };
  return { now: format(latest), span: `${format(Math.min(...known))} to ${format(Math.max(...known))}` };
}

function spanOfPoints(times_s: ArrayLike<number>): [number, number] {
  const last_s = times_s[times_s.length - 1] ?? Date.now() / 1000;
  return [Math.min(times_s[0] ?? last_s, last_s - shortest_s), last_s];
}
