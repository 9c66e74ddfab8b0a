/** Which metrics a process shows, as flags of its component say (k8s.io/component-base/metrics). */
import type { Family, Sample } from "./prometheus-text.ts";

export interface MetricRules {
  /** Full names of metrics that are not shown; they win over `showsHidden`. */
  readonly disabled: ReadonlySet<string>;
  /** Whether metrics are shown that upstream hides, since they were deprecated long ago. */
  readonly showsHidden: boolean;
  /** By a metric's full name, by its label: the values that are shown as they are. */
  readonly allowed: ReadonlyMap<string, AllowedLabels>;
}

export type AllowedLabels = ReadonlyMap<string, ReadonlySet<string>>;

/** What is shown in place of a value that is not allowed. */
const UNEXPECTED = "unexpected";
const unexpectedTotal = "cardinality_enforcement_unexpected_categorizations_total";

/** Metrics of upstream's v1.35 that are hidden there, and those that tell the same today. */
const hiddenMetrics = [
  {
    name: "apiserver_flowcontrol_request_concurrency_limit",
    of: "apiserver_flowcontrol_nominal_limit_seats",
    since: "1.30.0",
  },
  {
    name: "apiserver_flowcontrol_request_concurrency_in_use",
    of: "apiserver_flowcontrol_current_executing_seats",
    since: "1.31.0",
  },
  { name: "apiserver_request_slo_duration_seconds", of: "apiserver_request_sli_duration_seconds", since: "1.27.0" },
];

/** Of this process. */
let present: MetricRules | undefined;

/** What holds from now on; undefined: all is shown that is not hidden. */
export function useMetricRules(rules: MetricRules | undefined): void {
  present = rules;
}

/** What a process tells of its rules. The values that were not allowed are counted as they are shown. */
export const metricRuleFamilies = (): Family[] => [
  counter("disabled_metrics_total", "Metrics that are disabled.", present?.disabled.size ?? 0),
  counter(unexpectedTotal, "Values of labels that were not allowed.", 0),
];

const counter = (name: string, help: string, value: number): Family => ({
  name,
  type: "counter",
  help,
  samples: [{ labels: {}, value }],
});

/** The families as they are to be shown by the rules of this process. */
export const shownFamilies = (families: readonly Family[]): readonly Family[] =>
  present ? familiesBy(present, families) : families;

export function familiesBy(rules: MetricRules, families: readonly Family[]): readonly Family[] {
  const { disabled, showsHidden, allowed } = rules;
  let unexpected = 0;
  const all = showsHidden ? families.flatMap((family) => [family, ...hiddenOf(family)]) : families;
  const shown = all
    .filter(({ name }) => !disabled.has(name))
    .map((family) => {
      const labels = allowed.get(family.name);
      if (!labels) return family;
      const constrained = constrain(family, labels);
      unexpected += constrained.unexpected;
      return constrained.family;
    });
  return shown.map((family) =>
    family.name === unexpectedTotal ? counter(unexpectedTotal, family.help, unexpected) : family,
  );
}

const hiddenOf = (family: Family): Family[] =>
  hiddenMetrics
    .filter(({ of }) => of === family.name)
    .map(({ name, since }) => ({ ...family, name, help: `(Deprecated since ${since}) ${family.help}` }));

/** Series that are alike once their values are unexpected become one. */
function constrain(family: Family, allowed: AllowedLabels): { family: Family; unexpected: number } {
  const samples = new Map<string, Sample>();
  let unexpected = 0;
  for (const sample of family.samples) {
    const { labels, count } = constrainLabels(sample.labels, allowed);
    const isCount = family.type === "counter" || sample.suffix === "_count";
    if (isCount) unexpected += count * sample.value;
    const key = JSON.stringify([sample.suffix, labels]);
    const alike = family.type === "gauge" ? undefined : samples.get(key);
    samples.set(key, { ...sample, labels, value: sample.value + (alike?.value ?? 0) });
  }
  return { family: { ...family, samples: [...samples.values()] }, unexpected };
}

function constrainLabels(
  given: Sample["labels"],
  allowed: AllowedLabels,
): { labels: Record<string, string>; count: number } {
  let count = 0;
  const labels: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const isAllowed = allowed.get(name)?.has(value) ?? true;
    labels[name] = isAllowed ? value : UNEXPECTED;
    if (!isAllowed) count += 1;
  }
  return { labels, count };
}
