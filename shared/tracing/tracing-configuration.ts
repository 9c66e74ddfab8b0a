/** TracingConfiguration (k8s.io/component-base/tracing/api/v1): where spans go, and how many. */
import { existsSync } from "node:fs";
import { configurationText, readDocument } from "../config/document.ts";
import type { Field } from "../config/field.ts";
import { ConfigError } from "../config/option.ts";
import { socketUrl } from "../grpc/socket-url.ts";

export interface TracingConfiguration {
  /** As gRPC names a server; undefined: the usual one on this machine. */
  readonly endpoint?: string | undefined;
  /** Of a million requests that say nothing of it themselves. */
  readonly samplingRatePerMillion: number;
}

const MILLION = 1_000_000;
const versions = ["v1", "v1beta1", "v1alpha1"].map((version) => `apiserver.config.k8s.io/${version}`);

/** Reads the file of --tracing-config-file. Throws ConfigError. */
export function readTracingConfiguration(path: string): TracingConfiguration {
  if (!existsSync(path)) throw new ConfigError(`tracing-config-file ${path} does not exist`);
  const read = readDocument(configurationText(path), path, "TracingConfiguration", (root) => {
    const { apiVersion, kind, ...fields } = root.fields(["apiVersion", "kind", "endpoint", "samplingRatePerMillion"]);
    apiVersion.choice("", versions);
    kind.choice("", ["TracingConfiguration"]);
    return configurationOf(fields);
  });
  const faults = [...rateFaults(read.samplingRatePerMillion), ...endpointFaults(read.endpoint)];
  if (faults.length === 0) return read;
  const told = faults.length === 1 ? faults[0] : `[${faults.join(", ")}]`;
  throw new ConfigError(`failed to validate tracing configuration: ${told}`);
}

const INT32 = { min: -(2 ** 31), max: 2 ** 31 - 1 };

const configurationOf = (fields: Record<"endpoint" | "samplingRatePerMillion", Field>): TracingConfiguration => ({
  endpoint: fields.endpoint.isAbsent ? undefined : fields.endpoint.text(),
  samplingRatePerMillion: fields.samplingRatePerMillion.integer(0, INT32),
});

const invalid = (field: string, value: unknown, why: string): string =>
  `${field}: Invalid value: ${JSON.stringify(value)}: ${why}`;

function rateFaults(rate: number): string[] {
  const field = "samplingRatePerMillion";
  if (rate < 0) return [invalid(field, rate, "sampling rate must be positive")];
  if (rate <= MILLION) return [];
  return [invalid(field, rate, "sampling rate per million must be less than or equal to one million")];
}

const schemes = new Set(["dns", "unix", "unix-abstract"]);

function endpointFaults(given: string | undefined): string[] {
  if (given === undefined) return [];
  const endpoint = given.includes("//") ? given : `dns://${given}`;
  const [, scheme = "", authority = ""] = /^(?:([a-zA-Z][-+.\w]*):)?\/\/([^/?#]*)/.exec(endpoint) ?? [];
  const [port] = /:[^:\]]*$/.exec(authority) ?? [];
  if (port !== undefined && !/^:\d*$/.test(port)) {
    const text = JSON.stringify(endpoint);
    return [invalid("endpoint", endpoint, `parse ${text}: invalid port ${JSON.stringify(port)} after host`)];
  }
  if (schemes.has(scheme.toLowerCase())) return [];
  const why = `unsupported scheme: ${scheme}.  Options are none, dns, unix, or unix-abstract.  See https://github.com/grpc/grpc/blob/master/doc/naming.md`;
  return [invalid("endpoint", endpoint, why)];
}

/** Where a gRPC client of ours finds it; without TLS, as upstream. */
export function collectorUrl(endpoint = "localhost:4317"): URL {
  const [, path] = /^unix:(?:\/\/)?(.*)$/.exec(endpoint) ?? [];
  if (path !== undefined) return socketUrl(path);
  const [, name] = /^unix-abstract:(?:\/\/)?(.*)$/.exec(endpoint) ?? [];
  if (name !== undefined) return new URL(`unix:///@${name}`);
  const host = endpoint.replace(/^dns:(\/\/[^/]*\/)?/, "");
  // gRPC's usual port, that of TLS, where none is named.
  return new URL(`http://${/:\d+$/.test(host) ? host : `${host}:443`}`);
}
