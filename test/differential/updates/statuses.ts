/** A rich status of every kind that has one, as whoever manages it would write it. By the name of the sample that it is for. */
import type { Json } from "../wire/request.ts";

const time = "2024-01-01T00:00:00Z";
const later = "2024-01-02T00:00:00Z";

/** As most kinds have them. */
const condition = (type: string, status = "True"): Json => ({
  type,
  status,
  reason: "Tried",
  message: "it was tried",
  lastTransitionTime: time,
});

const observed = (type: string): Json => ({ ...condition(type), observedGeneration: 1 });

const container = (name: string, state: Json): Json => ({
  name,
  image: "registry.example/web:1.2",
  imageID: "registry.example/web@sha256:0",
  containerID: "docker://0123",
  ready: true,
  started: true,
  restartCount: 1,
  state,
  lastState: {
    terminated: { exitCode: 1, reason: "Error", startedAt: time, finishedAt: later, containerID: "docker://1" },
  },
  allocatedResources: { cpu: "1" },
  resources: { requests: { cpu: "1" }, limits: { cpu: "2" } },
  volumeMounts: [{ name: "data", mountPath: "/data", readOnly: true, recursiveReadOnly: "Disabled" }],
  user: { linux: { uid: 1, gid: 2, supplementalGroups: [3] } },
  stopSignal: "SIGTERM",
});

const pod: Json = {
  phase: "Running",
  observedGeneration: 1,
  conditions: [observed("Ready"), { ...observed("PodScheduled"), lastProbeTime: time }],
  message: "all well",
  reason: "Well",
  hostIP: "10.0.0.1",
  hostIPs: [{ ip: "10.0.0.1" }, { ip: "fd00::1" }],
  podIP: "10.42.0.5",
  podIPs: [{ ip: "10.42.0.5" }, { ip: "fd00::5" }],
  startTime: time,
  qosClass: "Burstable",
  resize: "",
  nominatedNodeName: "node-a",
  containerStatuses: [container("web", { running: { startedAt: time } })],
};

const loadBalancer: Json = {
  loadBalancer: {
    ingress: [
      { ip: "1.2.3.4", ipMode: "VIP", ports: [{ port: 80, protocol: "TCP" }] },
      { hostname: "lb.example.com", ports: [{ port: 443, protocol: "TCP", error: "example.com/Failed" }] },
    ],
  },
};

const service: Json = { ...loadBalancer, conditions: [observed("Ready")] };

const job = (conditions: readonly Json[], more: Json = {}): Json => ({
  conditions,
  startTime: time,
  active: 1,
  ready: 1,
  terminating: 1,
  succeeded: 0,
  failed: 1,
  uncountedTerminatedPods: { succeeded: ["a"], failed: ["b"] },
  ...more,
});

const replicas: Json = { replicas: 3, readyReplicas: 2, availableReplicas: 1, observedGeneration: 1 };

const priority = (...types: string[]): Json => ({ conditions: types.map((type) => condition(type)) });

const driver = "gpu.example.com";
const device: Json = { driver, pool: "pool-a/one", device: "gpu-0" };

const claimStatus: Json = {
  allocation: {
    devices: {
      results: [{ request: "gpu", ...device, adminAccess: false }],
      config: [{ source: "FromClaim", requests: ["gpu"], opaque: { driver, parameters: { a: 1 } } }],
    },
    nodeSelector: {
      nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["node-a"] }] }],
    },
    allocationTimestamp: time,
  },
  reservedFor: [{ resource: "pods", name: "pod-a", uid: "0a" }],
  devices: [
    {
      ...device,
      conditions: [observed("Ready")],
      data: { some: "thing" },
      networkData: {
        interfaceName: "net1",
        ips: ["10.9.8.7/24", "2001:db8::1/64"],
        hardwareAddress: "ea:9f:cb:40:b6:7b",
      },
    },
  ],
};

/** Not of kinds whose controllers in upstream's API server write it at once themselves. */
export const statuses: Readonly<Record<string, Json>> = {
  pod,
  hostPod: pod,
  service: { conditions: [observed("Ready")] },
  loadBalancerService: service,
  namespace: { phase: "Active", conditions: [condition("NamespaceContentRemaining")] },
  node: {
    capacity: { cpu: "4", memory: "8Gi", pods: "110", "example.com/gpu": "2" },
    allocatable: { cpu: "3", memory: "7Gi" },
    phase: "Running",
    conditions: [{ ...condition("Ready"), lastHeartbeatTime: time }],
    addresses: [
      { type: "InternalIP", address: "10.0.0.1" },
      { type: "Hostname", address: "node-a" },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    nodeInfo: { machineID: "a", systemUUID: "b", bootID: "c", kernelVersion: "6", osImage: "d", architecture: "arm64" },
    images: [{ names: ["registry.example/web:1.2"], sizeBytes: 5 }],
    volumesInUse: ["kubernetes.io/csi/a"],
    volumesAttached: [{ name: "kubernetes.io/csi/a", devicePath: "/dev/a" }],
    config: {
      assigned: {
        configMap: { namespace: "kube-system", name: "a", uid: "u", resourceVersion: "1", kubeletConfigKey: "kubelet" },
      },
      error: "none",
    },
    runtimeHandlers: [{ name: "runc", features: { recursiveReadOnlyMounts: true, userNamespaces: false } }],
    features: { supplementalGroupsPolicy: true },
    declaredFeatures: ["FeatureA", "FeatureB/partOf"],
  },
  persistentVolume: { phase: "Bound", message: "all well", reason: "Well", lastPhaseTransitionTime: time },
  persistentVolumeClaim: {
    phase: "Bound",
    accessModes: ["ReadWriteOnce"],
    capacity: { storage: "1000Mi" },
    conditions: [{ ...condition("Resizing"), lastProbeTime: time }],
    allocatedResources: { storage: "1000Mi" },
    allocatedResourceStatuses: { storage: "NodeResizeInProgress" },
    currentVolumeAttributesClassName: "fast",
    modifyVolumeStatus: { targetVolumeAttributesClassName: "slow", status: "InProgress" },
  },
  resourceQuota: { hard: { pods: "4", "requests.cpu": "1" }, used: { pods: "1", "requests.cpu": "500m" } },
  replicationController: { ...replicas, fullyLabeledReplicas: 1, conditions: [condition("ReplicaFailure")] },
  deployment: {
    ...replicas,
    updatedReplicas: 2,
    unavailableReplicas: 1,
    terminatingReplicas: 1,
    collisionCount: 1,
    conditions: [{ ...condition("Available"), lastUpdateTime: time }],
  },
  replicaSet: {
    ...replicas,
    fullyLabeledReplicas: 1,
    terminatingReplicas: 1,
    conditions: [condition("ReplicaFailure")],
  },
  daemonSet: {
    currentNumberScheduled: 1,
    numberMisscheduled: 1,
    desiredNumberScheduled: 2,
    numberReady: 1,
    observedGeneration: 1,
    updatedNumberScheduled: 1,
    numberAvailable: 1,
    numberUnavailable: 1,
    collisionCount: 1,
    conditions: [condition("Any")],
  },
  statefulSet: {
    ...replicas,
    currentReplicas: 1,
    updatedReplicas: 1,
    currentRevision: "a",
    updateRevision: "b",
    collisionCount: 1,
    conditions: [condition("Any")],
  },
  job: job([{ ...condition("Suspended"), lastProbeTime: time }]),
  indexedJob: job([{ ...condition("FailureTarget"), lastProbeTime: time }], {
    completedIndexes: "0",
    failedIndexes: "1",
  }),
  cronJob: {
    active: [{ kind: "Job", namespace: "wire", name: "a", apiVersion: "batch/v1", uid: "u" }],
    lastScheduleTime: time,
    lastSuccessfulTime: later,
  },
  horizontalPodAutoscaler: {
    observedGeneration: 1,
    lastScaleTime: time,
    currentReplicas: 2,
    desiredReplicas: 3,
    currentMetrics: [
      { type: "Resource", resource: { name: "cpu", current: { averageUtilization: 50, averageValue: "1" } } },
    ],
    conditions: [condition("ScalingActive")],
  },
  podDisruptionBudget: {
    observedGeneration: 1,
    disruptedPods: { a: time },
    disruptionsAllowed: 1,
    currentHealthy: 2,
    desiredHealthy: 1,
    expectedPods: 3,
    conditions: [observed("DisruptionAllowed")],
  },
  ingress: {
    loadBalancer: {
      ingress: [
        { ip: "1.2.3.4", ports: [{ port: 80, protocol: "TCP" }] },
        { hostname: "lb.example.com", ports: [{ port: 443, protocol: "TCP", error: "example.com/Failed" }] },
      ],
    },
  },
  serviceCIDR: { conditions: [observed("Ready")] },
  volumeAttachment: {
    attached: true,
    attachmentMetadata: { device: "a" },
    attachError: { time, message: "no", errorCode: 3 },
    detachError: { time, message: "no" },
  },
  certificateSigningRequest: {
    conditions: [
      {
        type: "Failed",
        status: "True",
        reason: "Tried",
        message: "",
        lastUpdateTime: time,
        lastTransitionTime: time,
      },
    ],
  },
  customResourceDefinition: {
    conditions: [condition("Established")],
    acceptedNames: {
      plural: "widgets",
      singular: "widget",
      kind: "Widget",
      listKind: "WidgetList",
      shortNames: ["wd"],
    },
    storedVersions: ["v1"],
  },
  apiService: { conditions: [condition("Available", "False")] },
  // Another type than the one that a controller sets meanwhile.
  flowSchema: priority("Any"),
  priorityLevelConfiguration: priority("Any"),
  resourceClaim: claimStatus,
};
