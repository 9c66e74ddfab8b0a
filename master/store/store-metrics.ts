/** How long a store takes with writes, under the names that upstream has for etcd, whichever store it is. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, HistogramTable } from "#shared/metrics/tables.ts";
import { KeyExistsError, RevisionMismatchError, type Store } from "./store.ts";

type Operation = "create" | "update" | "delete" | "get" | "list";

const labels = ["group", "resource", "operation"];

/** Upstream's, on which dashboards draw their lines. */
const bounds_s = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];

/** @param resourceOf of a key or prefix; undefined: what is no resource's is not counted. */
export class StoreMetrics {
  readonly #took = new HistogramTable(
    { name: "etcd_request_duration_seconds", help: "How long the store took with a request.", labels },
    bounds_s,
  );
  readonly #errors = new CounterTable({ name: "etcd_request_errors_total", help: "Requests that it failed.", labels });

  constructor(private readonly resourceOf: (key: string) => readonly [group: string, resource: string] | undefined) {}

  /** The same store, with the time taken. */
  measured(store: Store): Store {
    const timed = <T>(operation: Operation, key: string, work: Promise<T>): Promise<T> => {
      const began_ms = performance.now();
      const resource = this.resourceOf(key);
      if (!resource) return work;
      const values = [...resource, operation];
      const note = (): void => this.#took.observe((performance.now() - began_ms) / 1000, values);
      return work.then(
        (result) => {
          note();
          return result;
        },
        (error: unknown) => {
          note();
          // That another was first is an answer.
          if (!(error instanceof KeyExistsError || error instanceof RevisionMismatchError)) this.#errors.add(values);
          throw error;
        },
      );
    };
    return {
      isShared: store.isShared,
      get: (key) => timed("get", key, store.get(key)),
      list: (prefix, range) => timed("list", prefix, store.list(prefix, range)),
      create: (key, value) => timed("create", key, store.create(key, value)),
      update: (key, value, expected) => timed("update", key, store.update(key, value, expected)),
      delete: (key, expected) => timed("delete", key, store.delete(key, expected)),
      watch: (prefix, after, signal) => store.watch(prefix, after, signal),
      compact: (revision, how) => store.compact(revision, how),
      now: () => store.now(),
      oldest: (within) => store.oldest(within),
      close: () => store.close(),
      onReadable: store.onReadable?.bind(store),
      checks: store.checks,
    };
  }

  families(): Family[] {
    const took = this.#took.family();
    const counts = took.samples.filter(({ suffix }) => suffix === "_count");
    const requests: Family = {
      name: "etcd_requests_total",
      type: "counter",
      help: "Requests to the store.",
      samples: counts.map(({ labels: values, value }) => ({ labels: values, value })),
    };
    return [took, requests, this.#errors.family()];
  }
}
