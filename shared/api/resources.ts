import type { ResourceRef } from "./resource-ref.ts";
import type {
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from "./types/admissionregistration-v1.generated.ts";
import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
} from "./types/admissionregistration-v1beta1.generated.ts";
import type { CustomResourceDefinition } from "./types/apiextensions-v1.generated.ts";
import type { APIService } from "./types/apiregistration-v1.generated.ts";
import type { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet } from "./types/apps-v1.generated.ts";
import type { HorizontalPodAutoscaler } from "./types/autoscaling-v2.generated.ts";
import type { CronJob, Job } from "./types/batch-v1.generated.ts";
import type { CertificateSigningRequest } from "./types/certificates-v1.generated.ts";
import type { Lease } from "./types/coordination-v1.generated.ts";
import type {
  ConfigMap,
  Endpoints,
  Event,
  LimitRange,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodTemplate,
  ReplicationController,
  ResourceQuota,
  Secret,
  Service,
  ServiceAccount,
} from "./types/core-v1.generated.ts";
import type { EndpointSlice } from "./types/discovery-v1.generated.ts";
import type { Event as EventsV1Event } from "./types/events-v1.generated.ts";
import type { FlowSchema, PriorityLevelConfiguration } from "./types/flowcontrol-v1.generated.ts";
import type { Ingress, IngressClass, IPAddress, NetworkPolicy, ServiceCIDR } from "./types/networking-v1.generated.ts";
import type { RuntimeClass } from "./types/node-v1.generated.ts";
import type { PodDisruptionBudget } from "./types/policy-v1.generated.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "./types/rbac-v1.generated.ts";
import type {
  DeviceClass,
  ResourceClaim,
  ResourceClaimTemplate,
  ResourceSlice,
} from "./types/resource-v1.generated.ts";
import type { PriorityClass } from "./types/scheduling-v1.generated.ts";
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from "./types/storage-v1.generated.ts";

/** References to the built-in resources that components use, in the version that is stored. */
function ref<T>(group: string, version: string, kind: string, plural: string, namespaced: boolean): ResourceRef<T> {
  return { group, version, kind, plural, namespaced };
}

export const pods = ref<Pod>("", "v1", "Pod", "pods", true);
export const services = ref<Service>("", "v1", "Service", "services", true);
export const configMaps = ref<ConfigMap>("", "v1", "ConfigMap", "configmaps", true);
export const secrets = ref<Secret>("", "v1", "Secret", "secrets", true);
export const serviceAccounts = ref<ServiceAccount>("", "v1", "ServiceAccount", "serviceaccounts", true);
export const endpoints = ref<Endpoints>("", "v1", "Endpoints", "endpoints", true);
export const events = ref<Event>("", "v1", "Event", "events", true);
export const limitRanges = ref<LimitRange>("", "v1", "LimitRange", "limitranges", true);
export const resourceQuotas = ref<ResourceQuota>("", "v1", "ResourceQuota", "resourcequotas", true);
export const persistentVolumeClaims = ref<PersistentVolumeClaim>(
  "",
  "v1",
  "PersistentVolumeClaim",
  "persistentvolumeclaims",
  true,
);
export const podTemplates = ref<PodTemplate>("", "v1", "PodTemplate", "podtemplates", true);
export const replicationControllers = ref<ReplicationController>(
  "",
  "v1",
  "ReplicationController",
  "replicationcontrollers",
  true,
);
export const nodes = ref<Node>("", "v1", "Node", "nodes", false);
export const namespaces = ref<Namespace>("", "v1", "Namespace", "namespaces", false);
export const persistentVolumes = ref<PersistentVolume>("", "v1", "PersistentVolume", "persistentvolumes", false);
export const deployments = ref<Deployment>("apps", "v1", "Deployment", "deployments", true);
export const replicaSets = ref<ReplicaSet>("apps", "v1", "ReplicaSet", "replicasets", true);
export const daemonSets = ref<DaemonSet>("apps", "v1", "DaemonSet", "daemonsets", true);
export const statefulSets = ref<StatefulSet>("apps", "v1", "StatefulSet", "statefulsets", true);
export const controllerRevisions = ref<ControllerRevision>(
  "apps",
  "v1",
  "ControllerRevision",
  "controllerrevisions",
  true,
);
export const jobs = ref<Job>("batch", "v1", "Job", "jobs", true);
export const cronJobs = ref<CronJob>("batch", "v1", "CronJob", "cronjobs", true);
export const horizontalPodAutoscalers = ref<HorizontalPodAutoscaler>(
  "autoscaling",
  "v2",
  "HorizontalPodAutoscaler",
  "horizontalpodautoscalers",
  true,
);
export const podDisruptionBudgets = ref<PodDisruptionBudget>(
  "policy",
  "v1",
  "PodDisruptionBudget",
  "poddisruptionbudgets",
  true,
);
export const roles = ref<Role>("rbac.authorization.k8s.io", "v1", "Role", "roles", true);
export const roleBindings = ref<RoleBinding>("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true);
export const clusterRoles = ref<ClusterRole>("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false);
export const clusterRoleBindings = ref<ClusterRoleBinding>(
  "rbac.authorization.k8s.io",
  "v1",
  "ClusterRoleBinding",
  "clusterrolebindings",
  false,
);
export const ingresses = ref<Ingress>("networking.k8s.io", "v1", "Ingress", "ingresses", true);
export const ingressClasses = ref<IngressClass>("networking.k8s.io", "v1", "IngressClass", "ingressclasses", false);
export const networkPolicies = ref<NetworkPolicy>("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true);
export const ipAddresses = ref<IPAddress>("networking.k8s.io", "v1", "IPAddress", "ipaddresses", false);
export const serviceCIDRs = ref<ServiceCIDR>("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", false);
export const endpointSlices = ref<EndpointSlice>("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true);
export const leases = ref<Lease>("coordination.k8s.io", "v1", "Lease", "leases", true);
export const eventsV1 = ref<EventsV1Event>("events.k8s.io", "v1", "Event", "events", true);
export const priorityClasses = ref<PriorityClass>("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false);
export const storageClasses = ref<StorageClass>("storage.k8s.io", "v1", "StorageClass", "storageclasses", false);
export const volumeAttachments = ref<VolumeAttachment>(
  "storage.k8s.io",
  "v1",
  "VolumeAttachment",
  "volumeattachments",
  false,
);
export const csiDrivers = ref<CSIDriver>("storage.k8s.io", "v1", "CSIDriver", "csidrivers", false);
export const csiNodes = ref<CSINode>("storage.k8s.io", "v1", "CSINode", "csinodes", false);
export const csiStorageCapacities = ref<CSIStorageCapacity>(
  "storage.k8s.io",
  "v1",
  "CSIStorageCapacity",
  "csistoragecapacities",
  true,
);
export const volumeAttributesClasses = ref<VolumeAttributesClass>(
  "storage.k8s.io",
  "v1",
  "VolumeAttributesClass",
  "volumeattributesclasses",
  false,
);
export const runtimeClasses = ref<RuntimeClass>("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", false);
export const certificateSigningRequests = ref<CertificateSigningRequest>(
  "certificates.k8s.io",
  "v1",
  "CertificateSigningRequest",
  "certificatesigningrequests",
  false,
);
export const mutatingWebhookConfigurations = ref<MutatingWebhookConfiguration>(
  "admissionregistration.k8s.io",
  "v1",
  "MutatingWebhookConfiguration",
  "mutatingwebhookconfigurations",
  false,
);
export const validatingWebhookConfigurations = ref<ValidatingWebhookConfiguration>(
  "admissionregistration.k8s.io",
  "v1",
  "ValidatingWebhookConfiguration",
  "validatingwebhookconfigurations",
  false,
);
export const validatingAdmissionPolicies = ref<ValidatingAdmissionPolicy>(
  "admissionregistration.k8s.io",
  "v1",
  "ValidatingAdmissionPolicy",
  "validatingadmissionpolicies",
  false,
);
export const validatingAdmissionPolicyBindings = ref<ValidatingAdmissionPolicyBinding>(
  "admissionregistration.k8s.io",
  "v1",
  "ValidatingAdmissionPolicyBinding",
  "validatingadmissionpolicybindings",
  false,
);
/** Served by a setting alone, as the binding below. */
export const mutatingAdmissionPolicies = ref<MutatingAdmissionPolicy>(
  "admissionregistration.k8s.io",
  "v1beta1",
  "MutatingAdmissionPolicy",
  "mutatingadmissionpolicies",
  false,
);
export const mutatingAdmissionPolicyBindings = ref<MutatingAdmissionPolicyBinding>(
  "admissionregistration.k8s.io",
  "v1beta1",
  "MutatingAdmissionPolicyBinding",
  "mutatingadmissionpolicybindings",
  false,
);
export const customResourceDefinitions = ref<CustomResourceDefinition>(
  "apiextensions.k8s.io",
  "v1",
  "CustomResourceDefinition",
  "customresourcedefinitions",
  false,
);
export const apiServices = ref<APIService>("apiregistration.k8s.io", "v1", "APIService", "apiservices", false);
export const flowSchemas = ref<FlowSchema>("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", false);
export const priorityLevelConfigurations = ref<PriorityLevelConfiguration>(
  "flowcontrol.apiserver.k8s.io",
  "v1",
  "PriorityLevelConfiguration",
  "prioritylevelconfigurations",
  false,
);
export const resourceClaims = ref<ResourceClaim>("resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", true);
export const resourceClaimTemplates = ref<ResourceClaimTemplate>(
  "resource.k8s.io",
  "v1",
  "ResourceClaimTemplate",
  "resourceclaimtemplates",
  true,
);
export const resourceSlices = ref<ResourceSlice>("resource.k8s.io", "v1", "ResourceSlice", "resourceslices", false);
export const deviceClasses = ref<DeviceClass>("resource.k8s.io", "v1", "DeviceClass", "deviceclasses", false);
