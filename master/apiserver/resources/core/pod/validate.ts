/** Pods and pod templates (ValidatePodSpec and what is around it in pkg/apis/core/validation). */
import type { FieldError } from "#shared/api/errors.ts";
import type { Pod, PodResourceClaim, PodSpec, PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import { validateAddress } from "../../validation/addresses.ts";
import { collect, type Field, requiredOneOf } from "../../validation/field.ts";
import {
  inclusiveRange,
  isDns1123Label,
  isDns1123Subdomain,
  isDns1123SubdomainWithUnderscore,
  isQualifiedName,
} from "../../validation/names.ts";
import { validateAnnotations, validateLabels } from "../../validation/object-meta.ts";
import { eachContainer } from "./containers.ts";
import {
  type ContainerSurroundings,
  validateContainers,
  validateEphemeralContainers,
  validateImageText,
  validateInitContainers,
} from "./validate-containers.ts";
import { validateContainerResources, validatePodLevelResources } from "./validate-resources.ts";
import {
  validateAffinity,
  validateSchedulingGates,
  validateTolerations,
  validateTopologySpread,
} from "./validate-scheduling.ts";
import {
  validateAnnotationsMatchFields,
  validateHostProcess,
  validateHostUsers,
  validateOS,
  validatePodSecurity,
  validateSecurityAnnotations,
} from "./validate-security.ts";
import { validateVolumes } from "./validate-volumes.ts";

export const mirrorAnnotation = "kubernetes.io/config.mirror";
const deletionCostAnnotation = "controller.kubernetes.io/pod-deletion-cost";
const maxInt32 = 2 ** 31 - 1;

/** What upstream finds wrong with a pod to be created. */
export function validatePod(pod: Pod): FieldError[] {
  return collect((root) => {
    validatePodMetadataAndSpec(pod, root);
    const field = root.at("spec");
    if (pod.spec.ephemeralContainers?.length) field.at("ephemeralContainers").forbidden("cannot be set on create");
    if (pod.spec.nodeName && pod.spec.schedulingGates?.length) {
      field.at("nodeName").forbidden("cannot be set until all schedulingGates have been cleared");
    }
    validateAnnotationsMatchFields(pod.metadata.annotations, pod.spec, field);
  });
}

/** Judged on create and again on every update. */
export function validatePodMetadataAndSpec(pod: Pod, root: Field): void {
  const { spec, metadata } = pod;
  const field = root.at("spec");
  validatePodAnnotations(metadata.annotations, spec, root.at("metadata", "annotations"));
  validatePodSpec(spec, metadata, field);
  if (!spec.serviceAccountName) {
    for (const [v, { projected }] of (spec.volumes ?? []).entries()) {
      for (const [s, { serviceAccountToken }] of (projected?.sources ?? []).entries()) {
        if (serviceAccountToken === undefined) continue;
        field
          .at("volumes")
          .index(v)
          .at("projected", "sources")
          .index(s)
          .at("serviceAccountToken")
          .forbidden("must not be specified when serviceAccountName is not set");
      }
    }
  }
  for (const list of ["containers", "initContainers"] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      validateImageText(container, field.at(list).index(index));
    }
  }
}

/** Annotations with a meaning of their own on pods and templates. */
export function validatePodAnnotations(annotations: ObjectMeta["annotations"], spec: PodSpec, field: Field): void {
  const mirror = annotations?.[mirrorAnnotation];
  if (mirror !== undefined && !spec.nodeName) {
    field.key(mirrorAnnotation).invalid(mirror, "must set spec.nodeName if mirror pod annotation is set");
  }
  const cost = annotations?.[deletionCostAnnotation];
  if (cost !== undefined && !isDeletionCost(cost)) {
    field.key(deletionCostAnnotation).ruled("deletion cost").invalid(cost, "must be a 32bit integer");
  }
  validateSecurityAnnotations(annotations, spec, field);
}

const isDeletionCost = (text: string): boolean =>
  /^(0|-?[1-9][0-9]*)$/.test(text) && Number(text) >= -(2 ** 31) && Number(text) <= maxInt32;

/** A template inside a workload. */
export function validatePodTemplate(template: PodTemplateSpec | undefined, field: Field): void {
  const { metadata = {}, spec = {} as PodSpec } = template ?? {};
  validateTemplateMetadata(template, field);
  validatePodSpec(spec, undefined, field.at("spec"));
  validateAnnotationsMatchFields(metadata.annotations, spec, field.at("spec"));
  if (spec.ephemeralContainers?.length) {
    field.at("spec", "ephemeralContainers").forbidden("ephemeral containers not allowed in pod template");
  }
}

export function validateTemplateMetadata(template: PodTemplateSpec | undefined, field: Field): void {
  const { metadata = {}, spec = {} as PodSpec } = template ?? {};
  validateLabels(metadata.labels, field.at("labels"));
  validateAnnotations(metadata.annotations, field.at("annotations"));
  validatePodAnnotations(metadata.annotations, spec, field.at("annotations"));
}

/** `pod` is the metadata of a real pod; absent in templates. */
function validatePodSpec(spec: PodSpec, pod: ObjectMeta | undefined, field: Field): void {
  if (spec.terminationGracePeriodSeconds === undefined) field.at("terminationGracePeriodSeconds").required();
  const isPod = pod !== undefined;
  const volumes = validateVolumes(spec.volumes, pod, field.at("volumes"), isPod);
  const claims = new Set((spec.resourceClaims ?? []).map(({ name }) => name).filter(Boolean));
  validateResourceClaims(spec.resourceClaims, pod, field.at("resourceClaims"));
  const around: ContainerSurroundings = { spec, volumes, claims, isPod };
  validateContainers(around, field.at("containers"));
  validateInitContainers(around, field.at("initContainers"));
  validateEphemeralContainers(around, field.at("ephemeralContainers"));
  validatePodLevelResources(spec, claims, field);
  validateHostNetworkPorts(spec, isPod, field.at("containers"));
  requiredOneOf(spec.restartPolicy, ["Always", "OnFailure", "Never"], field.at("restartPolicy"));
  requiredOneOf(spec.dnsPolicy, ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], field.at("dnsPolicy"));
  validateLabels(spec.nodeSelector, field.at("nodeSelector"));
  validatePodSecurity(spec, field);
  validateAffinity(spec.affinity, field.at("affinity"));
  validateDns(spec, field.at("dnsConfig"));
  for (const [index, { conditionType = "" }] of (spec.readinessGates ?? []).entries()) {
    field
      .at("readinessGates")
      .index(index)
      .at("conditionType")
      .invalidEach(conditionType, isQualifiedName(conditionType));
  }
  validateSchedulingGates(spec.schedulingGates, field.at("schedulingGates"));
  validateTopologySpread(spec.topologySpreadConstraints, field.at("topologySpreadConstraints"));
  validateHostProcess(spec, field);
  validateHostUsers(spec, field);
  validateHostname(spec, field);
  validateNames(spec, field);
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > maxInt32)) {
    field.at("activeDeadlineSeconds").invalid(deadline, inclusiveRange(1, maxInt32));
  }
  validateTolerations(spec.tolerations, field.at("tolerations"));
  for (const [index, { ip = "", hostnames = [] }] of (spec.hostAliases ?? []).entries()) {
    const at = field.at("hostAliases").index(index);
    validateAddress(ip, at.at("ip"));
    for (const [i, name] of hostnames.entries())
      at.at("hostnames").index(i).invalidEach(name, isDns1123Subdomain(name));
  }
  if (spec.preemptionPolicy !== undefined) {
    requiredOneOf(spec.preemptionPolicy, ["PreemptLowerPriority", "Never"], field.at("preemptionPolicy"));
  }
  if (spec.overhead) validateContainerResources({ limits: spec.overhead }, new Set(), field.at("overhead"));
  validateOS(spec, field);
  validateFileKeyVolumes(spec, field);
}

function validateNames(spec: PodSpec, field: Field): void {
  const subdomains = ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] as const;
  for (const key of subdomains) {
    const name = spec[key];
    if (name || (key === "runtimeClassName" && name !== undefined))
      field.at(key).invalidEach(name, isDns1123Subdomain(name));
  }
  for (const key of ["hostname", "subdomain"] as const) {
    const name = spec[key];
    if (name) field.at(key).invalidEach(name, isDns1123Label(name));
  }
}

function validateHostname({ hostnameOverride: name, setHostnameAsFQDN, hostNetwork }: PodSpec, field: Field): void {
  if (name === undefined) return;
  const at = field.at("hostnameOverride");
  if (setHostnameAsFQDN) at.forbidden("may not be specified when setHostnameAsFQDN is true");
  if (hostNetwork) at.forbidden("may not be specified when hostNetwork is true");
  if (name.length > 64) at.tooLong(64);
  at.invalidEach(name, isDns1123Subdomain(name));
}

function validateHostNetworkPorts(spec: PodSpec, isPod: boolean, field: Field): void {
  if (!spec.hostNetwork) return;
  for (const [index, { ports }] of (spec.containers ?? []).entries()) {
    for (const [i, { hostPort = 0, containerPort }] of (ports ?? []).entries()) {
      if ((!isPod && hostPort === 0) || hostPort === containerPort) continue;
      const at = field.index(index).at("ports").index(i).at("hostPort");
      at.invalid(hostPort, "must match `containerPort` when `hostNetwork` is true");
    }
  }
}

function validateDns({ dnsPolicy, dnsConfig }: PodSpec, field: Field): void {
  if (dnsPolicy === "None") {
    if (dnsConfig === undefined) {
      field.required("must provide `dnsConfig` when `dnsPolicy` is None");
      return;
    }
    if (!dnsConfig.nameservers?.length) {
      field.at("nameservers").required("must provide at least one DNS nameserver when `dnsPolicy` is None");
      return;
    }
  }
  const { nameservers = [], searches = [], options = [] } = dnsConfig ?? {};
  if (nameservers.length > 3) field.at("nameservers").invalid(nameservers, "must not have more than 3 nameservers");
  for (const [index, address] of nameservers.entries()) validateAddress(address, field.at("nameservers").index(index));
  if (searches.length > 32) field.at("searches").invalid(searches, "must not have more than 32 search paths");
  if (searches.join(" ").length > 2048) {
    field
      .at("searches")
      .invalid(searches, "must not have more than 2048 characters (including spaces) in the search list");
  }
  for (const [index, search] of searches.entries()) {
    const name = search.replace(/\.$/, "");
    if (search !== ".") field.at("searches").index(index).invalidEach(name, isDns1123SubdomainWithUnderscore(name));
  }
  for (const [index, { name }] of options.entries()) {
    if (!name) field.at("options").index(index).required("must not be empty");
  }
}

function validateResourceClaims(
  claims: readonly PodResourceClaim[] | undefined,
  pod: ObjectMeta | undefined,
  field: Field,
): void {
  const seen = new Set<string>();
  for (const [index, claim] of (claims ?? []).entries()) {
    const at = field.index(index);
    if (pod?.annotations && mirrorAnnotation in pod.annotations) {
      at.forbidden("static pods do not support resource claims");
      continue;
    }
    const { name = "", resourceClaimName, resourceClaimTemplateName } = claim;
    if (name === "") at.at("name").required();
    else if (seen.has(name)) at.at("name").duplicate(name);
    else at.at("name").invalidEach(name, isDns1123Label(name));
    seen.add(name);
    const shown = {
      Name: name,
      ResourceClaimName: resourceClaimName ?? null,
      ResourceClaimTemplateName: resourceClaimTemplateName ?? null,
    };
    if (resourceClaimName !== undefined && resourceClaimTemplateName !== undefined) {
      at.invalid(shown, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
    } else if (resourceClaimName === undefined && resourceClaimTemplateName === undefined) {
      at.invalid(shown, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
    }
    for (const key of ["resourceClaimName", "resourceClaimTemplateName"] as const) {
      const value = claim[key];
      if (value !== undefined) at.at(key).invalidEach(value, isDns1123Subdomain(value));
    }
  }
}

function validateFileKeyVolumes(spec: PodSpec, field: Field): void {
  const volumes = new Map((spec.volumes ?? []).map((volume) => [volume.name, volume]));
  eachContainer(spec, field, ({ env = [] }, at) => {
    for (const [index, { valueFrom }] of env.entries()) {
      if (!valueFrom?.fileKeyRef) continue;
      const { volumeName } = valueFrom.fileKeyRef;
      const place = at.at("env").index(index).at("valueFrom", "fileKeyRef", "volumeName");
      const volume = volumes.get(volumeName);
      if (volume === undefined) place.notFound(volumeName);
      else if (!volume.emptyDir) place.invalid(volumeName, "referenced volume must be of type emptyDir");
    }
  });
}
