import { gaugeFamily } from "#shared/metrics/process-families.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable } from "#shared/metrics/tables.ts";
import type { ZoneCount } from "./eviction-pace.ts";

/** What the node controller tells of each zone, under upstream's names. */
export class ZoneCounts {
  readonly #evictions = new CounterTable({
    name: "node_collector_evictions_total",
    help: "Nodes whose pods were begun to be evicted.",
    labels: ["zone"],
  });

  evicted(zone: string): void {
    this.#evictions.add([zone]);
  }

  families(zones: ReadonlyMap<string, ZoneCount>): Family[] {
    const gauge = (name: string, help: string, of: (zone: ZoneCount) => number): Family =>
      gaugeFamily(
        `node_collector_${name}`,
        help,
        [...zones].map(([zone, count]) => ({ labels: { zone: zoneLabel(zone) }, value: of(count) })),
      );
    // Told before there is anything to tell: rates are taken from what was 0.
    for (const zone of zones.keys()) this.#evictions.add([zone], 0);
    const evictions = this.#evictions.family();
    return [
      gauge("zone_health", "Percentage of nodes that are well.", ({ nodes, well }) => (100 * well) / nodes),
      gauge("zone_size", "Nodes.", ({ nodes }) => nodes),
      gauge("unhealthy_nodes_in_zone", "Nodes that are not well.", ({ nodes, well }) => nodes - well),
      {
        ...evictions,
        samples: evictions.samples.map(({ labels: { zone = "" }, value }) => ({
          labels: { zone: zoneLabel(zone) },
          value,
        })),
      },
    ];
  }
}

/** Upstream's key of a zone: region and zone, with a separator that no label has in it; empty where there are neither. */
function zoneLabel(zone: string): string {
  const [region = "", name = ""] = zone.split("/");
  return region === "" && name === "" ? "" : `${region}:\0:${name}`;
}
