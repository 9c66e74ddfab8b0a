/** Updates of a pod's status (ValidatePodStatusUpdate in pkg/apis/core/validation). */
import type { FieldError } from "#shared/api/errors.ts";
import type { Container, ContainerStatus, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { isDualStack, parseAddress, validateAddress } from "../../validation/addresses.ts";
import { collect, type Field, immutable } from "../../validation/field.ts";
import { firstByKey } from "../../validation/first-by-key.ts";
import { isDns1123Subdomain, isId, isQualifiedName } from "../../validation/names.ts";
import { validateAnnotationUpdates } from "./update.ts";
import { validatePodAnnotations } from "./validate.ts";

const systemConditions = ["PodScheduled", "Ready", "Initialized"];
const statusLists = [
  ["containerStatuses", "containers"],
  ["initContainerStatuses", "initContainers"],
  ["ephemeralContainerStatuses", "ephemeralContainers"],
] as const;

/** Keeps what a client that does not know of it would clear, and leaves out what stands behind gates that upstream keeps closed. */
export function preparePodStatus(draft: Pod, old: Readonly<Pod>): void {
  draft.status ??= {};
  const { status } = draft;
  delete status.resources;
  delete status.allocatedResources;
  delete status.extendedResourceClaimStatus;
  for (const [list] of statusLists) {
    for (const container of status[list] ?? []) delete container.allocatedResourcesStatus;
  }
  if (!status.qosClass && old.status?.qosClass) status.qosClass = old.status.qosClass;
  if (!status.observedGeneration && old.status?.observedGeneration) {
    status.observedGeneration = old.status.observedGeneration;
  }
  const conditions = firstByKey(old.status?.conditions ?? [], ({ type }) => type);
  for (const condition of status.conditions ?? []) {
    const before = conditions.get(condition.type);
    if (!condition.observedGeneration && before?.observedGeneration) {
      condition.observedGeneration = before.observedGeneration;
    }
  }
}

export function validatePodStatus(pod: Pod, old: Readonly<Pod>): FieldError[] {
  return collect((root) => {
    const annotations = root.at("metadata", "annotations");
    validateAnnotationUpdates(pod, old, annotations);
    validatePodAnnotations(pod.metadata.annotations, pod.spec, annotations);
    const field = root.at("status");
    const status = pod.status ?? {};
    for (const [index, { type = "", observedGeneration = 0 }] of (status.conditions ?? []).entries()) {
      const at = field.at("conditions").index(index);
      if (observedGeneration < 0) {
        at.at("observedGeneration").invalid(observedGeneration, "must be a non-negative integer");
      }
      if (!systemConditions.includes(type)) at.at("Type").invalidEach(type, isQualifiedName(type));
    }
    validateNomination(pod, old, field.at("nominatedNodeName"));
    if ((status.observedGeneration ?? 0) < 0) {
      field.at("observedGeneration").invalid(status.observedGeneration, "must be a non-negative integer");
    }
    immutable(status.qosClass ?? "", old.status?.qosClass ?? "", field.at("qosClass"));
    for (const [statuses, containers] of statusLists) {
      validateTransitions(
        status[statuses] ?? [],
        old.status?.[statuses] ?? [],
        old.spec,
        containers,
        field.at(statuses),
      );
      validateUsers(status[statuses] ?? [], pod.spec.os?.name, field.at(statuses));
    }
    validateClaimStatuses(pod, field);
    validateAddresses(pod, old, field);
  });
}

function validateNomination(pod: Pod, old: Readonly<Pod>, field: Field): void {
  const name = pod.status?.nominatedNodeName ?? "";
  if (name === "" || name === (old.status?.nominatedNodeName ?? "")) return;
  field.invalidEach(name, isDns1123Subdomain(name));
  if (old.spec.nodeName) field.forbidden("may not be set on pods that are already bound to a node");
}

/** Whether an ended container may run again: its own rules first, then its policy, then the pod's. */
function mayRestart(container: Container | undefined, spec: Readonly<PodSpec>, exitCode: number): boolean {
  if (container === undefined) return false;
  for (const { action, exitCodes } of container.restartPolicyRules ?? []) {
    const listed = exitCodes?.values?.includes(exitCode) ?? false;
    if (exitCodes && action === "Restart" && listed === (exitCodes.operator === "In")) return true;
  }
  const policy = container.restartPolicy ?? spec.restartPolicy;
  return policy === "Always" || (policy === "OnFailure" && exitCode !== 0);
}

function validateTransitions(
  statuses: readonly ContainerStatus[],
  old: readonly ContainerStatus[],
  spec: Readonly<PodSpec>,
  list: "containers" | "initContainers" | "ephemeralContainers",
  field: Field,
): void {
  const byName = firstByKey(statuses, ({ name }) => name);
  const containers = firstByKey(list === "ephemeralContainers" ? [] : (spec[list] ?? []), ({ name }) => name);
  for (const [index, before] of old.entries()) {
    const ended = before.state?.terminated;
    const after = byName.get(before.name);
    if (ended === undefined || after === undefined || after.state?.terminated !== undefined) continue;
    if (!mayRestart(containers.get(before.name), spec, ended.exitCode ?? 0)) {
      field.index(index).at("state").forbidden("may not be transitioned to non-terminated state");
    }
  }
}

function validateUsers(statuses: readonly ContainerStatus[], os: string | undefined, field: Field): void {
  for (const [index, { user }] of statuses.entries()) {
    const at = field.index(index).at("user", "linux");
    const linux = user?.linux;
    if (linux === undefined) continue;
    if (os === "windows") {
      at.forbidden("cannot be set for a windows pod");
      continue;
    }
    for (const key of ["uid", "gid"] as const) at.at(key).invalidEach(linux[key] ?? 0, isId(linux[key] ?? 0));
    for (const [i, id] of (linux.supplementalGroups ?? []).entries()) {
      at.at("supplementalGroups").index(i).invalidEach(id, isId(id));
    }
  }
}

function validateClaimStatuses({ spec, status }: Pod, field: Field): void {
  const seen = new Set<string>();
  const claims = new Set((spec.resourceClaims ?? []).map((claim) => claim.name));
  for (const [index, { name, resourceClaimName }] of (status?.resourceClaimStatuses ?? []).entries()) {
    const at = field.at("resourceClaimStatuses").index(index).at("name");
    if (!claims.has(name)) {
      at.invalid(name, "must match the name of an entry in `spec.resourceClaims`");
    }
    if (seen.has(name)) at.duplicate(name);
    seen.add(name);
    if (resourceClaimName !== undefined) at.invalidEach(resourceClaimName, isDns1123Subdomain(resourceClaimName));
  }
}

function validateAddresses(pod: Pod, old: Readonly<Pod>, field: Field): void {
  const hosts = pod.status?.hostIPs ?? [];
  if (hosts[0] && hosts[0].ip !== pod.status?.hostIP) {
    field.at("hostIPs").index(0).at("ip").invalid(hosts[0].ip, "must be equal to `hostIP`");
  }
  for (const key of ["podIPs", "hostIPs"] as const) {
    const at = field.at(key);
    const addresses = (pod.status?.[key] ?? []).map(({ ip }) => ip);
    const known = (old.status?.[key] ?? []).map(({ ip }) => ip);
    for (const [index, address] of addresses.entries()) validateAddress(address, at.index(index), known);
    if (addresses.length <= 1) continue;
    const unreadable = addresses.findIndex((address) => parseAddress(address) === undefined);
    if (unreadable >= 0) {
      at.internal(`failed to check for dual stack with error:invalid IP[${unreadable}]: ${addresses[unreadable]}`);
    }
    if (unreadable >= 0 || !isDualStack(addresses) || addresses.length > 2) {
      at.invalid(
        addresses.map((IP) => ({ IP })),
        "may specify no more than one IP for each IP family",
      );
    }
  }
}
