/** What is counted of key services and of changes of the EncryptionConfiguration, under upstream's names. */
import { hostname } from "node:os";
import { BoundedMap } from "#shared/compact/bounded-map.ts";
import { grpcCodeName } from "#shared/grpc/grpc-error.ts";
import { gaugeFamily } from "#shared/metrics/process-families.ts";
import type { Family, Sample } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, exponential, HistogramTable } from "#shared/metrics/tables.ts";
import { hashOf } from "./envelope.ts";

/** Keys of which something is told; upstream's bound. */
const mostKeys = 100;

type Direction = "from_storage" | "to_storage";

/** The newest time of each of some labels. */
class Times {
  readonly #samples = new BoundedMap<Sample>(mostKeys);

  now(labels: Readonly<Record<string, string>>): void {
    this.#samples.set(Object.values(labels).join("\n"), { labels, value: Date.now() / 1000 });
  }

  samples(): Sample[] {
    return [...this.#samples.entries()].map(([, sample]) => sample);
  }
}

const prefix = "apiserver_envelope_encryption";
const reloadPrefix = "apiserver_encryption_config_controller_automatic";
const apiserver_id_hash = hashOf(`apiserver-${hostname()}`);

const latencies = new HistogramTable(
  {
    name: `${prefix}_kms_operations_latency_seconds`,
    help: "How long key services took with calls.",
    labels: ["provider_name", "method_name", "grpc_status_code"],
  },
  exponential(0.0001, 2, 20),
);
const uses = new CounterTable({
  name: `${prefix}_key_id_hash_total`,
  help: "Values that were encrypted and decrypted, by key.",
  labels: ["transformation_type", "provider_name", "key_id_hash", "apiserver_id_hash"],
});
const invalidKeyIds = new CounterTable({
  name: `${prefix}_invalid_key_id_from_status_total`,
  help: "Key IDs of key services that are none.",
  labels: ["provider_name", "error"],
});
const misses = new CounterTable({
  name: "apiserver_storage_envelope_transformation_cache_misses_total",
  help: "Data keys that had to be asked for.",
  labels: [],
});
const reloads = new CounterTable({
  name: `${reloadPrefix}_reloads_total`,
  help: "Changes of the encryption configuration that were taken and that were not.",
  labels: ["status", "apiserver_id_hash"],
});
const lastUses = new Times();
const lastReloads = new Times();
const lastKeys = new Times();
const cached = new Map<string, number>();

/** Of a changed EncryptionConfiguration: does what it says hold now? */
export function reloaded(status: "success" | "failure"): void {
  reloads.add([status, apiserver_id_hash]);
  lastReloads.now({ status, apiserver_id_hash });
}

export const kmsMetrics = {
  called: (provider: string, method: string, code: number, duration_s: number): void =>
    latencies.observe(duration_s, [provider, method, grpcCodeName(code)]),

  used(transformation_type: Direction, provider_name: string, keyId: string): void {
    const labels = { transformation_type, provider_name, key_id_hash: hashOf(keyId), apiserver_id_hash };
    uses.add(Object.values(labels));
    lastUses.now(labels);
  },

  toldKeyId: (provider_name: string, keyId: string): void =>
    lastKeys.now({ provider_name, key_id_hash: hashOf(keyId), apiserver_id_hash }),

  invalidKeyId: (provider: string, code: string): void => invalidKeyIds.add([provider, code]),

  missed: (): void => misses.add(),

  cached: (provider: string, count: number): void => void cached.set(provider, count),
};

export function encryptionFamilies(): Family[] {
  return [
    reloads.family(),
    gaugeFamily(
      `${reloadPrefix}_reload_last_timestamp_seconds`,
      "When one was last taken or not.",
      lastReloads.samples(),
    ),
    latencies.family(),
    uses.family(),
    invalidKeyIds.family(),
    misses.family(),
    gaugeFamily(`${prefix}_key_id_hash_last_timestamp_seconds`, "When a key was last used.", lastUses.samples()),
    gaugeFamily(
      `${prefix}_key_id_hash_status_last_timestamp_seconds`,
      "When a key service last named a key as its present one.",
      lastKeys.samples(),
    ),
    gaugeFamily(
      `${prefix}_dek_source_cache_size`,
      "Data keys in memory.",
      [...cached].map(([provider_name, value]) => ({ labels: { provider_name }, value })),
    ),
  ];
}
