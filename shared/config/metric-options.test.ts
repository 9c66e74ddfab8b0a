import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { proxyOptions } from "./board-component-settings.ts";
import { apiServerOptions, controllerManagerOptions, schedulerOptions } from "./component-settings.ts";
import { metricOptions, metricRulesOf } from "./metric-options.ts";

const folder = mkdtempSync(join(tmpdir(), "metric-options-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { allowMetricLabels, disabledMetrics, showHiddenMetricsForVersion: hidden } = metricOptions;
const nothing = {
  showHiddenMetricsForVersion: "",
  disabledMetrics: [],
  allowMetricLabels: undefined,
  allowMetricLabelsManifest: "",
};
const unheard = (message: string): never => {
  throw new Error(message);
};

test("components have the flags that upstream's have", () => {
  for (const options of [apiServerOptions, controllerManagerOptions, schedulerOptions])
    expect(options).toMatchObject(metricOptions);
  expect(proxyOptions).toMatchObject({ showHiddenMetricsForVersion: hidden });
  expect(Object.keys(proxyOptions)).not.toContain("disabledMetrics");
});

test("without them there are no rules", () => {
  expect(metricRulesOf(nothing, unheard)).toBeUndefined();
});

test("values of labels are read as pflag reads a map of texts", () => {
  expect(allowMetricLabels.parse(["one,code=200,404", '"two,code=200,404","two,verb=GET"'])).toEqual({
    "one,code": "200,404",
    "two,code": "200,404",
    "two,verb": "GET",
  });
  expect(allowMetricLabels.parse({ "one,code": "200" })).toEqual({ "one,code": "200" });
  expect(() => allowMetricLabels.parse(["one"])).toThrow("one must be formatted as key=value");
  for (const wrong of ["one=200", "1one,code=200", "one,code,verb=200"])
    expect(() => allowMetricLabels.parse([wrong])).toThrow("--allow-metric-labels must have a list of kv pair");
});

test("only the version before this one shows hidden metrics", () => {
  expect([hidden.parse("1.34"), hidden.parse("")]).toEqual(["1.34", ""]);
  for (const wrong of ["1.35", "1.33", "v1.34", "1.34.0"])
    expect(() => hidden.parse(wrong)).toThrow(
      "--show-hidden-metrics-for-version must be omitted or have the value '1.34'. Only the previous minor version is allowed",
    );
});

test("flags come to rules", () => {
  const settings = {
    ...nothing,
    showHiddenMetricsForVersion: "1.34",
    disabledMetrics: disabledMetrics.parse("one,two"),
    allowMetricLabels: { "one,code": "200,404", "one,verb": "GET" },
  };
  expect(metricRulesOf(settings, unheard)).toEqual({
    disabled: new Set(["one", "two"]),
    showsHidden: true,
    allowed: new Map([
      [
        "one",
        new Map([
          ["code", new Set(["200", "404"])],
          ["verb", new Set(["GET"])],
        ]),
      ],
    ]),
  });
});

test("a manifest counts where the flag does not say anything, and one that is not right is told of", () => {
  const file = join(folder, "manifest.yaml");
  writeFileSync(file, "one,code: '200'\n");
  const rules = { disabled: new Set<string>(), showsHidden: false };
  const settings = { ...nothing, allowMetricLabelsManifest: file };
  expect(metricRulesOf(settings, unheard)).toEqual({
    ...rules,
    allowed: new Map([["one", new Map([["code", new Set(["200"])]])]]),
  });
  expect(metricRulesOf({ ...settings, allowMetricLabels: { "two,code": "1" } }, unheard)?.allowed.has("one")).toBe(
    false,
  );
  const told: string[] = [];
  writeFileSync(file, "one: [");
  expect(metricRulesOf(settings, (message) => told.push(message))).toBeUndefined();
  rmSync(file);
  expect(metricRulesOf(settings, (message) => told.push(message))).toBeUndefined();
  expect(told.map((message) => message.replace(/:.*/s, ""))).toEqual([
    "Failed to parse allow list manifest",
    "Failed to read allow list manifest",
  ]);
});
