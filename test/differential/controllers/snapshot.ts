import type { KubeObject } from "#shared/api/object.ts";
import type { Event } from "#shared/api/types/core-v1.generated.ts";
import type { ManagedFieldsEntry } from "#shared/api/types/meta-v1.generated.ts";
import type { Room } from "./mirror.ts";

/** Everything in a namespace as controllers left it, without what is by chance: objects as JSON, sorted. */
export type Snapshot = readonly string[];

export function snapshotOf(room: Room, leavesOut: readonly string[] = []): Snapshot {
  const texts = [...room.objects.values()]
    .filter((object) => !isCombined(object) && !leavesOut.includes(object.kind ?? ""))
    .map((object) =>
      sorted(room.aliases.apply(JSON.stringify(object.kind === "Event" ? toldBy(object as Event) : bare(object)))),
    );
  const isTold = (text: string): boolean => text.startsWith('{"event"');
  // The same event about pods whose names differ by chance alone counts once.
  return [...new Set(texts.filter(isTold)), ...texts.filter((text) => !isTold(text))].toSorted();
}

/** Which of many alike are combined depends on how often it was tried, and in upstream on chance. */
const isCombined = (object: KubeObject): boolean =>
  object.kind === "Event" && (object as Event).message?.startsWith("(combined") === true;

/** What an event says, and who says it. How often depends on retries, and the name is by chance. */
function toldBy({ type, reason, message, involvedObject, source, reportingComponent, action }: Event): object {
  const { kind, name, namespace, fieldPath, apiVersion } = involvedObject;
  const about = { kind, name, namespace, fieldPath, apiVersion };
  return { event: { type, reason, message, about, source: source?.component, reportingComponent, action } };
}

function bare(object: KubeObject): object {
  const { uid: _, resourceVersion: __, creationTimestamp: ___, managedFields, name, ...metadata } = object.metadata;
  const { apiVersion: ____, kind, metadata: _____, ...rest } = object;
  // In upstream admission writes what it lets use into the quota, here the controller does for both.
  const owned = kind === "ResourceQuota" ? [] : (managedFields ?? []);
  // How many changes were gathered.
  if (kind === "EndpointSlice") delete metadata.generation;
  const { status } = rest as { status?: { conditions?: { type: string }[] } };
  // A condition that changes for a moment comes last.
  if (kind === "Deployment" && status?.conditions) {
    const conditions = status.conditions.toSorted((a, b) => (a.type < b.type ? -1 : 1));
    Object.assign(rest, { status: { ...status, conditions } });
  }
  const written = owned.filter(({ manager }) => manager === "kube-controller-manager").map(entryOf);
  return { kind, metadata: { name, ...metadata, ...(written.length > 0 && { managedFields: written }) }, ...rest };
}

const entryOf = ({ operation, subresource, apiVersion, fieldsV1 }: ManagedFieldsEntry): object => ({
  operation,
  subresource,
  apiVersion,
  fieldsV1,
});

/** Keys in order, and addresses of endpoints, whose order is by chance. */
function sorted(text: string): string {
  return JSON.stringify(inOrder(JSON.parse(text)));
}

const leftOut = new Set([
  // Bramble says in words of its own what the authority is for.
  "kubernetes.io/description",
  // By chance, or by how many changes were gathered and on which second of the clock they fell.
  "resourceVersion",
  "nodePort",
  "endpoints.kubernetes.io/last-change-trigger-time",
  "f:endpoints.kubernetes.io/last-change-trigger-time",
]);

const unordered = new Set([
  "endpoints",
  "addresses",
  "notReadyAddresses",
  "managedFields",
  "ports",
  "subsets",
  "volumes",
]);

/** Go writes null for a time that is not set and for a list without items; annotations may have been left out above. */
function isNothing(name: string, value: unknown): boolean {
  if (value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  const rest = name === "annotations" ? [] : name === "f:annotations" ? ["."] : undefined;
  return rest !== undefined && Object.keys(value as object).every((key) => rest.includes(key));
}

function inOrder(value: unknown, key = ""): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => inOrder(item));
    return unordered.has(key) ? items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : items;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .filter(([name]) => !leftOut.has(name))
    .map(([name, each]) => [name, inOrder(each, name)] as const)
    .filter(([name, each]) => !isNothing(name, each));
  return Object.fromEntries(entries.toSorted(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1)));
}

const rank = (key: string): number => (key === "kind" || key === "event" ? 0 : key === "name" ? 1 : 2);
