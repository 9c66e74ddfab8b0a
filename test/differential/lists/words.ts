/** What makes generated values right where any text or number will not do. */
import type { Json } from "../wire/request.ts";

const pick = (n: number, ...values: readonly unknown[]): unknown => values[n % values.length];
const domain = (n: number): Json => ({ name: `check-${n}.example.com` });
const named = (n: number): Json => ({ name: `name${n}` });

/** By a struct's name: fields of its `n`th. */
const structs: Readonly<Record<string, (n: number) => Json>> = {
  Container: (n) => ({ name: `c-${n}`, image: "a" }),
  EphemeralContainer: (n) => ({ name: `e-${n}`, image: "a" }),
  SecretVolumeSource: () => ({ secretName: "a" }),
  ISCSIVolumeSource: () => ({ targetPortal: "10.0.0.1:3260", iqn: "iqn.2001-04.com.example:storage", lun: 0 }),
  RBDVolumeSource: () => ({ image: "a", monitors: ["a"] }),
  FCVolumeSource: () => ({ lun: 0 }),
  ConfigMapVolumeSource: named,
  ConfigMapProjection: named,
  SecretProjection: named,
  DownwardAPIVolumeFile: (n) => ({ path: `p${n}`, fieldRef: { fieldPath: "metadata.name" } }),
  EnvFromSource: (n) => ({ configMapRef: { name: `m-${n}` } }),
  EnvVar: (n) => ({ value: `${n}` }),
  ContainerResizePolicy: (n) => ({ resourceName: pick(n, "cpu", "memory"), restartPolicy: "NotRequired" }),
  VolumeMount: (n) => ({ name: "work", mountPath: `/m${n}` }),
  VolumeDevice: (n) => ({ name: "work", devicePath: `/dev/m${n}` }),
  Toleration: (n) => ({ key: `k-${n}`, operator: "Exists" }),
  Taint: (n) => ({ key: `k-${n}`, effect: "NoExecute" }),
  PodDNSConfigOption: named,
  PodAffinityTerm: () => ({ topologyKey: "zone", labelSelector: { matchLabels: { app: "web" } } }),
  TopologySpreadConstraint: (n) => ({
    maxSkew: 1,
    topologyKey: `zone-${n}`,
    whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: { matchLabels: { app: "web" } },
  }),
  PodResourceClaim: (n) => ({ name: `claim-${n}`, resourceClaimName: `claim-${n}` }),
  NodeSelectorRequirement: (n) => ({ key: `k-${n}`, operator: "In", values: ["a"] }),
  LabelSelectorRequirement: (n) => ({ key: `k-${n}`, operator: "In", values: ["a"] }),
  PersistentVolumeClaimSpec: () => ({ accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } }),
  EndpointPort: (n) => ({ name: `p${n}`, port: n + 1 }),
  LimitRangeItem: (n) => ({ type: pick(n, "Container", "Pod", "PersistentVolumeClaim"), max: { cpu: "2" } }),
  ScopedResourceSelectorRequirement: () => ({ scopeName: "PriorityClass", operator: "In", values: ["a"] }),
  MetricSpec: (n) => ({
    type: "Resource",
    resource: {
      name: pick(n, "cpu", "memory", "storage"),
      target: { type: "Utilization", averageUtilization: n + 1 },
    },
  }),
  HPAScalingPolicy: (n) => ({ type: pick(n, "Pods", "Percent"), value: n + 1, periodSeconds: 10 }),
  MutatingWebhook: domain,
  ValidatingWebhook: domain,
  MatchCondition: (n) => ({ name: `m${n}`, expression: "true" }),
  Variable: (n) => ({ name: `v${n}`, expression: `${n}` }),
  Validation: (n) => ({ expression: `${n} < 9` }),
  AuditAnnotation: (n) => ({ key: `k${n}`, valueExpression: "'a'" }),
  NamedRuleWithOperations: (n) => ({
    operations: ["CREATE"],
    apiGroups: [""],
    apiVersions: ["v1"],
    resources: [`nothings${n}`],
  }),
  RuleWithOperations: (n) => ({
    operations: ["CREATE"],
    apiGroups: [""],
    apiVersions: ["v1"],
    resources: [`nothings${n}`],
  }),
  TokenRequest: (n) => ({ audience: `a${n}` }),
  TopologySelectorLabelRequirement: (n) => ({ key: `k${n}`, values: ["a"] }),
  NetworkPolicyPeer: (n) => ({ podSelector: { matchLabels: { app: `a${n}` } } }),
  DeviceRequest: (n) => ({ name: `r${n}`, exactly: { deviceClassName: "a.example.com" } }),
  DeviceSubRequest: (n) => ({ name: `s${n}`, deviceClassName: "a.example.com" }),
  DeviceSelector: (n) => ({ cel: { expression: `${n} < 9` } }),
  DeviceToleration: (n) => ({ key: `k${n}`, operator: "Exists" }),
  DeviceConstraint: (n) => ({ matchAttribute: `a.example.com/a${n}` }),
  DeviceClaimConfiguration: (n) => ({ opaque: { driver: `a${n}.example.com`, parameters: { a: n } } }),
  DeviceClassConfiguration: (n) => ({ opaque: { driver: `a${n}.example.com`, parameters: { a: n } } }),
  Device: (n) => ({ name: `d${n}` }),
  PodFailurePolicyRule: (n) => ({ action: "Ignore", onPodConditions: [{ type: `T${n}`, status: "True" }] }),
  SuccessPolicyRule: (n) => ({ succeededCount: n + 1 }),
  ContainerRestartRule: (n) => ({ action: "Restart", exitCodes: { operator: "In", values: [n + 1] } }),
};

/** By a field's name. */
const fields: Readonly<Record<string, readonly unknown[]>> = {
  protocol: ["TCP", "UDP", "SCTP"],
  effect: ["NoSchedule", "NoExecute", "PreferNoSchedule"],
  status: ["True", "False", "Unknown"],
  ip: ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
  nameservers: ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
  externalIPs: ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
  addresses: ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
  loadBalancerSourceRanges: ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"],
  except: ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"],
  ipFamilies: ["IPv4", "IPv6"],
  path: ["a", "b", "c"],
  nonResourceURLs: ["/a", "/b", "/c"],
  whenUnsatisfiable: ["DoNotSchedule", "ScheduleAnyway"],
  accessModes: ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"],
  policyTypes: ["Ingress", "Egress"],
  volumeLifecycleModes: ["Persistent", "Ephemeral"],
  scopes: ["NotTerminating", "BestEffort"],
  operations: ["CREATE", "UPDATE", "DELETE"],
  validationActions: ["Deny", "Audit"],
  finalizers: ["example.com/a", "example.com/b", "example.com/c"],
  conversionReviewVersions: ["v1", "v1beta1"],
  add: ["NET_ADMIN", "SYS_TIME", "CHOWN"],
};

export const fieldsOfStruct = (model: string, n: number): Json => structs[model]?.(n) ?? {};

export const wordOf = (name: string, n: number): unknown => fields[name]?.[n % (fields[name]?.length ?? 1)];
