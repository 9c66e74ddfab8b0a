import { expect, test } from "bun:test";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { ProxyCounts } from "./proxy-counts.ts";

const slice = (changedAt_ms: number, addressType = "IPv4"): EndpointSlice => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: {
    name: "web",
    annotations: { "endpoints.kubernetes.io/last-change-trigger-time": new Date(changedAt_ms).toISOString() },
  },
  addressType,
  endpoints: [],
});

const linesOf = (counts: ProxyCounts): string[] =>
  renderPrometheus(counts.families())
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));

test("how long a change takes to reach the rules is measured once they have it, and once", async () => {
  const clock = new ManualClock();
  const counts = new ProxyCounts(["IPv4"], clock);
  const first = slice(clock.wall_ms() + 1000);
  counts.sliceChanged(slice(clock.wall_ms() - 5000));
  counts.sliceChanged(first);
  counts.sliceChanged(first, first);
  counts.serviceChanged();
  expect(linesOf(counts)).toContain("kubeproxy_sync_proxy_rules_endpoint_changes_pending 3");
  await clock.advance(3000);
  counts.begun();
  const failing = counts.syncing("IPv4", () => Promise.reject(new Error("the kernel is busy")));
  await expect(failing).rejects.toThrow("busy");
  expect(linesOf(counts).join("\n")).not.toContain("network_programming");
  await counts.syncing("IPv4", async () => clock.advance(250));
  const now_s = clock.wall_ms() / 1000;
  const seen = linesOf(counts);
  expect(seen).toEqual(
    expect.arrayContaining([
      'kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="0.256"} 2',
      'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"} 2',
      'kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv4",le="2"} 0',
      'kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv4",le="3"} 1',
      'kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv4",le="300"} 1',
      'kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"} 1',
      `kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} ${now_s}`,
      `kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv4"} ${now_s - 3.25}`,
      "kubeproxy_sync_proxy_rules_service_changes_total 1",
      "kubeproxy_sync_proxy_rules_service_changes_pending 0",
      "kubeproxy_sync_proxy_rules_endpoint_changes_total 3",
      "kubeproxy_sync_proxy_rules_endpoint_changes_pending 0",
    ]),
  );
  await counts.syncing("IPv4", async () => undefined);
  expect(linesOf(counts)).toContain('kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"} 1');
});

test("a change of names is no change of rules", async () => {
  const clock = new ManualClock();
  const counts = new ProxyCounts(["IPv4", "IPv6"], clock);
  counts.sliceChanged(slice(clock.wall_ms() + 1000, "FQDN"));
  counts.sliceChanged(slice(clock.wall_ms() + 1000, "IPv6"));
  await clock.advance(2000);
  for (const family of ["IPv4", "IPv6"] as const) await counts.syncing(family, async () => undefined);
  const seen = linesOf(counts).filter((line) =>
    line.startsWith("kubeproxy_network_programming_duration_seconds_count"),
  );
  expect(seen).toEqual(['kubeproxy_network_programming_duration_seconds_count{ip_family="IPv6"} 1']);
});
