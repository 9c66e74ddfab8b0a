/** What a board used at a time, as it tells it at /stats/history. What it cannot measure is left out. */
export interface BoardUsageSample {
  readonly at_ms: number;
  /** Means since the sample before. */
  readonly cpu_cores?: number;
  readonly received_bytesPerS?: number;
  readonly sent_bytesPerS?: number;
  readonly memoryUsed_bytes?: number;
  readonly diskUsed_bytes?: number;
  /** Of its hottest sensor. */
  readonly temperature_celsius?: number;
}

/** In the order in which a history keeps them. */
export const usageMeasures = [
  "cpu_cores",
  "received_bytesPerS",
  "sent_bytesPerS",
  "memoryUsed_bytes",
  "diskUsed_bytes",
  "temperature_celsius",
] as const satisfies readonly Exclude<keyof BoardUsageSample, "at_ms">[];
