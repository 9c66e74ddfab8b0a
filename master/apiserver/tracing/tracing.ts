/** Where an API server's spans go, by --tracing-config-file. */
import type { Log } from "#shared/client/log.ts";
import { SpanExport } from "#shared/tracing/span-export.ts";
import { collectorUrl, readTracingConfiguration } from "#shared/tracing/tracing-configuration.ts";
import { RequestTracer } from "./request-tracer.ts";

export interface Tracing {
  readonly requests: RequestTracer;
  /** Sends what is left. */
  stop(): Promise<void>;
}

/** @param instance what this API server is called. Throws ConfigError. */
export function tracingOf(path: string, instance: string, log: Log): Tracing {
  const { endpoint, samplingRatePerMillion } = readTracingConfiguration(path);
  const resource = [
    ["service.name", "apiserver"],
    ["service.instance.id", instance],
  ] as const;
  const spans = new SpanExport(collectorUrl(endpoint), resource, (message) => log.error(message));
  return { requests: new RequestTracer(samplingRatePerMillion, (span) => spans.add(span)), stop: () => spans.stop() };
}
