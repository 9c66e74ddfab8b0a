/** Cells that many kinds' tables share (pkg/printers/internalversion of upstream). */
import type { KubeObject } from "#shared/api/object.ts";
import type { Container } from "#shared/api/types/core-v1.generated.ts";
import type { LabelSelector } from "#shared/api/types/meta-v1.generated.ts";
import type { TableColumn } from "../registry/declaration.ts";

type Cell<T> = { value(object: T): string | number | boolean | undefined }["value"];

export const nameColumn: TableColumn<KubeObject> = {
  name: "Name",
  type: "string",
  format: "name",
  value: (object) => object.metadata.name,
};

export const ageColumn: TableColumn<KubeObject> = {
  name: "Age",
  type: "date",
  value: (object) => object.metadata.creationTimestamp,
};

export function column<T>(name: string, value: Cell<T>, options: { readonly format?: string } = {}): TableColumn<T> {
  return { name, type: "string", value, ...options };
}
export function integerColumn<T>(name: string, value: Cell<T>): TableColumn<T> {
  return { name, type: "integer", value };
}
export function booleanColumn<T>(name: string, value: Cell<T>): TableColumn<T> {
  return { name, type: "boolean", value };
}
/** Shown with `-o wide` only. */
export function wideColumn<T>(name: string, value: Cell<T>): TableColumn<T> {
  return { name, type: "string", priority: 1, value };
}

/** Containers, Images and Selector: the wide columns of everything that has a pod template. */
export function containerColumns<T>(containersOf: (object: T) => readonly Container[] | undefined): TableColumn<T>[] {
  return [
    wideColumn("Containers", (object) => (containersOf(object) ?? []).map(({ name }) => name).join(",")),
    wideColumn("Images", (object) => (containersOf(object) ?? []).map(({ image }) => image ?? "").join(",")),
  ];
}

/** `a=b,c=d`, sorted; `<none>` for no labels. */
export function formatLabels(labels: Readonly<Record<string, string>> | undefined): string {
  const text = Object.keys(labels ?? {})
    .sort()
    .map((key) => `${key}=${labels?.[key]}`)
    .join(",");
  return text === "" ? "<none>" : text;
}

/** The selector as the query language of labels writes it; undefined where it cannot be written so. */
export function selectorText(selector: LabelSelector | undefined): string | undefined {
  if (selector === undefined) return "";
  const terms: { key: string; text: string }[] = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({
    key,
    text: `${key}=${value}`,
  }));
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const list = `(${[...(values ?? [])].sort().join(",")})`;
    if (operator === "In") terms.push({ key, text: `${key} in ${list}` });
    else if (operator === "NotIn") terms.push({ key, text: `${key} notin ${list}` });
    else if (operator === "Exists") terms.push({ key, text: key });
    else if (operator === "DoesNotExist") terms.push({ key, text: `!${key}` });
    else return undefined;
  }
  return terms
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ text }) => text)
    .join(",");
}

export function formatLabelSelector(selector: LabelSelector | undefined): string {
  if (selector === undefined) return "<none>";
  const text = selectorText(selector);
  if (text === undefined) return "<error>";
  return text === "" ? "<none>" : text;
}

/** At most `max` items, then how many more there are. */
export function listWithMore(items: readonly string[], max: number): string {
  const shown = items.slice(0, max).join(",");
  if (items.length > max) return `${shown} + ${items.length - max} more...`;
  return shown === "" ? "<unset>" : shown;
}

/** A span of time as kubectl shows ages (duration.HumanDuration of apimachinery). */
export function humanDuration(span_ms: number): string {
  const seconds = Math.trunc(span_ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (days < 8) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (days < 365 * 2) return `${days}d`;
  const years = Math.trunc(days / 365);
  if (days < 365 * 8) return days % 365 === 0 ? `${years}y` : `${years}y${days % 365}d`;
  return `${years}y`;
}

/** How long ago a timestamp was, at the time the cell is rendered. */
export function since(timestamp: string | undefined): string {
  return timestamp === undefined ? "<unknown>" : humanDuration(Date.now() - Date.parse(timestamp));
}

export function orNone(text: string | undefined): string {
  return text === undefined || text === "" ? "<none>" : text;
}

/** Access modes in their short forms, each once, in upstream's order. */
export function formatAccessModes(modes: readonly string[] | undefined): string {
  const short: Record<string, string> = {
    ReadWriteOnce: "RWO",
    ReadOnlyMany: "ROX",
    ReadWriteMany: "RWX",
    ReadWriteOncePod: "RWOP",
  };
  return Object.entries(short)
    .filter(([mode]) => modes?.includes(mode))
    .map(([, text]) => text)
    .join(",");
}

/** What a kind without columns of its own shows (rest.NewDefaultTableConvertor of upstream). */
export const createdAtColumn: TableColumn<KubeObject> = {
  name: "Created At",
  type: "date",
  isVerbatim: true,
  value: (object) => object.metadata.creationTimestamp,
};
