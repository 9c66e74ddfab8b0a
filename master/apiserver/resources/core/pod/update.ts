/** What may change in a pod once it exists (ValidatePodUpdate and its kin in pkg/apis/core/validation). */
import type { FieldError } from "#shared/api/errors.ts";
import { isSidecar } from "#shared/api/sidecars.ts";
import type {
  Container,
  EphemeralContainer,
  NodeAffinity,
  NodeSelectorTerm,
  Pod,
  PodSchedulingGate,
  PodSpec,
  ResourceRequirements,
  Toleration,
} from "#shared/api/types/core-v1.generated.ts";
import { collect, difference, type Field, semanticEqual } from "../../validation/field.ts";
import { inclusiveRange } from "../../validation/names.ts";
import type { Amounts } from "../../validation/quantities.ts";
import { qosClass, qosClassOf } from "./aggregate.ts";
import { mirrorAnnotation, validatePodMetadataAndSpec } from "./validate.ts";
import { validateTolerations } from "./validate-scheduling.ts";
import { appArmorAnnotation } from "./validate-security.ts";

const maxInt32 = 2 ** 31 - 1;
const updatable = [
  "`spec.containers[*].image`",
  "`spec.initContainers[*].image`",
  "`spec.activeDeadlineSeconds`",
  "`spec.tolerations` (only additions to existing tolerations)",
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
].join(",");

export function validatePodUpdate(pod: Pod, old: Readonly<Pod>): FieldError[] {
  return collect((root) => {
    validatePodMetadataAndSpec(pod, root);
    validateAnnotationUpdates(pod, old, root.at("metadata", "annotations"));
    const field = root.at("spec");
    for (const list of ["containers", "initContainers"] as const) {
      if (!validateImages(pod.spec[list] ?? [], old.spec[list] ?? [], field.at(list))) return;
    }
    if (!validateDeadline(pod.spec.activeDeadlineSeconds, old.spec.activeDeadlineSeconds, field)) return;
    validateAddedTolerations(pod.spec.tolerations ?? [], old.spec.tolerations ?? [], field.at("tolerations"));
    validateDeletedGates(pod.spec.schedulingGates ?? [], old.spec.schedulingGates ?? [], field.at("schedulingGates"));
    if (semanticEqual(pod.spec, old.spec)) return;
    const masked = maskUpdatable(pod.spec, old.spec, field);
    if (!semanticEqual(masked, old.spec)) {
      field.forbidden(
        `pod updates may not change fields other than ${updatable}\n${difference(old.spec, masked, "spec")}`,
      );
    }
  });
}

/** The new spec with everything that may change set back, so that what still differs is what may not. */
function maskUpdatable(spec: PodSpec, old: Readonly<PodSpec>, field: Field): PodSpec {
  const oldImages = (list: readonly Container[] | undefined, before: readonly Container[] | undefined) =>
    list?.map((container, index) => ({ ...container, image: before?.[index]?.image }));
  const masked: PodSpec = {
    ...spec,
    containers: oldImages(spec.containers, old.containers) ?? [],
    initContainers: oldImages(spec.initContainers, old.initContainers),
    activeDeadlineSeconds: old.activeDeadlineSeconds,
    schedulingGates: old.schedulingGates,
    tolerations: old.tolerations,
  };
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1) {
    masked.terminationGracePeriodSeconds = old.terminationGracePeriodSeconds;
  }
  if (old.schedulingGates?.length) maskGated(masked, spec, old, field);
  return masked;
}

/** While a pod waits behind a gate, where it may run can be narrowed (KEP-3838). */
function maskGated(masked: PodSpec, spec: PodSpec, old: Readonly<PodSpec>, field: Field): void {
  if (!semanticEqual(spec.nodeSelector, old.nodeSelector)) {
    const lost = Object.entries(old.nodeSelector ?? {}).some(([key, value]) => spec.nodeSelector?.[key] !== value);
    if (lost) {
      field
        .at("nodeSelector")
        .invalid(spec.nodeSelector, "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
    }
    masked.nodeSelector = old.nodeSelector;
  }
  const before = old.affinity?.nodeAffinity;
  if (semanticEqual(spec.affinity?.nodeAffinity, before)) return;
  validateNodeAffinityMutation(spec.affinity?.nodeAffinity, before, field.at("affinity", "nodeAffinity"));
  const affinity = { ...spec.affinity, nodeAffinity: before };
  const isEmpty = Object.values(affinity).every((each) => each === undefined);
  masked.affinity = isEmpty && old.affinity === undefined ? undefined : affinity;
}

function validateNodeAffinityMutation(
  affinity: NodeAffinity | undefined,
  old: Readonly<NodeAffinity> | undefined,
  field: Field,
): void {
  const terms = (of: Readonly<NodeAffinity> | undefined): readonly NodeSelectorTerm[] =>
    of?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const [after, before] = [terms(affinity), terms(old)];
  const at = field.at("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms");
  if (before.length === 0) return;
  if (before.length !== after.length) {
    at.invalid(after, "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
    return;
  }
  for (const [index, term] of before.entries()) {
    const changed = after[index] ?? {};
    if (!hasOnlyAdditions(changed, term)) {
      at.index(index).invalid(changed, "only additions are allowed (no mutations or deletions)");
    }
  }
}

function hasOnlyAdditions(term: NodeSelectorTerm, old: Readonly<NodeSelectorTerm>): boolean {
  const lists = ["matchExpressions", "matchFields"] as const;
  // An empty term selects nothing; to add to it would select something.
  if (lists.every((key) => !old[key]?.length)) return lists.every((key) => !term[key]?.length);
  return lists.every((key) => semanticEqual(term[key]?.slice(0, old[key]?.length ?? 0), old[key]));
}

/** False when the lists do not correspond, and comparing further makes no sense. */
function validateImages(containers: readonly Container[], old: readonly Container[], field: Field): boolean {
  if (containers.length !== old.length) {
    field.forbidden("pod updates may not add or remove containers");
    return false;
  }
  for (const [index, { image = "" }] of containers.entries()) {
    const at = field.index(index).at("image");
    if (image === "") at.required();
    if (image.trim() !== image) at.invalid(image, "must not have leading or trailing whitespace");
  }
  return true;
}

function validateDeadline(deadline: number | undefined, old: number | undefined, field: Field): boolean {
  const at = field.at("activeDeadlineSeconds");
  if (deadline === undefined) {
    if (old !== undefined) at.invalid(undefined, "must not update from a positive integer to nil value");
    return true;
  }
  if (deadline < 0 || deadline > maxInt32) {
    at.invalid(deadline, inclusiveRange(0, maxInt32));
    return false;
  }
  if (old !== undefined && old < deadline) {
    at.invalid(deadline, "must be less than or equal to previous value");
    return false;
  }
  return true;
}

function validateAddedTolerations(tolerations: readonly Toleration[], old: readonly Toleration[], field: Field): void {
  const keyOf = ({ key = "", operator = "", value = "", effect = "" }: Toleration): string =>
    JSON.stringify([key, operator, value, effect]);
  const now = new Set(tolerations.map(keyOf));
  const kept = old.every((before) => now.has(keyOf(before)));
  if (!kept) field.forbidden("existing toleration can not be modified except its tolerationSeconds");
  else validateTolerations(tolerations, field);
}

function validateDeletedGates(
  gates: readonly PodSchedulingGate[],
  old: readonly PodSchedulingGate[],
  field: Field,
): void {
  const before = new Set(old.map(({ name }) => name));
  for (const [index, { name }] of gates.entries()) {
    if (before.has(name)) continue;
    field.index(index).at("name").forbidden(`only deletion is allowed, but found new scheduling gate '${name}'`);
  }
}

/** Some annotations are part of what the pod is, and stay. */
export function validateAnnotationUpdates(pod: Pod, old: Readonly<Pod>, field: Field): void {
  const [after, before] = [pod.metadata.annotations ?? {}, old.metadata.annotations ?? {}];
  for (const [key, value] of Object.entries(before)) {
    if (after[key] === value) continue;
    if (key.startsWith(appArmorAnnotation)) field.key(key).forbidden("may not remove or update AppArmor annotations");
    if (key === mirrorAnnotation) field.key(key).forbidden("may not remove or update mirror pod annotation");
  }
  for (const key of Object.keys(after)) {
    if (key in before) continue;
    if (key.startsWith(appArmorAnnotation)) field.key(key).forbidden("may not add AppArmor annotations");
    if (key === mirrorAnnotation) field.key(key).forbidden("may not add mirror pod annotation");
  }
}

/** Takes from the old pod all that an update of one of its subresources may not touch. */
function keepAllBut(draft: Pod, old: Readonly<Pod>, spec: PodSpec): void {
  draft.spec = spec;
  if (old.status === undefined) delete draft.status;
  else draft.status = old.status;
  // What says which object is meant is judged as on any update.
  const { managedFields, uid, generateName, deletionGracePeriodSeconds } = draft.metadata;
  draft.metadata = {
    ...old.metadata,
    managedFields,
    ...(uid !== undefined && { uid }),
    ...(generateName !== undefined && { generateName }),
    ...(deletionGracePeriodSeconds !== undefined && { deletionGracePeriodSeconds }),
  };
  const { resourceVersion } = old.metadata;
  if (resourceVersion !== undefined) draft.metadata.resourceVersion = resourceVersion;
}

export const ephemeralContainersUpdate = {
  prepare(draft: Pod, old: Readonly<Pod>): void {
    const { ephemeralContainers } = draft.spec;
    const { ephemeralContainers: _, ...rest } = old.spec;
    const version = draft.metadata.resourceVersion;
    keepAllBut(draft, old, ephemeralContainers === undefined ? { ...rest } : { ...rest, ephemeralContainers });
    if (version !== undefined) draft.metadata.resourceVersion = version;
  },
  validate(pod: Pod, old: Readonly<Pod>): FieldError[] {
    return collect((root) => {
      if (isMirror(old)) {
        root.at("[]").forbidden("static pods do not support ephemeral containers");
        return;
      }
      validatePodMetadataAndSpec(pod, root);
      validateAnnotationUpdates(pod, old, root.at("metadata", "annotations"));
      const field = root.at("spec", "ephemeralContainers");
      const after = new Map((pod.spec.ephemeralContainers ?? []).map((each) => [each.name, each]));
      for (const before of old.spec.ephemeralContainers ?? []) validateKept(before, after.get(before.name), field);
    });
  },
};

const isMirror = ({ metadata }: Readonly<Pod>): boolean => metadata.annotations?.[mirrorAnnotation] !== undefined;

function validateKept(before: EphemeralContainer, after: EphemeralContainer | undefined, field: Field): void {
  const name = JSON.stringify(before.name);
  if (after === undefined) field.forbidden(`existing ephemeral containers ${name} may not be removed\n`);
  else if (!semanticEqual(before, after)) {
    field.forbidden(`existing ephemeral containers ${name} may not be changed\n${difference(before, after)}`);
  }
}

/** Old containers with the new ones' resources; the new list as it is where the two do not correspond. */
function mergeResources(containers: Container[] | undefined, old: readonly Container[] | undefined) {
  if (!containers?.length) return containers;
  if (!containers.every(({ name }, index) => old?.[index]?.name === name)) return containers;
  return containers.map(({ name, resources, resizePolicy }, index) => {
    const { resources: _r, resizePolicy: _p, ...rest } = old?.[index] ?? { name };
    return { ...rest, ...(resources && { resources }), ...(resizePolicy && { resizePolicy }) };
  });
}

/** In-place resize of a pod (KEP-1287). */
export const resizeUpdate = {
  prepare(draft: Pod, old: Readonly<Pod>): void {
    const { containers, initContainers } = draft.spec;
    if (containers?.length !== old.spec.containers?.length) return;
    if ((initContainers?.length ?? 0) !== (old.spec.initContainers?.length ?? 0)) return;
    const version = draft.metadata.resourceVersion;
    const merged = mergeResources(initContainers, old.spec.initContainers);
    keepAllBut(draft, old, {
      ...old.spec,
      containers: mergeResources(containers, old.spec.containers) ?? [],
      ...(merged && { initContainers: merged }),
    });
    if (version !== undefined) draft.metadata.resourceVersion = version;
  },
  validate(pod: Pod, old: Readonly<Pod>): FieldError[] {
    return collect((root) => {
      if (isMirror(old)) root.at("[]").forbidden("static pods cannot be resized");
      else if (old.spec.os?.name === "windows") root.at("[]").forbidden("windows pods cannot be resized");
      else validateResize(pod, old, root);
    });
  },
};

function validateResize(pod: Pod, old: Readonly<Pod>, root: Field): void {
  validatePodMetadataAndSpec(pod, root);
  const field = root.at("spec");
  if (qosClassOf(old) !== qosClass(pod.spec)) {
    field.invalid(pod.status?.qosClass ?? "", "Pod QOS Class may not change as a result of resizing");
  }
  const running = old.status?.containerStatuses?.find(({ state }) => state?.running);
  if (running !== undefined && running.resources === undefined) {
    field.forbidden("Pod running on node without support for resize");
  }
  const hasPodLevel = ({ spec }: Readonly<Pod>): boolean =>
    Object.keys({ ...spec.resources?.requests, ...spec.resources?.limits }).length > 0;
  if (hasPodLevel(pod) || hasPodLevel(old)) {
    root
      .at("[]")
      .forbidden(
        "resize of pods with pod-level resources is forbidden when InPlacePodLevelResourcesVerticalScalingEnabled feature gate is disabled",
      );
    return;
  }
  if (!validateSameContainers(pod, old, field)) return;
  const { errors, field: apart } = field.apart();
  for (const list of ["initContainers", "containers"] as const) {
    for (const [index, before] of (old.spec[list] ?? []).entries()) {
      const after = pod.spec[list]?.[index];
      if (after) validateContainerResize(after, before, list, index, apart);
    }
  }
  if (errors.length > 0) {
    field.addAll(errors);
    return;
  }
  const rest = { ...pod.spec, containers: old.spec.containers, initContainers: old.spec.initContainers };
  if (!semanticEqual(rest, old.spec)) field.forbidden("only cpu and memory resources are mutable");
}

function validateSameContainers(pod: Pod, old: Readonly<Pod>, field: Field): boolean {
  let same = true;
  for (const list of ["containers", "initContainers"] as const) {
    const [after, before] = [pod.spec[list] ?? [], old.spec[list] ?? []];
    if (after.length !== before.length) {
      field.at(list).forbidden(`${list} may not be added or removed on resize`);
      same = false;
      continue;
    }
    for (const [index, { name }] of before.entries()) {
      if (after[index]?.name === name) continue;
      field.at(list).index(index).at("name").forbidden(`${list} may not be renamed or reordered on resize`);
      same = false;
    }
  }
  return same;
}

function validateContainerResize(
  after: Container,
  before: Container,
  list: "containers" | "initContainers",
  index: number,
  spec: Field,
): void {
  if (list === "initContainers" && !isSidecar(before)) {
    if (!semanticEqual(after, before)) spec.forbidden("resources for non-sidecar init containers are immutable");
    return;
  }
  const at = spec.at(list).index(index).at("resources");
  for (const side of ["requests", "limits"] as const) {
    const kept = Object.keys(before.resources?.[side] ?? {}).every((name) => name in (after.resources?.[side] ?? {}));
    if (!kept) at.at(side).forbidden(`resource ${side} cannot be removed`);
  }
  const { claims: _, ...resources } = withComputeOf(after.resources, before.resources) ?? {};
  const { claims } = before.resources ?? {};
  const masked = { ...after, resources: { ...resources, ...(claims && { claims }) } };
  if (!semanticEqual(masked, { ...before, resources: before.resources ?? {} })) {
    const of = list === "initContainers" ? " for sidecar containers" : "";
    spec.forbidden(`only cpu and memory resources${of} are mutable`);
  }
}

/** The new requirements with the old cpu and memory. */
function withComputeOf(resources: ResourceRequirements | undefined, old: ResourceRequirements | undefined) {
  const side = (amounts: Amounts | undefined, before: Amounts | undefined) => {
    const { cpu: _c, memory: _m, ...others } = { ...amounts };
    for (const name of ["cpu", "memory"]) if (before?.[name] !== undefined) others[name] = before[name];
    return Object.keys(others).length === 0 && before === undefined ? undefined : others;
  };
  return {
    ...resources,
    limits: side(resources?.limits, old?.limits),
    requests: side(resources?.requests, old?.requests),
  };
}
