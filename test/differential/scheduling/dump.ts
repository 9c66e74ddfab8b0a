import { isNotFound } from "#shared/api/errors.ts";
import type { KubeObject, ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { eventsV1, persistentVolumeClaims, pods, resourceClaims } from "#shared/api/resources.ts";
import type { Event } from "#shared/api/types/events-v1.generated.ts";
import type { ManagedFieldsEntry } from "#shared/api/types/meta-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Fields } from "./world.ts";

/** What a scenario has come to: each object with what others than the scenario wrote into it, and all Events. */
export interface Seen {
  readonly objects: Readonly<Record<string, unknown>>;
  readonly events: readonly string[];
}

/** Written at a moment of its own on each side, or by chance. */
const passing = new Set([
  "lastTransitionTime",
  "lastHeartbeatTime",
  "lastUpdateTime",
  "lastProbeTime",
  "lastPhaseTransitionTime",
  "startTime",
  "qosClass",
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "timeAdded",
]);

/** Told by the clock, some time after it has happened. */
const periodic = new Set(["RegisteredNode", "RemovingNode", "WaitForPodScheduled", "WaitForFirstConsumer"]);

/** What of an object is dumped, by kind; others are not looked at. */
const parts: Readonly<Record<string, (object: Fields) => object>> = {
  Pod: ({ spec, status }) => ({
    node: spec.nodeName,
    phase: status.phase,
    nominated: status.nominatedNodeName,
    conditions: status.conditions,
    claims: status.resourceClaimStatuses?.map(({ name }: { name: string }) => name),
  }),
  Node: ({ spec, status }) => ({
    taints: spec.taints,
    unschedulable: spec.unschedulable,
    conditions: status.conditions,
    attached: status.volumesAttached,
  }),
  PersistentVolumeClaim: ({ spec, status }) => ({ spec, status }),
  PersistentVolume: ({ spec: { claimRef, capacity }, status }) => ({ claimRef, capacity, status }),
  ResourceClaim: ({ status }) => ({ status }),
  VolumeAttachment: ({ spec, status }) => ({ spec, status }),
  CertificateSigningRequest: ({ status }) => ({ ...status, certificate: status?.certificate && "there" }),
  ClusterRole: ({ rules }) => ({ rules }),
  ServiceCIDR: ({ status }) => ({ status }),
  Secret: ({ data }) => ({ data: Object.keys(data ?? {}).sort() }),
};

/** Kinds that others make in the scenario's namespace. */
const furnished = [pods, persistentVolumeClaims, resourceClaims] as unknown as readonly ResourceRef[];

export async function dump(
  client: Client,
  made: readonly { readonly ref: ResourceRef; readonly key: ObjectKey }[],
  namespace: string,
  names: ReadonlyMap<string, string>,
): Promise<Seen> {
  const known = new Map(names);
  const found: KubeObject[] = [];
  for (const ref of furnished) for (const item of (await client.list(ref, { namespace })).items) found.push(item);
  for (const { ref, key } of made) {
    if (furnished.some(({ kind }) => kind === ref.kind) && key.namespace === namespace) continue;
    if (!parts[ref.kind]) continue;
    try {
      found.push(await client.get(ref, key));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  for (const { metadata } of found) known.set(metadata.uid ?? "", metadata.name ?? "");
  const objects = found.map((object): [string, unknown] => [
    `${object.kind} ${object.metadata.name}`,
    withoutPassing({ ...written(object), ...parts[object.kind]?.(object) }),
  ]);
  const clusterWide = new Set(made.filter(({ key }) => !key.namespace).map(({ key }) => key.name));
  const own = await client.list(eventsV1, { namespace });
  const others = (await client.list(eventsV1, { namespace: "default" })).items.filter(({ regarding }) =>
    clusterWide.has(regarding?.name ?? ""),
  );
  const told = [...own.items, ...others]
    .filter(({ reason = "" }) => !periodic.has(reason))
    .map((event) => named(eventText(event), known));
  return JSON.parse(
    named(
      JSON.stringify({
        objects: Object.fromEntries(objects.sort(([a], [b]) => (a < b ? -1 : 1))),
        events: [...new Set(told)].sort(),
      }),
      known,
    ),
  ) as Seen;
}

const components = ["kube-scheduler", "kube-controller-manager"];

const written = ({ metadata }: KubeObject): object => ({
  finalizers: metadata.finalizers,
  annotations: metadata.annotations,
  deleting: metadata.deletionTimestamp === undefined ? undefined : metadata.deletionGracePeriodSeconds,
  owned: Object.fromEntries(
    (metadata.managedFields ?? [])
      .filter(({ manager = "" }) => components.includes(manager))
      .map((entry) => [`${entry.manager} ${entry.operation} ${entry.subresource ?? ""}`.trim(), leavesOf(entry)]),
  ),
});

/** `f:status/f:conditions/…`, each field that the manager owns; a node's addresses are a setting of the controllers. */
function leavesOf({ fieldsV1 }: ManagedFieldsEntry): string[] {
  const paths: string[] = [];
  const walk = (node: object, path: string): void => {
    const below = Object.entries(node).filter(([key]) => key !== ".");
    if (below.length === 0) paths.push(path);
    for (const [key, value] of below) walk(value as object, path === "" ? key : `${path}/${key}`);
  };
  walk(fieldsV1 ?? {}, "");
  return paths.filter((path) => !path.startsWith("f:spec/f:podCIDR")).sort();
}

function eventText(event: Event): string {
  const { type, reason, action, regarding, related, note, reportingController } = event;
  const old = (event as Fields).deprecatedSource?.component;
  const about = `${regarding?.kind} ${regarding?.name}${regarding?.fieldPath ? ` ${regarding.fieldPath}` : ""}`;
  const beside = related ? ` beside ${related.kind} ${related.name}` : "";
  return `${type} ${reason} ${action ?? "-"} of ${about}${beside} by ${reportingController ?? "-"}/${old ?? "-"}: ${note}`;
}

/** UIDs as the names of the objects that have them. */
function named(text: string, names: ReadonlyMap<string, string>): string {
  let result = text;
  for (const [uid, name] of names) if (uid !== "") result = result.replaceAll(uid, `<${name}>`);
  return result;
}

function withoutPassing(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPassing);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, each]) => !passing.has(key) && each !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, withoutPassing(each)]),
  );
}
