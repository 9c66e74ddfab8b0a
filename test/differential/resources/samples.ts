/** One rich object of each kind, as a client would send it: what defaults and prepares are tried on. */
export interface Sample {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly object: Record<string, unknown>;
}

const sample = (
  group: string,
  version: string,
  kind: string,
  plural: string,
  namespaced: boolean,
  body: object,
): Sample => ({
  group,
  version,
  plural,
  namespaced,
  object: {
    apiVersion: group === "" ? version : `${group}/${version}`,
    kind,
    metadata: { name: "sample", ...(namespaced ? { namespace: "default" } : {}) },
    ...body,
  },
});

const labels = { app: "web" };
const container = { name: "web", image: "registry.example/web:1.2" };
const template = { metadata: { labels }, spec: { containers: [container] } };
const jobTemplate = { spec: { containers: [container], restartPolicy: "Never" } };
const claim = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1000Mi" } } };
const webhook = {
  name: "check.example.com",
  clientConfig: { service: { namespace: "default", name: "hook" } },
  rules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] }],
  sideEffects: "None",
  admissionReviewVersions: ["v1"],
};

/** CN=sample, as openssl made it. */
const certificateRequest = [
  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlJQ1ZqQ0NBVDRDQVFBd0VURVBNQTBHQTFVRUF3d0djMkZ0Y0d4",
  "bE1JSUJJakFOQmdrcWhraUc5dzBCQVFFRgpBQU9DQVE4QU1JSUJDZ0tDQVFFQXM0clloUHdDNmFMaFZIbCs2WklvUG5WMmxrdFg5",
  "WUZ5czVESGgzcXFqNlZvCkNYNkNrNUpQdjZwTnRlejJJRm5jNTlpSk9BcHJnOTlYZDY5WTNpc3ptcU9TTmVjMjEybCthbi84amox",
  "YWtNYjIKanYvczRzaW5NRHh0QlIzYW53VzdVRGUzTUp4OHFRTjNkcjViYzBQdFdacEdpcFNDajd5Q0JabHZzSWVBUVNpago1S1k3",
  "S3FqV0ZVUENlR3pqVjZwcUU5dlRPNVF4UG9wQ0F6TmxqOCs3NFFsL2Yyd3pYck5rYnpaK01ONEJyRTZKCkFRd0ZWTThqYzNnc09U",
  "Rm0wUkdYUHc0N1VDeTZkR0I4YzVJbjJJMGV0ai82WS9RbHE1dHEvb1BNa0ZmdmJVVFkKTDJwVG9LNGRxV0drYW55VVErTFFsdlhk",
  "Vld5dWl2RG1FT3RERTV3dVF3SURBUUFCb0FBd0RRWUpLb1pJaHZjTgpBUUVMQlFBRGdnRUJBSzhDS2p3dXhwUGtVRG5mNFVKNDd2",
  "VzRUYXB2VnBROFBxZ2dMV1M0enUzRE85T1cxQlRkCjlWTlRSbytzMkpybjF2cGdPeTJVemlOREExZEZVbzlUSEViOTJvOGhGc0tx",
  "a29CYnRBTVRLMytRVGgzdU1tK2UKWHhPQm53Z1FmQVpjc1daZEM0YmtLK05CM0JTK0JIeHRKUVkzdUtINkFLK1A3dUdRTUhCM2lG",
  "TGtzTm92TEkzUwpGQ3ZHTHB5SmxnVWlHR2VxaFYwRHhNUHc5aHV5emJ3eXNsUHFaRG1BdS9KT1VYV2F1TlRRNUxrZ3ZvbnBPTzRT",
  "CmNWQnh2L1lMb3RjZ2c2ZDFITDQvUkNkeTljY0psUDRmZ2FnTFR4SDZTTkZUS3czSElmZlFlOHFuRXI1ZkJWcFcKOTVBd3YzQlky",
  "eVlzRk5uV2RtUmEyM1JFd05oSFhOOWdmYWM9Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=",
].join("");

export const samples: Readonly<Record<string, Sample>> = {
  pod: sample("", "v1", "Pod", "pods", true, {
    metadata: { name: "sample", namespace: "default", labels: { ...labels, tier: "front" } },
    spec: {
      hostNetwork: false,
      serviceAccountName: "builder",
      nodeSelector: { disk: "ssd" },
      tolerations: [{ key: "gpu", operator: "Exists", effect: "NoSchedule" }],
      affinity: {
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            {
              weight: 10,
              podAffinityTerm: {
                topologyKey: "kubernetes.io/hostname",
                labelSelector: { matchLabels: labels },
                matchLabelKeys: ["tier"],
              },
            },
          ],
        },
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: "kubernetes.io/arch", operator: "In", values: ["arm64"] }] },
            ],
          },
        },
      },
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule", labelSelector: { matchLabels: labels } },
      ],
      initContainers: [
        { name: "setup", image: "busybox" },
        {
          name: "sidecar",
          image: "busybox@sha256:0000000000000000000000000000000000000000000000000000000000000000",
          restartPolicy: "Always",
        },
      ],
      containers: [
        {
          name: "web",
          image: "registry.example:5000/web",
          ports: [{ name: "http", containerPort: 80 }],
          env: [
            { name: "NAME", value: "x" },
            { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
            { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
          ],
          envFrom: [{ prefix: "P_", configMapRef: { name: "settings" } }],
          resources: { limits: { cpu: "1000m", memory: "1024Mi" }, requests: { cpu: "0.5" } },
          livenessProbe: { httpGet: { port: 80 }, initialDelaySeconds: 3 },
          readinessProbe: { tcpSocket: { port: "http" } },
          startupProbe: { grpc: { port: 9000 } },
          lifecycle: {
            preStop: { httpGet: { port: "http", path: "/stop" } },
            postStart: { exec: { command: ["true"] } },
          },
          volumeMounts: [
            { name: "config", mountPath: "/config" },
            { name: "tmp", mountPath: "/tmp", subPath: "a" },
          ],
          securityContext: { runAsUser: 1000, capabilities: { drop: ["ALL"] } },
        },
        { name: "log", image: "log:latest", resources: { requests: { cpu: "100m" } } },
      ],
      volumes: [
        { name: "config", configMap: { name: "settings", items: [{ key: "a", path: "b" }] } },
        { name: "secret", secret: { secretName: "secret" } },
        { name: "tmp", emptyDir: {} },
        { name: "host", hostPath: { path: "/data" } },
        { name: "claim", persistentVolumeClaim: { claimName: "data" } },
        { name: "scratch", ephemeral: { volumeClaimTemplate: { spec: claim } } },
        { name: "info", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
        {
          name: "all",
          projected: {
            sources: [
              { serviceAccountToken: { path: "token" } },
              { configMap: { name: "settings" } },
              { downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } },
            ],
          },
        },
        { name: "image", image: { reference: "data:1" } },
        { name: "nfs", nfs: { server: "nas", path: "/export" } },
        { name: "iscsi", iscsi: { targetPortal: "10.0.0.1:3260", iqn: "iqn.2001-04.com.example:storage", lun: 0 } },
      ],
    },
  }),
  hostPod: sample("", "v1", "Pod", "pods", true, {
    spec: {
      hostNetwork: true,
      containers: [{ ...container, ports: [{ containerPort: 80 }], resources: { limits: { cpu: 1, memory: "64Mi" } } }],
      schedulingGates: [{ name: "example.com/wait" }],
    },
  }),
  service: sample("", "v1", "Service", "services", true, {
    spec: {
      selector: labels,
      ports: [
        { name: "http", port: 80 },
        { name: "dns", port: 53, protocol: "UDP", targetPort: "dns" },
      ],
      sessionAffinity: "ClientIP",
    },
  }),
  nodePortService: sample("", "v1", "Service", "services", true, {
    spec: { type: "NodePort", selector: labels, ports: [{ port: 80, nodePort: 30080 }] },
  }),
  loadBalancerService: sample("", "v1", "Service", "services", true, {
    spec: {
      type: "LoadBalancer",
      selector: labels,
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 30099,
      ports: [{ port: 443, nodePort: 30443 }],
      loadBalancerSourceRanges: ["10.0.0.0/8"],
    },
  }),
  headlessService: sample("", "v1", "Service", "services", true, {
    spec: { clusterIP: "None", selector: labels, ports: [{ port: 80 }] },
  }),
  externalService: sample("", "v1", "Service", "services", true, {
    spec: { type: "ExternalName", externalName: "db.example.com" },
  }),
  configMap: sample("", "v1", "ConfigMap", "configmaps", true, { data: { a: "1" }, binaryData: { b: "AAE=" } }),
  immutableConfigMap: sample("", "v1", "ConfigMap", "configmaps", true, { data: { a: "1" }, immutable: true }),
  secret: sample("", "v1", "Secret", "secrets", true, { data: { a: "MQ==" }, stringData: { b: "two", a: "one" } }),
  immutableSecret: sample("", "v1", "Secret", "secrets", true, { data: { a: "MQ==" }, immutable: true }),
  namespace: sample("", "v1", "Namespace", "namespaces", false, {}),
  node: sample("", "v1", "Node", "nodes", false, {
    spec: { podCIDR: "10.42.1.0/24", taints: [{ key: "a", effect: "NoSchedule" }] },
    status: { capacity: { cpu: "4", memory: "8Gi" } },
  }),
  serviceAccount: sample("", "v1", "ServiceAccount", "serviceaccounts", true, {
    secrets: [{ name: "token", kind: "Secret" }],
    imagePullSecrets: [{ name: "registry" }],
  }),
  persistentVolume: sample("", "v1", "PersistentVolume", "persistentvolumes", false, {
    spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/data" } },
  }),
  localVolume: sample("", "v1", "PersistentVolume", "persistentvolumes", false, {
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOnce"],
      local: { path: "/data" },
      storageClassName: "local",
      nodeAffinity: {
        required: { nodeSelectorTerms: [{ matchExpressions: [{ key: "a", operator: "In", values: ["b"] }] }] },
      },
    },
  }),
  persistentVolumeClaim: sample("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true, {
    spec: { ...claim, storageClassName: "local", dataSource: { kind: "PersistentVolumeClaim", name: "other" } },
  }),
  endpoints: sample("", "v1", "Endpoints", "endpoints", true, {
    subsets: [{ addresses: [{ ip: "10.0.0.1" }], ports: [{ port: 80 }] }],
  }),
  event: sample("", "v1", "Event", "events", true, {
    involvedObject: { kind: "Pod", namespace: "default", name: "sample" },
    reason: "Tried",
    message: "it",
    type: "Normal",
    source: { component: "test" },
    firstTimestamp: "2024-01-01T00:00:00Z",
  }),
  limitRange: sample("", "v1", "LimitRange", "limitranges", true, {
    spec: {
      limits: [{ type: "Container", max: { cpu: "2", memory: "1Gi" }, min: { cpu: "100m" }, default: { cpu: "1" } }],
    },
  }),
  resourceQuota: sample("", "v1", "ResourceQuota", "resourcequotas", true, {
    spec: { hard: { pods: "10", "requests.cpu": "4" }, scopes: ["NotTerminating"] },
  }),
  replicationController: sample("", "v1", "ReplicationController", "replicationcontrollers", true, {
    spec: { template },
  }),
  podTemplate: sample("", "v1", "PodTemplate", "podtemplates", true, { template }),
  deployment: sample("apps", "v1", "Deployment", "deployments", true, {
    spec: { selector: { matchLabels: labels }, template },
  }),
  replicaSet: sample("apps", "v1", "ReplicaSet", "replicasets", true, {
    spec: { replicas: 2, selector: { matchLabels: labels }, template },
  }),
  daemonSet: sample("apps", "v1", "DaemonSet", "daemonsets", true, {
    spec: { selector: { matchLabels: labels }, template },
  }),
  statefulSet: sample("apps", "v1", "StatefulSet", "statefulsets", true, {
    spec: {
      selector: { matchLabels: labels },
      serviceName: "web",
      template,
      volumeClaimTemplates: [{ metadata: { name: "data" }, spec: claim }],
    },
  }),
  controllerRevision: sample("apps", "v1", "ControllerRevision", "controllerrevisions", true, {
    revision: 1,
    data: { a: 1 },
  }),
  job: sample("batch", "v1", "Job", "jobs", true, { spec: { template: jobTemplate } }),
  indexedJob: sample("batch", "v1", "Job", "jobs", true, {
    spec: {
      completionMode: "Indexed",
      completions: 5,
      parallelism: 2,
      backoffLimitPerIndex: 1,
      template: jobTemplate,
      podFailurePolicy: {
        rules: [
          { action: "FailJob", onExitCodes: { containerName: "web", operator: "In", values: [1, 2] } },
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget" }] },
        ],
      },
      successPolicy: { rules: [{ succeededIndexes: "0-2", succeededCount: 2 }] },
    },
  }),
  cronJob: sample("batch", "v1", "CronJob", "cronjobs", true, {
    spec: { schedule: "*/5 * * * *", timeZone: "Europe/Berlin", jobTemplate: { spec: { template: jobTemplate } } },
  }),
  horizontalPodAutoscaler: sample("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true, {
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
      maxReplicas: 5,
      behavior: { scaleUp: { stabilizationWindowSeconds: 10 } },
    },
  }),
  podDisruptionBudget: sample("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true, {
    spec: { minAvailable: 1, selector: { matchLabels: labels } },
  }),
  role: sample("rbac.authorization.k8s.io", "v1", "Role", "roles", true, {
    rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }],
  }),
  clusterRole: sample("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false, {
    rules: [{ nonResourceURLs: ["/metrics"], verbs: ["get"] }],
  }),
  roleBinding: sample("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true, {
    roleRef: { kind: "Role", name: "sample" },
    subjects: [
      { kind: "User", name: "a" },
      { kind: "Group", name: "b" },
      { kind: "ServiceAccount", name: "c", namespace: "default" },
    ],
  }),
  clusterRoleBinding: sample("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false, {
    roleRef: { kind: "ClusterRole", name: "sample" },
    subjects: [{ kind: "User", name: "a" }],
  }),
  ingress: sample("networking.k8s.io", "v1", "Ingress", "ingresses", true, {
    spec: {
      ingressClassName: "web",
      tls: [{ hosts: ["a.example.com"], secretName: "tls" }],
      rules: [
        {
          host: "a.example.com",
          http: {
            paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "web", port: { number: 80 } } } }],
          },
        },
      ],
    },
  }),
  ingressClass: sample("networking.k8s.io", "v1", "IngressClass", "ingressclasses", false, {
    spec: { controller: "example.com/ingress", parameters: { apiGroup: "example.com", kind: "Setting", name: "web" } },
  }),
  networkPolicy: sample("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true, {
    spec: {
      podSelector: { matchLabels: labels },
      ingress: [
        {
          from: [{ podSelector: {} }, { ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } }],
          ports: [{ port: 80 }],
        },
      ],
      egress: [{ ports: [{ port: 1000, endPort: 2000 }] }],
    },
  }),
  ipAddress: {
    ...sample("networking.k8s.io", "v1", "IPAddress", "ipaddresses", false, {
      metadata: { name: "10.9.9.9" },
      spec: { parentRef: { resource: "services", namespace: "default", name: "sample" } },
    }),
  },
  serviceCIDR: sample("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", false, {
    spec: { cidrs: ["10.99.0.0/24"] },
  }),
  endpointSlice: sample("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true, {
    addressType: "IPv4",
    endpoints: [
      { addresses: ["10.0.0.1"], nodeName: "a", targetRef: { kind: "Pod", name: "x", namespace: "default" } },
    ],
    ports: [{ port: 80 }],
  }),
  lease: sample("coordination.k8s.io", "v1", "Lease", "leases", true, {
    spec: { holderIdentity: "a", leaseDurationSeconds: 15, renewTime: "2024-01-01T00:00:00.000000Z" },
  }),
  eventV1: sample("events.k8s.io", "v1", "Event", "events", true, {
    eventTime: "2024-01-01T00:00:00.000000Z",
    regarding: { kind: "Pod", namespace: "default", name: "sample" },
    reason: "Tried",
    action: "Trying",
    note: "it",
    type: "Normal",
    reportingController: "example.com/test",
    reportingInstance: "test-1",
  }),
  priorityClass: sample("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false, {
    value: 100,
    description: "x",
  }),
  storageClass: sample("storage.k8s.io", "v1", "StorageClass", "storageclasses", false, {
    provisioner: "example.com/disk",
    parameters: { a: "b" },
  }),
  volumeAttachment: sample("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", false, {
    spec: { attacher: "example.com", nodeName: "a", source: { persistentVolumeName: "pv" } },
  }),
  csiDriver: sample("storage.k8s.io", "v1", "CSIDriver", "csidrivers", false, {
    metadata: { name: "disk.example.com" },
    spec: { tokenRequests: [{ audience: "x" }] },
  }),
  csiNode: sample("storage.k8s.io", "v1", "CSINode", "csinodes", false, {
    spec: { drivers: [{ name: "disk.example.com", nodeID: "a", topologyKeys: ["zone"] }] },
  }),
  csiStorageCapacity: sample("storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities", true, {
    storageClassName: "disk",
    capacity: "1024Mi",
    nodeTopology: { matchLabels: { zone: "a" } },
  }),
  volumeAttributesClass: sample("storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", false, {
    driverName: "disk.example.com",
    parameters: { iops: "100" },
  }),
  runtimeClass: sample("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", false, {
    handler: "runc",
    overhead: { podFixed: { cpu: "100m" } },
    scheduling: { tolerations: [{ key: "a", operator: "Exists" }] },
  }),
  certificateSigningRequest: sample(
    "certificates.k8s.io",
    "v1",
    "CertificateSigningRequest",
    "certificatesigningrequests",
    false,
    {
      spec: {
        request: certificateRequest,
        signerName: "example.com/signer",
        usages: ["client auth", "digital signature"],
        expirationSeconds: 3600,
      },
    },
  ),
  mutatingWebhookConfiguration: sample(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    false,
    { webhooks: [webhook] },
  ),
  validatingWebhookConfiguration: sample(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    false,
    { webhooks: [{ ...webhook, clientConfig: { url: "https://hook.example.com/check" } }] },
  ),
  validatingAdmissionPolicy: sample(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    false,
    {
      spec: {
        matchConstraints: {
          resourceRules: [
            { operations: ["CREATE"], apiGroups: ["apps"], apiVersions: ["v1"], resources: ["deployments"] },
          ],
        },
        validations: [{ expression: "object.spec.replicas <= 5" }],
      },
    },
  ),
  validatingAdmissionPolicyBinding: sample(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    false,
    { spec: { policyName: "sample", validationActions: ["Deny"], matchResources: {} } },
  ),
  customResourceDefinition: sample(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    false,
    {
      metadata: { name: "widgets.example.com" },
      spec: {
        group: "example.com",
        scope: "Namespaced",
        names: { plural: "widgets", kind: "Widget" },
        versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
      },
    },
  ),
  apiService: sample("apiregistration.k8s.io", "v1", "APIService", "apiservices", false, {
    metadata: { name: "v1.example.org" },
    spec: {
      group: "example.org",
      version: "v1",
      groupPriorityMinimum: 100,
      versionPriority: 100,
      insecureSkipTLSVerify: true,
      service: { namespace: "default", name: "api" },
    },
  }),
  flowSchema: sample("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", false, {
    spec: {
      priorityLevelConfiguration: { name: "sample" },
      distinguisherMethod: { type: "ByUser" },
      rules: [
        {
          subjects: [{ kind: "User", user: { name: "a" } }],
          resourceRules: [{ verbs: ["get"], apiGroups: [""], resources: ["pods"], namespaces: ["*"] }],
        },
      ],
    },
  }),
  priorityLevelConfiguration: sample(
    "flowcontrol.apiserver.k8s.io",
    "v1",
    "PriorityLevelConfiguration",
    "prioritylevelconfigurations",
    false,
    { spec: { type: "Limited", limited: { limitResponse: { type: "Queue", queuing: {} } } } },
  ),
  resourceClaim: sample("resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", true, {
    spec: { devices: { requests: [{ name: "gpu", exactly: { deviceClassName: "gpu.example.com" } }] } },
  }),
  resourceClaimTemplate: sample("resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates", true, {
    spec: { spec: { devices: { requests: [{ name: "gpu", exactly: { deviceClassName: "gpu.example.com" } }] } } },
  }),
  deviceClass: sample("resource.k8s.io", "v1", "DeviceClass", "deviceclasses", false, {
    spec: { selectors: [{ cel: { expression: "device.driver == 'gpu.example.com'" } }] },
  }),
  resourceSlice: sample("resource.k8s.io", "v1", "ResourceSlice", "resourceslices", false, {
    spec: {
      driver: "gpu.example.com",
      nodeName: "a",
      pool: { name: "a", generation: 1, resourceSliceCount: 1 },
      devices: [{ name: "gpu-0", attributes: { model: { string: "x" } } }],
    },
  }),
};
