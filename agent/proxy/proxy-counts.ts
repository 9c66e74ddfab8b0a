import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { type Clock, systemClock } from "#shared/client/clock.ts";
import { gaugeFamily } from "#shared/metrics/process-families.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, exponential, HistogramTable } from "#shared/metrics/tables.ts";
import type { IpFamily } from "#shared/net/ip-family.ts";

const triggerTime = "endpoints.kubernetes.io/last-change-trigger-time";
const labels = ["ip_family"] as const;
const steps = (first: number, step: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => first + step * index);
/** So many changes between two syncs are measured, of each family: more come at once only where a whole cluster changes. */
const mostTriggers = 1000;

/** How long a board takes to make Services work, and after what, under upstream's names. */
export class ProxyCounts {
  readonly #syncs = new HistogramTable(
    { name: "kubeproxy_sync_proxy_rules_duration_seconds", help: "How long one round of rules took.", labels },
    exponential(0.001, 2, 15),
  );
  readonly #programming = new HistogramTable(
    {
      name: "kubeproxy_network_programming_duration_seconds",
      help: "From a change of a Service or pod until the rules had it, by the clocks of two boards.",
      labels,
    },
    [...steps(0.25, 0.25, 2), ...steps(1, 1, 59), ...steps(60, 5, 12), ...steps(120, 30, 7)],
  );
  readonly #serviceChanges = new CounterTable({
    name: "kubeproxy_sync_proxy_rules_service_changes_total",
    help: "Changes of Services that were seen.",
    labels: [],
  });
  readonly #endpointChanges = new CounterTable({
    name: "kubeproxy_sync_proxy_rules_endpoint_changes_total",
    help: "Changes of EndpointSlices that were seen.",
    labels: [],
  });
  readonly #pending = { service: 0, endpoint: 0 };
  readonly #triggers_ms: Record<IpFamily, number[]> = { IPv4: [], IPv6: [] };
  readonly #appliedAt_s = new Map<IpFamily, number>();
  #queuedAt_s: number | undefined;
  readonly #began_ms: number;

  /** @param served which families there are rules for */
  constructor(
    private readonly served: readonly IpFamily[],
    private readonly clock: Clock = systemClock,
  ) {
    this.#began_ms = clock.wall_ms();
  }

  serviceChanged(): void {
    this.#serviceChanges.add();
    this.#pending.service += 1;
    this.queued();
  }

  /** @param before what it was, unless it is new or gone */
  sliceChanged({ metadata, addressType }: EndpointSlice, before?: EndpointSlice): void {
    this.#endpointChanges.add();
    this.#pending.endpoint += 1;
    this.queued();
    const said = metadata.annotations?.[triggerTime];
    if (said === undefined || said === before?.metadata.annotations?.[triggerTime] || addressType === "FQDN") return;
    const at_ms = Date.parse(said);
    const due = this.#triggers_ms[addressType as IpFamily];
    // What had happened before the proxy began says nothing of how fast it is.
    if (at_ms > this.#began_ms && due.length < mostTriggers) due.push(at_ms);
  }

  /** The rules are to be looked at. */
  queued(): void {
    this.#queuedAt_s = this.clock.wall_ms() / 1000;
  }

  /** What was seen until now is taken up. */
  begun(): void {
    this.#pending.service = 0;
    this.#pending.endpoint = 0;
  }

  /** Runs and measures one round of a family's rules. */
  async syncing(family: IpFamily, run: () => Promise<void>): Promise<void> {
    const began_ms = this.clock.now_ms();
    const due = this.#triggers_ms[family].splice(0);
    try {
      await run();
    } catch (error) {
      const later = this.#triggers_ms[family];
      later.unshift(...due.slice(0, mostTriggers - later.length));
      throw error;
    } finally {
      this.#syncs.observe((this.clock.now_ms() - began_ms) / 1000, [family]);
    }
    const now_ms = this.clock.wall_ms();
    this.#appliedAt_s.set(family, now_ms / 1000);
    for (const at_ms of due) this.#programming.observe((now_ms - at_ms) / 1000, [family]);
  }

  families(): Family[] {
    const queuedAt_s = this.#queuedAt_s;
    const ofFamily = ([ip_family, value]: readonly [string, number]) => ({ labels: { ip_family }, value });
    const pending = (kind: "service" | "endpoint", help: string): Family =>
      gaugeFamily(`kubeproxy_sync_proxy_rules_${kind}_changes_pending`, help, [
        { labels: {}, value: this.#pending[kind] },
      ]);
    return [
      this.#syncs.family(),
      this.#programming.family(),
      gaugeFamily(
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
        "When the rules last were as the API wants them.",
        [...this.#appliedAt_s].map(ofFamily),
      ),
      gaugeFamily(
        "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
        "When it was last found that they are to be looked at.",
        queuedAt_s === undefined ? [] : this.served.map((family) => ofFamily([family, queuedAt_s])),
      ),
      this.#serviceChanges.family(),
      pending("service", "Changes of Services that no round of rules has taken up."),
      this.#endpointChanges.family(),
      pending("endpoint", "Changes of EndpointSlices that no round of rules has taken up."),
    ];
  }
}
