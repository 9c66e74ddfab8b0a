/** How many objects there are of each kind, under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import type { ResourceTable } from "../registry/resource-table.ts";

export function objectFamilies(table: ResourceTable): Family[] {
  const counts = new Map<string, { readonly group: string; readonly resource: string; readonly value: number }>();
  for (const { declaration, stored } of table.all()) {
    const { group, plural } = declaration.ref;
    if (stored) counts.set(`${plural}.${group}`, { group, resource: plural, value: stored.cache.size });
  }
  const all = [...counts.values()];
  const qualified = ({ group, resource }: (typeof all)[number]): string =>
    group === "" ? resource : `${resource}.${group}`;
  return [
    {
      name: "apiserver_storage_objects",
      type: "gauge",
      help: "Objects by resource.",
      samples: all.map((each) => ({ labels: { resource: qualified(each) }, value: each.value })),
    },
    {
      name: "apiserver_resource_objects",
      type: "gauge",
      help: "Objects by group and resource.",
      samples: all.map(({ group, resource, value }) => ({ labels: { group, resource }, value })),
    },
  ];
}
