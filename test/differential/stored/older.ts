/**
 * What older versions let objects say, or versions with other gates: [sample, place, value]. Some of it would not be refused today
 * but left out.
 */
import type { Path } from "../wire/places.ts";

type Older = readonly [sample: string, path: string, value: unknown];

const pods: readonly (readonly [path: string, value: unknown])[] = [
  ["containers.0.resources", { limits: { "hugepages-2Mi": "3Mi", cpu: "1" }, requests: { "hugepages-2Mi": "3Mi" } }],
  ["overhead", { "hugepages-2Mi": "3Mi" }],
  ["securityContext", { sysctls: [{ name: "net.ipv4.ip_forward", value: "1" }] }],
  ["tolerations", [{ key: "a", operator: "Lt", value: "7", effect: "NoSchedule" }]],
  ["tolerations", [{ key: "a", operator: "Near", value: "7", effect: "NoSchedule" }]],
  ["securityContext", { seLinuxChangePolicy: "MountOption" }],
  ["securityContext", { seLinuxChangePolicy: "Sometimes" }],
  ["workloadRef", { name: "a", podGroup: "b" }],
  ["containers.0.lifecycle", { stopSignal: "SIGUSR1" }],
  [
    "volumes",
    [
      {
        name: "a",
        projected: {
          defaultMode: 420,
          sources: [{ serviceAccountToken: { path: "/up/../a", expirationSeconds: 3600 } }],
        },
      },
    ],
  ],
  [
    "volumes",
    [{ name: "a", projected: { defaultMode: 420, sources: [{ clusterTrustBundle: { name: "a", path: "b" } }] } }],
  ],
  [
    "volumes",
    [
      {
        name: "a",
        projected: {
          defaultMode: 420,
          sources: [{ podCertificate: { signerName: "a.example/b", keyType: "ED25519", credentialBundlePath: "b" } }],
        },
      },
    ],
  ],
  ["hostUsers", false],
  ["containers.0.restartPolicyRules", [{ action: "RestartAllContainers", exitCodes: { operator: "In", values: [1] } }]],
  [
    "affinity",
    {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          {
            topologyKey: "a",
            labelSelector: { matchExpressions: [{ key: "a", operator: "In", values: ["Bad Value!"] }] },
          },
        ],
      },
    },
  ],
  [
    "affinity",
    {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: "a", labelSelector: { matchLabels: { a: "Bad Value!" } } },
        ],
      },
    },
  ],
  [
    "affinity",
    {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "a", operator: "In", values: ["Bad Value!"] }] }],
        },
      },
    },
  ],
  [
    "topologySpreadConstraints",
    [
      {
        maxSkew: 1,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchLabels: { a: "Bad Value!" } },
      },
    ],
  ],
  [
    "topologySpreadConstraints",
    [
      {
        maxSkew: 1,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        matchLabelKeys: ["a"],
        labelSelector: { matchLabels: { a: "b" } },
      },
    ],
  ],
  [
    "topologySpreadConstraints",
    [
      {
        maxSkew: 1,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        matchLabelKeys: ["a"],
        labelSelector: { matchLabels: { a: "b" }, matchExpressions: [{ key: "a", operator: "Exists" }] },
      },
    ],
  ],
  ["serviceAccount", "other"],
  ["dnsConfig", { searches: ["a_b.example.com", "."] }],
  ["hostAliases", [{ ip: "010.0.0.1", hostnames: ["a"] }]],
  [
    "ephemeralContainers",
    [
      {
        name: "debug",
        image: "a",
        imagePullPolicy: "Always",
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
        targetContainerName: "none",
      },
    ],
  ],
  ["volumes", [{ name: "a", gitRepo: { repository: "a" } }]],
];

/** Where each sample has a pod's spec. */
const podSpecs: Readonly<Record<string, string>> = {
  hostPod: "spec",
  podTemplate: "template.spec",
  deployment: "spec.template.spec",
  statefulSet: "spec.template.spec",
  job: "spec.template.spec",
  cronJob: "spec.jobTemplate.spec.template.spec",
};

const selector = { matchExpressions: [{ key: "a", operator: "In", values: ["Bad Value!"] }] };

const others: readonly Older[] = [
  ["deployment", "spec.template.metadata.annotations", { "controller.kubernetes.io/pod-deletion-cost": "+7" }],
  ["pod", "metadata.annotations", { "controller.kubernetes.io/pod-deletion-cost": "+7" }],
  ["pod", "metadata.labels", { "pod-template-hash": "Bad Value!" }],
  ["deployment", "spec.selector", { matchLabels: { app: "web" }, ...selector }],
  ["deployment", "spec.selector", { matchLabels: { app: "other" } }],
  ["deployment", "spec.selector", undefined],
  ["statefulSet", "spec.serviceName", "Bad Value!"],
  ["statefulSet", "spec.updateStrategy", { type: "RollingUpdate", rollingUpdate: { partition: 0, maxUnavailable: 2 } }],
  ["statefulSet", "spec.volumeClaimTemplates.0.spec.accessModes", ["Sometimes"]],
  ["job", "spec.completions", 1e6],
  ["indexedJob", "spec.completions", 1e6],
  ["indexedJob", "spec.parallelism", 1e6],
  ["job", "spec.managedBy", "Bad Value!"],
  ["job", "spec.selector", selector],
  ["cronJob", "spec.schedule", "TZ=UTC */5 * * * *"],
  ["cronJob", "spec.schedule", "CRON_TZ=UTC */5 * * * *"],
  ["cronJob", "spec.schedule", "61 * * * *"],
  ["cronJob", "spec.timeZone", "Nowhere/City"],
  ["cronJob", "spec.timeZone", "Local"],
  ["service", "spec.externalIPs", ["010.0.0.1"]],
  ["service", "spec.externalIPs", ["::ffff:1.2.3.4"]],
  ["service", "spec.trafficDistribution", "Sometimes"],
  ["service", "spec.trafficDistribution", "PreferSameNode"],
  ["service", "spec.ports.0.appProtocol", "bad value!"],
  ["service", "spec.ports.0.targetPort", "Bad Value!"],
  ["service", "spec.loadBalancerSourceRanges", ["10.0.0.0/8"]],
  [
    "service",
    "metadata.annotations",
    { "service.kubernetes.io/topology-mode": "Auto", "service.kubernetes.io/topology-aware-hints": "Disabled" },
  ],
  ["loadBalancerService", "spec.loadBalancerSourceRanges", ["010.0.0.0/8"]],
  ["loadBalancerService", "spec.loadBalancerSourceRanges", [" 10.0.0.0/8"]],
  ["loadBalancerService", "spec.loadBalancerSourceRanges", ["10.0.0.7/8"]],
  ["loadBalancerService", "spec.loadBalancerClass", "Bad Value!"],
  ["loadBalancerService", "spec.loadBalancerIP", "Bad Value!"],
  ["loadBalancerService", "status.loadBalancer.ingress", [{ ip: "010.0.0.1", ipMode: "VIP" }]],
  ["endpoints", "subsets.0.addresses.0.ip", "010.0.0.1"],
  ["endpoints", "subsets.0.addresses.0.ip", "127.0.0.1"],
  ["endpointSlice", "endpoints.0.addresses", ["010.0.0.1"]],
  ["endpointSlice", "endpoints.0.hints", { forZones: [{ name: "Bad Value!" }] }],
  ["endpointSlice", "endpoints.0.deprecatedTopology", { "kubernetes.io/hostname": "a" }],
  ["networkPolicy", "spec.podSelector", selector],
  ["networkPolicy", "spec.ingress.0.from.1.ipBlock.cidr", "010.0.0.0/8"],
  ["networkPolicy", "spec.ingress.0.from.0.podSelector", selector],
  ["ingress", "spec.rules.0.http.paths.0.backend.service.name", "1service"],
  ["ingress", "spec.rules.0.host", "*.example.com"],
  ["ingress", "spec.rules.0.http.paths.0.path", "/a//b"],
  ["ingress", "spec.rules.0.http.paths.0.pathType", "Sometimes"],
  ["ingress", "spec.tls.0.secretName", "Bad Value!"],
  ["ingress", "spec.ingressClassName", "Bad Value!"],
  ["ingress", "metadata.annotations", { "kubernetes.io/ingress.class": "other" }],
  ["ingressClass", "spec.controller", "bad value!"],
  ["podDisruptionBudget", "spec.selector", selector],
  ["persistentVolume", "spec.storageClassName", "Bad Value!"],
  ["persistentVolume", "spec.capacity", { storage: "0" }],
  ["persistentVolume", "spec.volumeAttributesClassName", ""],
  ["persistentVolume", "spec.hostPath.path", "/a/../b"],
  ["persistentVolume", "spec.accessModes", ["ReadWriteOnce", "ReadWriteOncePod"]],
  ["persistentVolumeClaim", "spec.dataSource.apiGroup", "Bad Value!"],
  ["persistentVolumeClaim", "spec.selector", selector],
  ["persistentVolumeClaim", "spec.resources.requests.storage", "0"],
  ["persistentVolumeClaim", "spec.accessModes", ["ReadWriteOnce", "ReadWriteOncePod"]],
  ["persistentVolumeClaim", "spec.volumeAttributesClassName", "Bad Value!"],
  ["csiDriver", "metadata.annotations", { a: "b" }],
  ["csiNode", "spec.drivers.0.name", "Bad_Value!"],
  ["csiNode", "spec.drivers.0.nodeID", "x".repeat(250)],
  ["storageClass", "parameters", { "": "b" }],
  ["runtimeClass", "handler", "Bad Value!"],
  ["node", "spec.podCIDRs", ["010.42.1.0/24"]],
  ["node", "status.addresses", [{ type: "InternalIP", address: "010.0.0.1" }]],
  ["node", "spec.taints", [{ key: "bad key!", effect: "NoSchedule" }]],
  ["secret", "type", "kubernetes.io/tls"],
  ["secret", "data", { "bad key!": "MQ==" }],
  ["configMap", "data", { "bad key!": "a" }],
  ["serviceAccount", "metadata.annotations", { "kubernetes.io/enforce-mountable-secrets": "true" }],
  ["horizontalPodAutoscaler", "spec.minReplicas", 0],
  ["horizontalPodAutoscaler", "spec.scaleTargetRef.apiVersion", "a/b/c"],
  ["horizontalPodAutoscaler", "spec.behavior.scaleUp.tolerance", "100m"],
  ["lease", "spec.strategy", "OldestEmulationVersion"],
  ["lease", "spec.preferredHolder", "a"],
  ["priorityClass", "value", 2e9],
  ["replicationController", "spec.selector", { "bad key!": "b" }],
  ["validatingWebhookConfiguration", "webhooks.0.name", "short"],
  ["validatingWebhookConfiguration", "webhooks.0.admissionReviewVersions", ["v9"]],
  ["validatingWebhookConfiguration", "webhooks.0.sideEffects", "Some"],
  ["validatingWebhookConfiguration", "webhooks.0.matchConditions", [{ name: "a", expression: "bad +" }]],
  ["validatingWebhookConfiguration", "webhooks.0.objectSelector", selector],
  ["mutatingWebhookConfiguration", "webhooks.0.sideEffects", "Some"],
  ["mutatingWebhookConfiguration", "webhooks.0.objectSelector", selector],
  ["validatingAdmissionPolicy", "spec.validations.0.expression", "object.spec.replicas <= 'a' +"],
  ["validatingAdmissionPolicy", "spec.validations.0.messageExpression", "7"],
  ["validatingAdmissionPolicy", "spec.matchConstraints.objectSelector", selector],
  ["validatingAdmissionPolicyBinding", "spec.matchResources.objectSelector", selector],
  ["deviceClass", "spec.selectors.0.cel.expression", "bad +"],
  ["resourceClaim", "spec.devices.requests.0.exactly.selectors", [{ cel: { expression: "bad +" } }]],
  ["resourceClaim", "spec.devices.requests.0.exactly.tolerations", [{ operator: "Exists" }]],
  ["resourceClaim", "spec.devices.requests.0.exactly.capacity", { requests: { memory: "1Gi" } }],
  ["resourceSlice", "spec.devices.0.taints", [{ key: "a", effect: "NoSchedule" }]],
  ["resourceSlice", "spec.devices.0.allowMultipleAllocations", true],
  ["resourceSlice", "spec.sharedCounters", [{ name: "a", counters: { memory: { value: "1Gi" } } }]],
  ["resourceSlice", "spec.devices.0.bindsToNode", true],
  ["certificateSigningRequest", "spec.signerName", "kubernetes.io/legacy-unknown"],
  ["certificateSigningRequest", "spec.usages", ["client auth", "client auth"]],
  ["certificateSigningRequest", "spec.usages", ["walking"]],
  ["certificateSigningRequest", "status.certificate", "QUFB"],
];

const places = (path: string): Path => path.split(".").map((key) => (/^\d+$/.test(key) ? Number(key) : key));

export const olderOf = (sample: string): readonly (readonly [Path, unknown])[] => [
  ...others.filter(([of]) => of === sample).map(([, path, value]) => [places(path), value] as const),
  ...(podSpecs[sample] ? pods : []).map(([path, value]) => [places(`${podSpecs[sample]}.${path}`), value] as const),
];
