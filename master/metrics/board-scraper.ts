import { type BoardUsageSample, usageMeasures } from "#shared/board/usage-sample.ts";
import { requestOver } from "#shared/http/http-over-stream.ts";
import { readPrometheus } from "#shared/metrics/prometheus-text.ts";
import type { BoardDialer } from "../apiserver/connect/board-dialer.ts";
import type { WriteCounters } from "./disk-wear.ts";

const scrapeWithin_ms = 10_000;
/** A board with the most pods that Kubernetes plans for tells well under half of this. */
const longestAnswer_bytes = 4 * 1024 * 1024;

/** Asks a board's kubelet for one of its pages of figures, through the tunnel that the board keeps. */
export async function scrapeBoard(dialer: Pick<BoardDialer, "dial">, node: string, path: string): Promise<string> {
  const stream = await dialer.dial(node, { kind: "kubelet" });
  const late = setTimeout(
    () => stream.destroy(new Error(`no answer within ${scrapeWithin_ms / 1000} s`)),
    scrapeWithin_ms,
  );
  try {
    const answer = await requestOver(stream, { method: "GET", path, headers: ["Host", node] });
    const chunks: Buffer[] = [];
    let size_bytes = 0;
    for await (const chunk of answer.body) {
      size_bytes += (chunk as Buffer).length;
      if (size_bytes > longestAnswer_bytes) throw new Error(`node ${node}: the answer of ${path} is too long`);
      chunks.push(chunk as Buffer);
    }
    if (answer.status !== 200) throw new Error(`node ${node}: ${path} answered ${answer.status}`);
    return Buffer.concat(chunks).toString();
  } finally {
    clearTimeout(late);
    stream.destroy();
  }
}

/** What a board's /stats/history told; throws SyntaxError for what is none. A board of before does not have it, and tells
 *  its /stats/summary instead. */
export function readHistory(text: string): BoardUsageSample[] {
  const told: unknown = JSON.parse(text);
  if (!Array.isArray(told)) return [];
  return told.flatMap((each: unknown) => {
    const sample = (each ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof sample["at_ms"] !== "number") return [];
    const measured = usageMeasures.flatMap((measure) =>
      typeof sample[measure] === "number" ? [[measure, sample[measure]] as const] : [],
    );
    return [{ at_ms: sample["at_ms"], ...Object.fromEntries(measured) }];
  });
}

/** What a board's /metrics/board told. */
export interface BoardReport {
  readonly model: string;
  readonly cpus: number | undefined;
  readonly bootedAt_ms: number | undefined;
  readonly load1: number | undefined;
  readonly memory_bytes: number | undefined;
  readonly memoryAvailable_bytes: number | undefined;
  readonly disk_bytes: number | undefined;
  readonly diskAvailable_bytes: number | undefined;
  /** Of the hottest sensor. */
  readonly temperature_celsius: number | undefined;
  readonly undervoltage: boolean | undefined;
  readonly undervoltageSeen: boolean | undefined;
  readonly throttled: boolean | undefined;
  readonly writes: WriteCounters;
}

/** From a board's metrics in Prometheus' text; figures that it does not tell are undefined. */
export function readBoardReport(text: string): BoardReport {
  const values = new Map<string, number>();
  let model = "";
  readPrometheus(text, (name, { labels, value }) => {
    if (name === "bramble_board_info") model = labels["model"] ?? "";
    values.set(name, Math.max(value, values.get(name) ?? Number.NEGATIVE_INFINITY));
  });
  const isSet = (name: string): boolean | undefined => {
    const value = values.get(name);
    return value === undefined ? undefined : value === 1;
  };
  const booted_s = values.get("node_boot_time_seconds");
  return {
    model,
    cpus: values.get("bramble_board_cpus"),
    bootedAt_ms: booted_s === undefined ? undefined : booted_s * 1000,
    load1: values.get("node_load1"),
    memory_bytes: values.get("node_memory_MemTotal_bytes"),
    memoryAvailable_bytes: values.get("node_memory_MemAvailable_bytes"),
    disk_bytes: values.get("node_filesystem_size_bytes"),
    diskAvailable_bytes: values.get("node_filesystem_avail_bytes"),
    temperature_celsius: values.get("node_thermal_zone_temp"),
    undervoltage: isSet("bramble_board_undervoltage"),
    undervoltageSeen: isSet("bramble_board_undervoltage_seen"),
    throttled: isSet("bramble_board_throttled"),
    writes: {
      own_bytes: values.get("bramble_written_bytes"),
      ownFor_s: values.get("bramble_written_seconds"),
      device_bytes: values.get("node_disk_written_bytes_total"),
      deviceFor_s: values.get("bramble_board_disk_written_seconds"),
      deviceSize_bytes: values.get("bramble_board_disk_bytes"),
      lifeUsed_percent: values.get("bramble_board_disk_life_used_percent"),
      isWornOut: isSet("bramble_board_disk_worn_out"),
    },
  };
}
