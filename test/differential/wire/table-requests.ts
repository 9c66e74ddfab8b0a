/** How objects of every kind are shown in tables, as they are made and as their statuses change. All are dry runs. */
import { statuses } from "../updates/statuses.ts";
import { placesOf, withValue } from "./places.ts";
import type { Json, WireGroup, WireRequest } from "./request.ts";
import { collectionOf, type Held, held, placedObject } from "./world.ts";

const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
const query = "dryRun=All&includeObject=None&fieldValidation=Ignore";
const merge = "application/merge-patch+json";

/** What may stand in a place and be shown otherwise; some of it is refused. */
function others(value: unknown): readonly unknown[] {
  if (typeof value === "string") return [undefined, "", "other", "2024-01-01T00:00:00Z", "1500m"];
  if (typeof value === "number") return [undefined, 0, value + 1];
  if (typeof value === "boolean") return [undefined, !value];
  if (Array.isArray(value)) {
    const [first] = value as readonly unknown[];
    const named = (index: number): unknown => renamed(first, index);
    return [undefined, [], ...[2, 3, 4, 6].map((count) => Array.from({ length: count }, (_, index) => named(index)))];
  }
  return [undefined, {}];
}

/** The same item under another name, where it has one. */
function renamed(item: unknown, index: number): unknown {
  if (typeof item === "string") return `${item}${index}`;
  if (item === null || typeof item !== "object") return item;
  const names = Object.entries(item)
    .filter(
      ([key, value]) => /^(name|ip|port|type|key|host|path|request|username)$/.test(key) && typeof value !== "object",
    )
    .map(([key, value]) => [key, typeof value === "number" ? value + index : index === 0 ? value : `${value}${index}`]);
  return { ...item, ...Object.fromEntries(names) };
}

const asTable = (request: WireRequest): WireRequest => ({ ...request, headers: { ...request.headers, accept: table } });

function made({ sample, kind }: Held): readonly WireRequest[] {
  const object = placedObject(kind);
  return placesOf(object)
    .filter(({ path }) => path[0] !== "metadata" || path.length > 2)
    .flatMap(({ path, value }) =>
      others(value).map((other, index) =>
        asTable({
          name: `table of ${sample} ${path.join(".")} ${index}`,
          method: "POST",
          path: `${collectionOf(kind)}?${query}`,
          body: withValue(object, path, other),
        }),
      ),
    );
}

function changed({ sample, path: place, object }: Held): readonly WireRequest[] {
  const status = statuses[sample];
  if (!status) return [];
  const whole = { apiVersion: object["apiVersion"], kind: object["kind"], status };
  const show = (what: string, { status: body }: Json): WireRequest =>
    asTable({
      name: `table of ${sample} with ${what}`,
      method: "PATCH",
      path: `${place}/status?${query}`,
      headers: { "content-type": merge },
      body: { status: body },
    });
  return [
    show("its status", whole),
    ...placesOf(whole)
      .filter(({ path }) => path.length > 1)
      .flatMap(({ path, value }) =>
        others(value).map((other, index) => show(`${path.join(".")} ${index}`, withValue(whole, path, other))),
      ),
  ];
}

export const tableGroups: readonly WireGroup[] = [
  { name: "tables of what is made", requests: held.flatMap(made) },
  { name: "tables of statuses", requests: held.flatMap(changed) },
];
