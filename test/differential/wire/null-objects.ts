/** Objects, and changes of them, whose fields are null, and times that are null or zero. */
import type { Json } from "./request.ts";

export const own = "wire-nulls";
export const core = `/api/v1/namespaces/${own}`;
const at = (group: string, version: string, plural: string): string =>
  `/apis/${group}/${version}/namespaces/${own}/${plural}`;

const zero = "0001-01-01T00:00:00Z";
const then = "2024-01-01T00:00:00Z";
const template = {
  metadata: { creationTimestamp: null, labels: { app: "a" } },
  spec: { containers: [{ name: "a", image: "a", resources: null, env: null }], nodeSelector: null },
};
const selector = { matchLabels: { app: "a" }, matchExpressions: null };

export interface NullKind {
  readonly what: string;
  readonly collection: string;
  readonly object: Json;
  /** Merged into the object, by each sort of patch. */
  readonly changes?: readonly Json[];
  /** The same, into its status. */
  readonly statuses?: readonly Json[];
  /** Has no strategic patch and no protobuf. */
  readonly isCustom?: boolean;
}

/** Merged into the metadata of every kind. */
export const metadatas: readonly Json[] = [
  { creationTimestamp: null },
  { creationTimestamp: zero },
  { deletionTimestamp: null },
  { deletionTimestamp: zero },
  { deletionGracePeriodSeconds: null },
  { labels: null },
  { labels: { a: null } },
  { annotations: { a: null, b: "c" } },
  { finalizers: null },
  { finalizers: [null] },
  { ownerReferences: null },
  { ownerReferences: [null] },
  { ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "a", uid: "u", controller: null }] },
  { managedFields: null },
  { managedFields: [null] },
  { generateName: null },
  { generation: null },
  { uid: null },
  { selfLink: null },
];

const condition = (type: string, more: Json): Json => ({
  type,
  status: "True",
  reason: "Tried",
  message: null,
  ...more,
});
const conditions = (more: readonly Json[], type = "Ready"): Json[] =>
  more.map((each) => ({ conditions: [condition(type, each)] }));
const transitions = (...names: readonly string[]): Json[] => [
  {},
  ...names.flatMap((name) =>
    [null, zero, then, "2024-01-01T02:00:00+02:00", "2024-01-01T00:00:00.5Z", ""].map((time) => ({ [name]: time })),
  ),
];
const microTimes = [
  null,
  zero,
  then,
  "2024-01-01T00:00:00.000000Z",
  "2024-01-01T00:00:00.123456789Z",
  "2024-01-01T02:00:00.1+02:00",
  "",
];

export const nullKinds: readonly NullKind[] = [
  {
    what: "pod",
    collection: `${core}/pods`,
    object: { apiVersion: "v1", kind: "Pod", status: null, spec: template.spec },
    changes: [
      { spec: { activeDeadlineSeconds: null } },
      { spec: { tolerations: null } },
      { spec: { containers: null } },
      { spec: { containers: [{ name: "a", image: null }] } },
      { spec: { nodeSelector: { a: null } } },
      { spec: null },
    ],
    statuses: [
      ...conditions(transitions("lastProbeTime", "lastTransitionTime")),
      { startTime: null },
      { conditions: null },
      { conditions: [null] },
      { containerStatuses: [{ name: "a", state: { running: { startedAt: null } }, lastState: null }] },
      { containerStatuses: [{ name: "a", state: { terminated: { exitCode: 1, startedAt: null, finishedAt: then } } }] },
      { phase: null },
    ],
  },
  {
    what: "map",
    collection: `${core}/configmaps`,
    object: { apiVersion: "v1", kind: "ConfigMap", data: { a: null, b: "c" }, binaryData: null, immutable: null },
    changes: [
      { data: null },
      { data: { b: null } },
      { data: { c: "", d: null } },
      { binaryData: { e: "" } },
      { immutable: null },
      { immutable: false },
    ],
  },
  {
    what: "secret",
    collection: `${core}/secrets`,
    object: { apiVersion: "v1", kind: "Secret", data: { a: null, b: "Yw==" }, stringData: { c: null } },
    changes: [{ stringData: null }, { data: null }, { stringData: { d: null } }, { data: { d: "" } }],
  },
  {
    what: "service",
    collection: `${core}/services`,
    object: {
      apiVersion: "v1",
      kind: "Service",
      spec: { ports: [{ port: 80, name: null, nodePort: null }], selector: null },
    },
    changes: [
      { spec: { selector: null } },
      { spec: { clusterIP: null } },
      { spec: { externalIPs: [null] } },
      { spec: { ports: [{ port: 80, protocol: null }] } },
    ],
    statuses: [
      ...conditions(transitions("lastTransitionTime")),
      { loadBalancer: null },
      { loadBalancer: { ingress: [null] } },
    ],
  },
  {
    what: "node",
    collection: "/api/v1/nodes",
    object: {
      apiVersion: "v1",
      kind: "Node",
      spec: { taints: [{ key: "a", effect: "NoSchedule", timeAdded: null }], podCIDRs: null },
    },
    changes: [{ spec: { taints: null } }, { spec: { unschedulable: null } }],
    statuses: [
      ...conditions(transitions("lastHeartbeatTime", "lastTransitionTime")),
      { capacity: { cpu: null } },
      { capacity: null },
      { images: null },
      { nodeInfo: null },
    ],
  },
  {
    what: "namespace",
    collection: "/api/v1/namespaces",
    object: { apiVersion: "v1", kind: "Namespace", spec: null, status: { phase: null } },
    changes: [{ spec: { finalizers: null } }],
    statuses: conditions(transitions("lastTransitionTime")),
  },
  {
    what: "event",
    collection: `${core}/events`,
    object: {
      apiVersion: "v1",
      kind: "Event",
      involvedObject: { namespace: own, name: "a", kind: null },
      eventTime: null,
      firstTimestamp: null,
      lastTimestamp: zero,
      series: null,
    },
    changes: [
      { lastTimestamp: null },
      { lastTimestamp: then },
      { firstTimestamp: zero },
      { series: { count: 1, lastObservedTime: null } },
      { source: null },
      { count: null },
    ],
  },
  {
    what: "events.k8s.io event",
    collection: at("events.k8s.io", "v1", "events"),
    object: {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      eventTime: "2024-01-01T00:00:00.000001Z",
      reportingController: "a.b/c",
      reportingInstance: "i",
      action: "a",
      reason: "r",
      type: "Normal",
      regarding: { namespace: own, kind: null },
      deprecatedFirstTimestamp: null,
    },
    changes: [{ series: { count: 2, lastObservedTime: then } }, { note: null }],
  },
  {
    what: "lease",
    collection: at("coordination.k8s.io", "v1", "leases"),
    object: {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      spec: { holderIdentity: null, acquireTime: null, renewTime: null },
    },
    changes: [...microTimes.map((renewTime) => ({ spec: { renewTime } })), { spec: null }],
  },
  {
    what: "deployment",
    collection: at("apps", "v1", "deployments"),
    object: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      spec: { replicas: null, selector, strategy: {}, template },
      status: {},
    },
    changes: [
      { spec: { replicas: null } },
      { spec: { strategy: null } },
      { spec: { paused: null, minReadySeconds: null } },
      { spec: { template: { metadata: { creationTimestamp: null, labels: { b: null } } } } },
      { spec: { template: { metadata: { creationTimestamp: then } } } },
      { spec: { template: { spec: { volumes: null, securityContext: null } } } },
    ],
    statuses: [...conditions(transitions("lastUpdateTime", "lastTransitionTime"), "Available"), { replicas: null }],
  },
  {
    what: "job",
    collection: at("batch", "v1", "jobs"),
    object: {
      apiVersion: "batch/v1",
      kind: "Job",
      spec: { suspend: null, template: { ...template, spec: { ...template.spec, restartPolicy: "Never" } } },
    },
    changes: [{ spec: { parallelism: null } }, { spec: { suspend: null } }],
    statuses: [
      { startTime: null },
      { completionTime: null },
      { active: null },
      { uncountedTerminatedPods: null },
      ...conditions(transitions("lastProbeTime"), "Suspended"),
    ],
  },
  {
    what: "cron job",
    collection: at("batch", "v1", "cronjobs"),
    object: {
      apiVersion: "batch/v1",
      kind: "CronJob",
      spec: {
        schedule: "* * * * *",
        startingDeadlineSeconds: null,
        jobTemplate: {
          metadata: { creationTimestamp: null },
          spec: { template: { ...template, spec: { ...template.spec, restartPolicy: "Never" } } },
        },
      },
    },
    changes: [{ spec: { timeZone: null } }, { spec: { suspend: null } }],
    statuses: [{ lastScheduleTime: null }, { lastScheduleTime: then }, { active: null }, { active: [null] }],
  },
  {
    what: "budget",
    collection: at("policy", "v1", "poddisruptionbudgets"),
    object: {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      spec: { maxUnavailable: null, minAvailable: 1, selector: null },
    },
    changes: [{ spec: { selector: {} } }, { spec: { minAvailable: null } }],
    statuses: [{ disruptedPods: { a: null, b: then, c: zero } }, { disruptedPods: null }, { currentHealthy: null }],
  },
  {
    what: "autoscaler",
    collection: at("autoscaling", "v2", "horizontalpodautoscalers"),
    object: {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      spec: {
        maxReplicas: 2,
        minReplicas: null,
        metrics: null,
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "a" },
      },
    },
    changes: [{ spec: { behavior: null } }, { spec: { metrics: null } }],
    statuses: [
      { lastScaleTime: null },
      { currentMetrics: null },
      ...conditions(transitions("lastTransitionTime"), "AbleToScale"),
    ],
  },
  {
    what: "network policy",
    collection: at("networking.k8s.io", "v1", "networkpolicies"),
    object: {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      spec: { podSelector: null, ingress: null, egress: [null], policyTypes: null },
    },
    changes: [
      { spec: { ingress: [null] } },
      { spec: { ingress: [{ from: null, ports: [null] }] } },
      { spec: { podSelector: null } },
    ],
  },
  {
    what: "role",
    collection: at("rbac.authorization.k8s.io", "v1", "roles"),
    object: { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", rules: null },
    changes: [
      { rules: null },
      { rules: [{ verbs: ["get"], resources: ["pods"], apiGroups: [""], resourceNames: null }] },
    ],
  },
  {
    what: "claim",
    collection: `${core}/persistentvolumeclaims`,
    object: {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      spec: {
        accessModes: ["ReadWriteOnce"],
        storageClassName: null,
        volumeName: null,
        dataSource: null,
        resources: { requests: { storage: "1Gi" }, limits: null },
      },
    },
    changes: [{ spec: { volumeMode: null } }, { spec: { storageClassName: null } }],
    statuses: [
      ...conditions(transitions("lastProbeTime", "lastTransitionTime"), "Resizing"),
      { capacity: { storage: null } },
      { accessModes: null },
    ],
  },
  {
    what: "gadget",
    collection: at("nulls.example.com", "v1", "gadgets"),
    isCustom: true,
    object: {
      apiVersion: "nulls.example.com/v1",
      kind: "Gadget",
      spec: {
        plain: null,
        nullable: null,
        defaulted: null,
        nullableDefaulted: null,
        list: [null],
        free: { a: null },
        map: { a: null, b: "c" },
      },
    },
    changes: [
      ...[
        "plain",
        "nullable",
        "defaulted",
        "nullableDefaulted",
        "time",
        "list",
        "map",
        "free",
        "within",
        "nullableList",
      ].map((name) => ({ spec: { [name]: null } })),
      { spec: { nullableList: [null, "a"] } },
      { spec: { list: [null] } },
      { spec: { map: { a: null, d: "e" } } },
      { spec: { free: { a: null, b: [null] } } },
      { spec: { within: { plain: null, nullable: null } } },
      { spec: { time: then } },
      { spec: { time: "" } },
      { spec: null },
    ],
    statuses: [{ seen: null }, { since: null }, { since: then }],
  },
];

const text = { type: "string" };
const nullable = { ...text, nullable: true };
const properties = (fields: Json, more: Json = {}): Json => ({ type: "object", properties: fields, ...more });
export const definition: Json = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "gadgets.nulls.example.com", creationTimestamp: null },
  spec: {
    group: "nulls.example.com",
    scope: "Namespaced",
    names: { plural: "gadgets", kind: "Gadget" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: properties({
            spec: properties({
              plain: text,
              nullable,
              defaulted: { ...text, default: "d" },
              nullableDefaulted: { ...nullable, default: "n" },
              time: { ...text, format: "date-time" },
              list: { type: "array", items: text },
              nullableList: { type: "array", items: nullable, nullable: true },
              map: { type: "object", additionalProperties: text },
              free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
              within: properties({ plain: { ...text, default: "w" }, nullable }, { nullable: true }),
            }),
            status: properties({ seen: { type: "integer" }, since: { ...text, format: "date-time" } }),
          }),
        },
      },
    ],
  },
};
