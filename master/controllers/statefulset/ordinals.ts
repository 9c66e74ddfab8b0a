import { statefulSets } from "#shared/api/resources.ts";
import type { StatefulSet } from "#shared/api/types/apps-v1.generated.ts";
import type { PersistentVolumeClaim, Pod, PodTemplateSpec, Volume } from "#shared/api/types/core-v1.generated.ts";
import { podRevisionLabel } from "../history/controller-revision.ts";
import { podFromTemplate } from "../pod-control/pod-control.ts";

const podNameLabel = "statefulset.kubernetes.io/pod-name";
const podIndexLabel = "apps.kubernetes.io/pod-index";

export const replicasOf = ({ spec }: StatefulSet): number => spec.replicas ?? 1;
export const firstOrdinal = ({ spec }: StatefulSet): number => spec.ordinals?.start ?? 0;

/** The name before the last dash and the number behind it; undefined for a name of another form. */
export function identityOf({ metadata }: Pod): { readonly parent: string; readonly ordinal: number } | undefined {
  const match = /^(.*)-(\d+)$/.exec(metadata.name ?? "");
  return match && Number(match[2]) < 2 ** 31 ? { parent: match[1] ?? "", ordinal: Number(match[2]) } : undefined;
}

export const ordinalOf = (pod: Pod): number => identityOf(pod)?.ordinal ?? -1;

/** The ordinal is one of those that the set asks for. */
export function isWanted(set: StatefulSet, pod: Pod): boolean {
  const place = ordinalOf(pod) - firstOrdinal(set);
  return place >= 0 && place < replicasOf(set);
}

export const podRevision = ({ metadata }: Pod): string => metadata.labels?.[podRevisionLabel] ?? "";

const claimName = (set: StatefulSet, template: PersistentVolumeClaim, ordinal: number): string =>
  `${template.metadata.name}-${set.metadata.name}-${ordinal}`;

/** The claims that the pod of that ordinal needs. */
export function claimsOf(set: StatefulSet, ordinal: number): PersistentVolumeClaim[] {
  return (set.spec.volumeClaimTemplates ?? []).map((template) => ({
    ...template,
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      ...template.metadata,
      name: claimName(set, template, ordinal),
      namespace: set.metadata.namespace,
      labels: { ...template.metadata.labels, ...set.spec.selector.matchLabels },
    },
  }));
}

/** The volumes with the set's claims in place of those of the same names. */
function volumesWithClaims(set: StatefulSet, ordinal: number, volumes: readonly Volume[] = []): Volume[] {
  const templates = set.spec.volumeClaimTemplates ?? [];
  const claimed = templates.map((template) => ({
    name: template.metadata.name ?? "",
    persistentVolumeClaim: { claimName: claimName(set, template, ordinal) },
  }));
  const names = new Set(claimed.map(({ name }) => name));
  return [...claimed, ...volumes.filter(({ name }) => !names.has(name))];
}

/** The pod of that ordinal, made from the revision's template. */
export function newPod(set: StatefulSet, template: PodTemplateSpec, revision: string, ordinal: number): Pod {
  const pod = podFromTemplate(template, statefulSets, set);
  const name = `${set.metadata.name}-${ordinal}`;
  const { metadata } = pod;
  const spec = pod.spec ?? { containers: [] };
  return {
    ...pod,
    metadata: {
      ...metadata,
      name,
      labels: {
        ...metadata.labels,
        [podNameLabel]: name,
        [podIndexLabel]: String(ordinal),
        [podRevisionLabel]: revision,
      },
    },
    spec: {
      ...spec,
      hostname: name,
      ...(set.spec.serviceName ? { subdomain: set.spec.serviceName } : {}),
      ...(set.spec.volumeClaimTemplates?.length ? { volumes: volumesWithClaims(set, ordinal, spec.volumes) } : {}),
    },
  };
}

/** The pod as it should be where its identity or its claims are not the set's; undefined when they are. */
export function corrected(set: StatefulSet, pod: Pod): Pod | undefined {
  const identity = identityOf(pod);
  const name = pod.metadata.name ?? "";
  const hasIdentity = identity?.parent === set.metadata.name && pod.metadata.labels?.[podNameLabel] === name;
  const mounts = new Map(pod.spec?.volumes?.map((volume) => [volume.name, volume.persistentVolumeClaim?.claimName]));
  const ordinal = identity?.ordinal ?? -1;
  const hasStorage = (set.spec.volumeClaimTemplates ?? []).every(
    (template) => mounts.get(template.metadata.name ?? "") === claimName(set, template, ordinal),
  );
  if (hasIdentity && hasStorage) return undefined;
  const labels = { ...pod.metadata.labels, [podNameLabel]: name, [podIndexLabel]: String(ordinal) };
  const spec = pod.spec ?? { containers: [] };
  return {
    ...pod,
    metadata: { ...pod.metadata, labels },
    spec: hasStorage ? spec : { ...spec, volumes: volumesWithClaims(set, ordinal, spec.volumes) },
  };
}
