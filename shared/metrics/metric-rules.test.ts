import { afterEach, expect, test } from "bun:test";
import { type MetricRules, metricRuleFamilies, useMetricRules } from "./metric-rules.ts";
import { type Family, renderPrometheus } from "./prometheus-text.ts";

afterEach(() => useMetricRules(undefined));

const rules = (given: Partial<MetricRules>): MetricRules => ({
  disabled: new Set(),
  showsHidden: false,
  allowed: new Map(),
  ...given,
});
const requests: Family = {
  name: "requests_total",
  type: "counter",
  help: "Requests.",
  samples: [
    { labels: { code: "200", verb: "GET" }, value: 1 },
    { labels: { code: "404", verb: "GET" }, value: 2 },
    { labels: { code: "500", verb: "GET" }, value: 4 },
  ],
};

/** Samples alone. */
const shown = (families: readonly Family[]): string[] =>
  renderPrometheus(families)
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));

test("what is disabled is not shown", () => {
  useMetricRules(rules({ disabled: new Set(["requests_total"]) }));
  expect(shown([requests, ...metricRuleFamilies()])).toEqual([
    "disabled_metrics_total 1",
    "cardinality_enforcement_unexpected_categorizations_total 0",
  ]);
});

test("values that are not allowed are shown together, and counted", () => {
  useMetricRules(rules({ allowed: new Map([["requests_total", new Map([["code", new Set(["200"])]])]]) }));
  expect(shown([requests, { ...requests, name: "others_total" }, ...metricRuleFamilies()])).toEqual([
    'requests_total{code="200",verb="GET"} 1',
    'requests_total{code="unexpected",verb="GET"} 6',
    'others_total{code="200",verb="GET"} 1',
    'others_total{code="404",verb="GET"} 2',
    'others_total{code="500",verb="GET"} 4',
    "disabled_metrics_total 0",
    "cardinality_enforcement_unexpected_categorizations_total 6",
  ]);
});

test("histograms are added up bucket by bucket", () => {
  const samples = ["a", "b"].flatMap((verb, index) => [
    { labels: { verb, le: "1" }, value: 1, suffix: "_bucket" },
    { labels: { verb, le: "+Inf" }, value: 2, suffix: "_bucket" },
    { labels: { verb }, value: 0.5 + index, suffix: "_sum" },
    { labels: { verb }, value: 2, suffix: "_count" },
  ]);
  useMetricRules(rules({ allowed: new Map([["times", new Map([["verb", new Set(["c"])]])]]) }));
  const families: Family[] = [{ name: "times", type: "histogram", help: "", samples }];
  expect(shown([...families, ...metricRuleFamilies()])).toEqual([
    'times_bucket{verb="unexpected",le="1"} 2',
    'times_bucket{verb="unexpected",le="+Inf"} 4',
    'times_sum{verb="unexpected"} 2',
    'times_count{verb="unexpected"} 4',
    "disabled_metrics_total 0",
    "cardinality_enforcement_unexpected_categorizations_total 4",
  ]);
});

test("hidden metrics are shown beside those that came in their place, unless they are disabled", () => {
  const limits: Family = {
    name: "apiserver_flowcontrol_nominal_limit_seats",
    type: "gauge",
    help: "Seats.",
    samples: [{ labels: { priority_level: "system" }, value: 5 }],
  };
  const hidden = "apiserver_flowcontrol_request_concurrency_limit";
  expect(renderPrometheus([limits])).not.toContain(hidden);
  useMetricRules(rules({ showsHidden: true }));
  expect(renderPrometheus([limits])).toContain(
    `# HELP ${hidden} (Deprecated since 1.30.0) Seats.\n# TYPE ${hidden} gauge\n${hidden}{priority_level="system"} 5\n`,
  );
  useMetricRules(rules({ showsHidden: true, disabled: new Set([hidden]) }));
  expect(renderPrometheus([limits])).not.toContain(hidden);
});
