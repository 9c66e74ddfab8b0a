import type { Family } from "#shared/metrics/prometheus-text.ts";
import type { ProbeCount } from "../../probes/probe-counts.ts";

/** /metrics/probes: how probes of the pods here went. */
export function probeFamilies(counts: readonly ProbeCount[]): Family[] {
  return [
    {
      name: "prober_probe_total",
      type: "counter",
      help: "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.",
      samples: counts.map(({ type, container, namespace, pod, podUid, result, count }) => ({
        labels: {
          container,
          namespace,
          pod,
          pod_uid: podUid,
          probe_type: `${type.slice(0, 1).toUpperCase()}${type.slice(1)}`,
          result,
        },
        value: count,
      })),
    },
  ];
}
