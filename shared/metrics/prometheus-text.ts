/** Prometheus' text format, as boards write it and the master reads it back. */
import { shownFamilies } from "./metric-rules.ts";

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** When it was measured, in ms since 1970; absent: when it was read. */
  readonly at_ms?: number | undefined;
  /** Behind the family's name: `_bucket`, `_sum` and `_count` of a histogram. */
  readonly suffix?: string | undefined;
}

export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram" | "summary";
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** Families without a sample are left out. */
export function renderPrometheus(families: readonly Family[]): string {
  return shownFamilies(families)
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, type, help, samples }) =>
      [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples.map((sample) => line(name, sample)), ""].join(
        "\n",
      ),
    )
    .join("");
}

function line(name: string, { labels, value, at_ms, suffix = "" }: Sample): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
  const where = pairs.length > 0 ? `{${pairs.join(",")}}` : "";
  return `${name}${suffix}${where} ${numberText(value)}${at_ms === undefined ? "" : ` ${Math.round(at_ms)}`}`;
}

const numberText = (value: number): string =>
  Math.abs(value) === Number.POSITIVE_INFINITY ? `${value < 0 ? "-" : "+"}Inf` : String(value);

const escaped = (text: string): string => text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");

const linePattern = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+(-?\d+))?\s*$/;
const labelPattern = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Calls `found` with each sample; comments and what is no sample are passed over. */
export function readPrometheus(text: string, found: (name: string, sample: Sample) => void): void {
  for (const each of text.split("\n")) {
    if (each === "" || each.startsWith("#")) continue;
    const [, name, labelText = "", value = "", at] = linePattern.exec(each) ?? [];
    if (name === undefined) continue;
    const labels: Record<string, string> = {};
    for (const [, key = "", quoted = ""] of labelText.matchAll(labelPattern))
      labels[key] = quoted.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
    found(name, { labels, value: Number(value), ...(at === undefined ? {} : { at_ms: Number(at) }) });
  }
}
