/** Which metrics a component shows: flags of k8s.io/component-base/metrics. */
import { readFileSync } from "node:fs";
import { parse as parseYaml } from "yaml";
import type { AllowedLabels, MetricRules } from "#shared/metrics/metric-rules.ts";
import { kubernetesVersion } from "#shared/version.ts";
import { ConfigError, type Option, text, texts, type ValuesOf } from "./option.ts";

type LabelValues = Readonly<Record<string, string>>;

const [major, minor] = kubernetesVersion.replace(/^v/, "").split(".");
const versionBefore = `${major}.${Number(minor) - 1}`;

/** Throws ConfigError for any but the version before this one. */
export function readHiddenVersion(value: unknown): string {
  if (value === "" || value === versionBefore) return value;
  throw new ConfigError(
    `--show-hidden-metrics-for-version must be omitted or have the value '${versionBefore}'. Only the previous minor version is allowed`,
  );
}

export const showHiddenMetricsForVersion: Option<string> = {
  ...text(
    "show-hidden-metrics-for-version",
    "VERSION",
    `${versionBefore}: show metrics too that are hidden since then`,
    "",
  ),
  parse: readHiddenVersion,
};

export const metricOptions = {
  showHiddenMetricsForVersion,
  disabledMetrics: texts("disabled-metrics", "METRIC", "full names of metrics that are not shown"),
  allowMetricLabels: {
    name: "allow-metric-labels",
    placeholder: "METRIC,LABEL=VALUE,…",
    description: "values of a metric's label that are shown; others become `unexpected`",
    fallback: undefined,
    repeatable: true,
    parse: readLabelValues,
  } as Option<LabelValues | undefined>,
  allowMetricLabelsManifest: text(
    "allow-metric-labels-manifest",
    "FILE",
    "such values in YAML; without effect beside --allow-metric-labels",
    "",
  ),
} as const;

/** What the settings come to; undefined where they say nothing. `log` hears why a manifest does not count. */
export function metricRulesOf(
  settings: ValuesOf<typeof metricOptions>,
  log: (message: string) => void,
): MetricRules | undefined {
  const { disabledMetrics, allowMetricLabels, allowMetricLabelsManifest: file } = settings;
  const showsHidden = settings.showHiddenMetricsForVersion !== "";
  const values = allowMetricLabels ?? (file === "" ? {} : readManifest(file, log));
  if (disabledMetrics.length === 0 && !showsHidden && Object.keys(values).length === 0) return undefined;
  return { disabled: new Set(disabledMetrics), showsHidden, allowed: allowedLabels(values) };
}

function allowedLabels(values: LabelValues): Map<string, AllowedLabels> {
  const allowed = new Map<string, Map<string, ReadonlySet<string>>>();
  for (const [key, list] of Object.entries(values)) {
    const [metric = "", label = ""] = key.split(",");
    const labels = allowed.get(metric) ?? new Map<string, ReadonlySet<string>>();
    allowed.set(metric, labels.set(label, new Set(list.split(","))));
  }
  return allowed;
}

/** As upstream, a component starts without what it cannot read. */
function readManifest(file: string, log: (message: string) => void): LabelValues {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    log(`Failed to read allow list manifest: ${(error as Error).message}`);
    return {};
  }
  try {
    return checkedValues(parseYaml(text) ?? {});
  } catch (error) {
    log(`Failed to parse allow list manifest: ${(error as Error).message}`);
    return {};
  }
}

/** As pflag reads a map of texts: one pair as it is, several as a line of comma-separated values, each in quotes where it has commas.
 *  In the config file a mapping too. */
function readLabelValues(value: unknown): LabelValues {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return checkedValues(value);
  const values: Record<string, string> = {};
  for (const given of Array.isArray(value) ? value : [value]) {
    const text = String(given);
    const pairs = text.split("=").length > 2 ? commaSeparated(text) : [text.replace(/^"+|"+$/g, "")];
    for (const pair of pairs) {
      const at = pair.indexOf("=");
      if (at < 0) throw new ConfigError(`--allow-metric-labels: ${pair} must be formatted as key=value`);
      values[pair.slice(0, at)] = pair.slice(at + 1);
    }
  }
  return checkedValues(values);
}

const labelOfMetric = /^[a-zA-Z_:][a-zA-Z0-9_:]*,[a-zA-Z_][a-zA-Z0-9_]*$/;

function checkedValues(values: object): LabelValues {
  for (const [key, list] of Object.entries(values))
    if (!labelOfMetric.test(key) || typeof list !== "string")
      throw new ConfigError(
        "--allow-metric-labels must have a list of kv pair with format `metricName,labelName=labelValue, labelValue,...`",
      );
  return values as LabelValues;
}

/** Fields of a line (RFC 4180). */
const commaSeparated = (line: string): string[] =>
  [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain = ""]) => quoted?.replaceAll('""', '"') ?? plain,
  );
