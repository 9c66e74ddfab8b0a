/** Defaults of pods and pod templates (pkg/apis/core/v1/defaults.go). */
import type { KubeObject } from "#shared/api/object.ts";
import { formatQuantity } from "#shared/api/quantity.ts";
import type {
  Container,
  HTTPGetAction,
  Pod,
  PodSpec,
  PodTemplateSpec,
  Probe,
  ResourceRequirements,
  VolumeProjection,
} from "#shared/api/types/core-v1.generated.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import type { Strategy } from "../../../registry/declaration.ts";
import { isHugePages } from "../../validation/quantities.ts";
import { defaultPullPolicy, defaultVolume } from "../volume-defaults.ts";
import { aggregate, isPodLevelResource } from "./aggregate.ts";

function defaultHttpGet(action: HTTPGetAction | undefined): void {
  if (action === undefined) return;
  action.path ||= "/";
  action.scheme ||= "HTTP";
}

function defaultProbe(probe: Probe | undefined): void {
  if (probe === undefined) return;
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  defaultHttpGet(probe.httpGet);
  if (probe.grpc) probe.grpc.service ??= "";
}

function defaultContainer(container: Container): void {
  container.imagePullPolicy ||= defaultPullPolicy(container.image);
  container.terminationMessagePath ||= "/dev/termination-log";
  container.terminationMessagePolicy ||= "File";
  container.resources ??= {};
  for (const port of container.ports ?? []) port.protocol ||= "TCP";
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.fieldRef) valueFrom.fieldRef.apiVersion ||= "v1";
    if (valueFrom?.fileKeyRef) valueFrom.fileKeyRef.optional ??= false;
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) defaultProbe(probe);
  defaultHttpGet(container.lifecycle?.postStart?.httpGet);
  defaultHttpGet(container.lifecycle?.preStop?.httpGet);
}

/** Defaults that hold in a pod and in every template of one. */
function defaultPodSpec(spec: PodSpec): void {
  spec.dnsPolicy ||= "ClusterFirst";
  spec.restartPolicy ||= "Always";
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ||= "default-scheduler";
  // The old name of the field is kept as a copy of the new one.
  spec.serviceAccountName ||= spec.serviceAccount;
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName;
  else {
    delete spec.serviceAccountName;
    delete spec.serviceAccount;
  }
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
  for (const list of [spec.initContainers, spec.containers, spec.ephemeralContainers]) {
    for (const container of list ?? []) defaultContainer(container);
  }
}

/** A workload without labels has those of its template. */
export function labelLikeTemplate({
  metadata,
  spec,
}: {
  metadata: ObjectMeta;
  readonly spec: { readonly template?: PodTemplateSpec | undefined };
}): void {
  const labels = spec.template?.metadata?.labels;
  if (labels && Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
}

/** The strategy of a kind with a pod template: what stands behind closed gates is dropped from the template. */
export function withPodTemplate<T extends KubeObject>(
  templateOf: (object: T) => PodTemplateSpec | undefined,
  strategy: Strategy<T>,
): Strategy<T> {
  const drop = (draft: T, old?: Readonly<T>): void => {
    const spec = templateOf(draft)?.spec;
    if (spec) dropGatedPodFields(spec, old && templateOf(old)?.spec);
  };
  return {
    ...strategy,
    prepareForCreate(draft) {
      drop(draft);
      strategy.prepareForCreate?.(draft);
    },
    prepareForUpdate(draft, old) {
      drop(draft, old);
      strategy.prepareForUpdate?.(draft, old);
    },
  };
}

/** What stands behind gates that upstream keeps closed, unless the pod has had it before. */
export function dropGatedPodFields(spec: PodSpec, old?: Readonly<PodSpec>): void {
  if (old?.workloadRef === undefined) delete spec.workloadRef;
  if (!allContainers(old).some(({ lifecycle }) => lifecycle?.stopSignal !== undefined)) dropStopSignals(spec);
  for (const kind of ["clusterTrustBundle", "podCertificate"] as const) {
    if (projectionsOf(old).some((source) => source[kind] !== undefined)) continue;
    for (const source of projectionsOf(spec)) delete source[kind];
  }
}

const allContainers = (spec: Readonly<PodSpec> | undefined): Pick<Container, "lifecycle">[] => [
  ...(spec?.initContainers ?? []),
  ...(spec?.containers ?? []),
  ...(spec?.ephemeralContainers ?? []),
];

const projectionsOf = (spec: Readonly<PodSpec> | undefined): VolumeProjection[] =>
  (spec?.volumes ?? []).flatMap(({ projected }) => projected?.sources ?? []);

function dropStopSignals(spec: PodSpec): void {
  for (const container of allContainers(spec)) {
    if (container.lifecycle?.stopSignal === undefined) continue;
    delete container.lifecycle.stopSignal;
    if (Object.keys(container.lifecycle).length === 0) delete container.lifecycle;
  }
}

export function defaultPodTemplate(template: PodTemplateSpec | undefined): void {
  if (template === undefined) return;
  template.metadata ??= {};
  template.spec ??= {} as PodSpec;
  defaultPodSpec(template.spec);
}

/** A limit without a request is a request, too. */
function requestLimits(resources: ResourceRequirements | undefined): void {
  if (!resources?.limits) return;
  resources.requests = { ...resources.limits, ...resources.requests };
}

function defaultPodLevelResources(spec: PodSpec): void {
  const { resources } = spec;
  if (resources === undefined) return;
  const { limits = {}, requests = {} } = resources;
  if (Object.keys(limits).length + Object.keys(requests).length === 0) return;
  for (const [name, amount] of aggregate(spec, "limits")) {
    if (isHugePages(name) && !(name in requests)) limits[name] ??= formatQuantity(amount);
  }
  if (Object.keys(limits).length > 0) {
    for (const [name, amount] of aggregate(spec, "requests")) {
      if (isPodLevelResource(name) && !isHugePages(name)) requests[name] ??= formatQuantity(amount);
    }
    for (const [name, amount] of Object.entries(limits)) if (isPodLevelResource(name)) requests[name] ??= amount;
    resources.limits = limits;
  }
  if (Object.keys(requests).length > 0) resources.requests = requests;
}

export function defaultPod(pod: Pod): void {
  pod.spec ??= {} as PodSpec;
  const { spec } = pod;
  spec.containers ??= [];
  for (const { resources } of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) requestLimits(resources);
  defaultPodLevelResources(spec);
  spec.enableServiceLinks ??= true;
  if (spec.hostNetwork) {
    for (const { ports } of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
      for (const port of ports ?? []) port.hostPort ||= port.containerPort;
    }
  }
  defaultPodSpec(spec);
  // Of pods alone: a template keeps what stands in it. Upstream does it wherever a pod is read.
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) spec.terminationGracePeriodSeconds = 1;
  syncAddresses(pod);
}

/** podIP and podIPs[0] are one value under two names; so are hostIP and hostIPs[0]. */
function syncAddresses({ status }: Pod): void {
  if (status === undefined) return;
  if (status.podIP && !status.podIPs?.length) status.podIPs = [{ ip: status.podIP }];
  else if (status.podIPs?.[0] && !status.podIP) status.podIP = status.podIPs[0].ip;
  else if (status.podIP && status.podIPs?.[0] && status.podIPs[0].ip !== status.podIP)
    status.podIPs = [{ ip: status.podIP }];
}
