import type { Family } from "#shared/metrics/prometheus-text.ts";

/** What a family tells, by its labels' values joined by a space; of a histogram how often something was seen. */
export function told({ samples, type }: Family): Record<string, number> {
  const shown = samples.filter(({ suffix, value }) => value > 0 && (type !== "histogram" || suffix === "_count"));
  return Object.fromEntries(shown.map(({ labels, value }) => [Object.values(labels).join(" "), value]));
}
