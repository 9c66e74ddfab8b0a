/** Objects of many kinds, as a webhook is shown them when they are made, changed and deleted. */
import type { Sent } from "./webhook-cases.ts";

const template = {
  metadata: { labels: { a: "b" } },
  spec: { containers: [{ name: "c", image: "c", env: [{ name: "E" }], resources: {} }] },
};
const selector = { matchLabels: { a: "b" } };

interface Shown {
  readonly path: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly fields: object;
}

const core = (plural: string, kind: string, fields: object, base = "/api/v1/namespaces/hooked"): Shown => ({
  path: `${base}/${plural}`,
  apiVersion: "v1",
  kind,
  fields,
});
const grouped = (group: string, plural: string, kind: string, fields: object, namespaced = true): Shown => ({
  path: `/apis/${group}${namespaced ? "/namespaces/hooked" : ""}/${plural}`,
  apiVersion: group,
  kind,
  fields,
});

const kinds: readonly Shown[] = [
  core("pods", "Pod", { spec: { ...template.spec, volumes: [{ name: "v", emptyDir: {} }] } }),
  core("services", "Service", { spec: { ports: [{ port: 80 }] } }),
  core("secrets", "Secret", { stringData: { a: "b" } }),
  core("configmaps", "ConfigMap", { data: {}, binaryData: {} }),
  core("persistentvolumeclaims", "PersistentVolumeClaim", {
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  }),
  core("limitranges", "LimitRange", { spec: { limits: [{ type: "Pod", max: { cpu: "1" } }] } }),
  core("resourcequotas", "ResourceQuota", { spec: {} }),
  core("serviceaccounts", "ServiceAccount", {}),
  core("endpoints", "Endpoints", {}),
  core("replicationcontrollers", "ReplicationController", { spec: { selector: { a: "b" }, template } }),
  core("podtemplates", "PodTemplate", { template }),
  core("events", "Event", { involvedObject: { namespace: "hooked" } }),
  core("nodes", "Node", {}, "/api/v1"),
  core("namespaces", "Namespace", {}, "/api/v1"),
  core(
    "persistentvolumes",
    "PersistentVolume",
    { spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/x" } } },
    "/api/v1",
  ),
  grouped("apps/v1", "deployments", "Deployment", { spec: { selector, template } }),
  grouped("apps/v1", "statefulsets", "StatefulSet", { spec: { selector, template, serviceName: "s" } }),
  grouped("apps/v1", "daemonsets", "DaemonSet", { spec: { selector, template } }),
  grouped("apps/v1", "replicasets", "ReplicaSet", { spec: { selector, template } }),
  grouped("batch/v1", "jobs", "Job", {
    spec: { template: { spec: { ...template.spec, restartPolicy: "Never" } } },
  }),
  grouped("batch/v1", "cronjobs", "CronJob", {
    spec: {
      schedule: "* * * * *",
      jobTemplate: { spec: { template: { spec: { ...template.spec, restartPolicy: "Never" } } } },
    },
  }),
  grouped("networking.k8s.io/v1", "ingresses", "Ingress", {
    spec: { defaultBackend: { service: { name: "s", port: { number: 80 } } } },
  }),
  grouped("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", { spec: { podSelector: {} } }),
  grouped("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", { spec: { selector } }),
  grouped("rbac.authorization.k8s.io/v1", "roles", "Role", { rules: [] }),
  grouped("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", {
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
  }),
  grouped("coordination.k8s.io/v1", "leases", "Lease", { spec: {} }),
  grouped("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", { addressType: "IPv4", endpoints: [], ports: [] }),
  grouped("storage.k8s.io/v1", "storageclasses", "StorageClass", { provisioner: "p" }, false),
  grouped("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", { value: 7 }, false),
  grouped("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", {
    spec: { maxReplicas: 2, scaleTargetRef: { kind: "Deployment", name: "d", apiVersion: "apps/v1" } },
  }),
];

/** Of the webhook that is shown them: all that is labelled so. */
export const shownWebhook = {
  admissionReviewVersions: ["v1"],
  sideEffects: "None",
  objectSelector: { matchLabels: { shown: "1" } },
  rules: [{ apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["*"] }],
};

const patchType = "application/merge-patch+json";
const shows = "requests" as const;

export const reviewRequests: readonly Sent[] = kinds.flatMap(({ path, apiVersion, kind, fields }): Sent[] => {
  const name = `shown-${kind.toLowerCase()}`;
  const metadata = { name, labels: { shown: "1" } };
  const patch = { metadata: { annotations: { a: "b" } } };
  return [
    { name: `${kind} made`, path: `${path}?fieldManager=m`, body: { apiVersion, kind, metadata, ...fields }, shows },
    {
      name: `${kind} changed`,
      method: "PATCH",
      path: `${path}/${name}?dryRun=All`,
      type: patchType,
      body: patch,
      shows,
    },
    { name: `${kind} deleted`, method: "DELETE", path: `${path}/${name}?gracePeriodSeconds=0`, shows },
  ];
});
