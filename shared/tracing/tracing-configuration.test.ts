import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collectorUrl, readTracingConfiguration } from "./tracing-configuration.ts";

const folder = mkdtempSync(join(tmpdir(), "tracing-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = join(folder, "tracing.yaml");
function read(fields: string, head = "apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n") {
  writeFileSync(file, `${head}${fields}`);
  return readTracingConfiguration(file);
}

test("a file says where spans go, and how many", () => {
  expect(read("endpoint: collector:4317\nsamplingRatePerMillion: 100\n")).toEqual({
    endpoint: "collector:4317",
    samplingRatePerMillion: 100,
  });
  expect(read("", "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: TracingConfiguration\n")).toEqual({
    endpoint: undefined,
    samplingRatePerMillion: 0,
  });
});

test("what is not valid is told as upstream tells it", () => {
  const invalid = "failed to validate tracing configuration: ";
  const tooFew = "samplingRatePerMillion: Invalid value: -1: sampling rate must be positive";
  expect(() => read("samplingRatePerMillion: -1")).toThrow(`${invalid}${tooFew}`);
  expect(() => read("samplingRatePerMillion: 1000001")).toThrow(
    `${invalid}samplingRatePerMillion: Invalid value: 1000001: sampling rate per million must be less than or equal to one million`,
  );
  const scheme =
    'endpoint: Invalid value: "https://a:1": unsupported scheme: https.  Options are none, dns, unix, or unix-abstract.  See https://github.com/grpc/grpc/blob/master/doc/naming.md';
  expect(() => read("endpoint: https://a:1")).toThrow(`${invalid}${scheme}`);
  expect(() => read("endpoint: https://a:1\nsamplingRatePerMillion: -1")).toThrow(`${invalid}[${tooFew}, ${scheme}]`);
  expect(() => read("endpoint: a:b")).toThrow(
    `${invalid}endpoint: Invalid value: "dns://a:b": parse "dns://a:b": invalid port ":b" after host`,
  );
});

test("a file that is not there, or no such configuration, is refused", () => {
  expect(() => readTracingConfiguration("/nowhere")).toThrow("tracing-config-file /nowhere does not exist");
  expect(() => read("more: 1")).toThrow('unknown field "more"');
  expect(() => read("", "apiVersion: v1\nkind: Pod\n")).toThrow("is not a valid TracingConfiguration");
});

test("servers are named as gRPC names them", () => {
  const urls = {
    "collector:4317": "http://collector:4317/",
    "[::1]:4317": "http://[::1]:4317/",
    collector: "http://collector:443/",
    "dns:collector:4317": "http://collector:4317/",
    "dns:///collector:4317": "http://collector:4317/",
    "dns://10.0.0.1/collector:4317": "http://collector:4317/",
    "unix:/run/a b.sock": "unix:///run/a%20b.sock",
    "unix:///run/a.sock": "unix:///run/a.sock",
    "unix-abstract:name": "unix:///@name",
  };
  for (const [endpoint, url] of Object.entries(urls)) expect(collectorUrl(endpoint).href).toBe(url);
  expect(collectorUrl().href).toBe("http://localhost:4317/");
});
