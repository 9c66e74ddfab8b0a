/** What is valid and still warned of, when it is made and when it is changed; and URLs of webhooks. */
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "./request.ts";

const send = sender("warned");
const namespace = "wire-warned";
const core = `/api/v1/namespaces/${namespace}`;
const merge = "application/merge-patch+json";

const named = (kind: string, apiVersion: string, more: Json): Json => ({
  apiVersion,
  kind,
  ...more,
  metadata: { name: "warned", ...(more["metadata"] as Json | undefined) },
});
interface Place {
  readonly path: string;
  readonly kind: string;
  readonly apiVersion: string;
}
const place = (path: string, kind: string, apiVersion = "v1"): Place => ({ path, kind, apiVersion });
const make = (what: string, { path, kind, apiVersion }: Place, more: Json): WireRequest =>
  send(`${kind} ${what}`, "POST", `${path}?dryRun=All`, named(kind, apiVersion, more));

const pods = place(`${core}/pods`, "Pod");
const container = { name: "a", image: "a" };
const pod = (what: string, spec: Json, annotations?: Json): WireRequest =>
  make(what, pods, { spec: { containers: [container], ...spec }, ...(annotations && { metadata: { annotations } }) });

const oldLabels = [
  ...["beta.kubernetes.io/arch", "beta.kubernetes.io/os", "failure-domain.beta.kubernetes.io/region"],
  ...["failure-domain.beta.kubernetes.io/zone", "beta.kubernetes.io/instance-type", "kubernetes.io/os"],
];
const oldVolumes: Readonly<Record<string, Json>> = {
  gitRepo: { repository: "https://a/b" },
  awsElasticBlockStore: { volumeID: "a" },
  azureDisk: { diskName: "a", diskURI: "b" },
  azureFile: { secretName: "a", shareName: "b" },
  gcePersistentDisk: { pdName: "a" },
  cinder: { volumeID: "a" },
  cephfs: { monitors: ["a"] },
  rbd: { monitors: ["a"], image: "b" },
  flocker: { datasetName: "a" },
  glusterfs: { endpoints: "a", path: "b" },
  quobyte: { registry: "a:1", volume: "b" },
  storageos: { volumeName: "a" },
  photonPersistentDisk: { pdID: "a" },
  scaleIO: { gateway: "a", system: "b", secretRef: { name: "c" }, volumeName: "d" },
  portworxVolume: { volumeID: "a" },
  vsphereVolume: { volumePath: "a" },
  flexVolume: { driver: "a/b" },
  emptyDir: { sizeLimit: "1500m" },
  ephemeral: {
    volumeClaimTemplate: {
      metadata: { annotations: { "volume.beta.kubernetes.io/storage-class": "a" } },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1500m" } } },
    },
  },
};
const affinityOf = (key: string): Json => ({
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchExpressions: [{ key, operator: "Exists" }] }],
    },
    preferredDuringSchedulingIgnoredDuringExecution: [
      { weight: 1, preference: { matchExpressions: [{ key, operator: "Exists" }] } },
    ],
  },
});
const spread = (key: string, more: Json = {}): Json => ({
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: key, whenUnsatisfiable: "DoNotSchedule", labelSelector: {}, ...more },
  ],
});

const ofPods: readonly WireRequest[] = [
  ...oldLabels.flatMap((label) => [
    pod(`nodeSelector ${label}`, { nodeSelector: { [label]: "a" } }),
    pod(`affinity ${label}`, { affinity: affinityOf(label) }),
    pod(`spread ${label}`, spread(label)),
    pod(`antiaffinity ${label}`, {
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: label, labelSelector: {} }],
        },
      },
    }),
  ]),
  pod("spread without selector", spread("a", { labelSelector: undefined })),
  pod("affinity without selector", {
    affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: "a" }] } },
  }),
  ...Object.entries(oldVolumes).map(([kind, value]) =>
    pod(`volume ${kind}`, { volumes: [{ name: "v", [kind]: value }] }),
  ),
  pod("hostAliases twice", {
    hostAliases: [
      { ip: "1.2.3.4", hostnames: ["a"] },
      { ip: "1.2.3.4", hostnames: ["a"] },
    ],
  }),
  pod("hostAliases odd", { hostAliases: [{ ip: "01.2.3.4", hostnames: ["a"] }, { ip: "::ffff:1.2.3.4" }] }),
  pod("imagePullSecrets twice", { imagePullSecrets: [{ name: "a" }, { name: "a" }, { name: "" }] }),
  pod("grace", { terminationGracePeriodSeconds: -1 }),
  pod("dns odd", { dnsConfig: { nameservers: ["01.2.3.4", "::ffff:1.2.3.4"], searches: ["a.", "a"] } }),
  pod("ports twice", {
    containers: [
      { ...container, ports: [{ containerPort: 80 }, { containerPort: 80 }, { containerPort: 80, protocol: "UDP" }] },
      {
        name: "b",
        image: "b",
        ports: [
          { containerPort: 80, name: "a" },
          { containerPort: 81, name: "a" },
        ],
      },
    ],
  }),
  pod("ports named twice", {
    containers: [
      { ...container, ports: [{ containerPort: 80, name: "http" }] },
      { name: "b", image: "b", ports: [{ containerPort: 81, name: "http" }] },
    ],
  }),
  pod("env twice", {
    containers: [
      {
        ...container,
        env: [
          { name: "A", value: "$(B)" },
          { name: "A", value: "b" },
          { name: "B", value: "$(A)$(A)" },
          { name: "B", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
        ],
      },
    ],
  }),
  pod("fractions", {
    containers: [{ ...container, resources: { requests: { memory: "1500m", "ephemeral-storage": "100m" } } }],
    initContainers: [{ name: "i", image: "i", resources: { limits: { memory: "1.5" } } }],
    overhead: { memory: "1m" },
  }),
  pod("mounts twice", {
    volumes: [
      {
        name: "v",
        projected: {
          sources: [
            {
              configMap: {
                name: "a",
                items: [
                  { key: "a", path: "x" },
                  { key: "b", path: "x/y" },
                ],
              },
            },
            { secret: { name: "a", items: [{ key: "a", path: "x" }] } },
            { serviceAccountToken: { path: "x" } },
            { downwardAPI: { items: [{ path: "x", fieldRef: { fieldPath: "metadata.name" } }] } },
          ],
        },
      },
    ],
  }),
  pod("host ports", { hostNetwork: true, containers: [{ ...container, ports: [{ containerPort: 80 }] }] }),
  pod(
    "old annotations",
    {},
    {
      "seccomp.security.alpha.kubernetes.io/pod": "runtime/default",
      "container.seccomp.security.alpha.kubernetes.io/a": "unconfined",
      "container.apparmor.security.beta.kubernetes.io/a": "unconfined",
      "security.alpha.kubernetes.io/sysctls": "a=b",
      "scheduler.alpha.kubernetes.io/critical-pod": "",
      "pod.alpha.kubernetes.io/initialized": "true",
      "kubernetes.io/psp": "a",
      "controller.kubernetes.io/pod-deletion-cost": "1",
    },
  ),
  ...Object.entries({
    "localhost/a": { type: "RuntimeDefault" },
    "runtime/default": { type: "RuntimeDefault" },
    unconfined: { type: "RuntimeDefault" },
  }).flatMap(([annotation, appArmorProfile]) =>
    [{ securityContext: { appArmorProfile } }, {}].map((spec) =>
      pod(`AppArmor ${annotation} ${JSON.stringify(spec)}`, spec, {
        "container.apparmor.security.beta.kubernetes.io/a": annotation,
      }),
    ),
  ),
  pod("shares", { shareProcessNamespace: true, hostPID: false, restartPolicy: "Never", serviceAccount: "default" }),
  pod("restart", {
    restartPolicy: "Never",
    initContainers: [{ name: "i", image: "i", restartPolicy: "Always", readinessProbe: { exec: { command: ["a"] } } }],
  }),
];

const services = place(`${core}/services`, "Service");
const service = (what: string, spec: Json, metadata: Json = {}): WireRequest =>
  make(what, services, { spec: { ports: [{ port: 80 }], ...spec }, metadata });
const ofServices: readonly WireRequest[] = [
  service("balanced at an address", { type: "LoadBalancer", loadBalancerIP: "1.2.3.4" }),
  service("odd addresses", { externalIPs: ["01.2.3.4", "::ffff:1.2.3.4", "2001:DB8::1"] }),
  service("odd ranges", {
    type: "LoadBalancer",
    loadBalancerSourceRanges: ["1.2.3.4/8", "01.0.0.0/8", "2001:DB8::/32"],
  }),
  service(
    "odd range by annotation",
    { type: "LoadBalancer" },
    {
      annotations: { "service.beta.kubernetes.io/load-balancer-source-ranges": "1.2.3.4/8, 10.0.0.0/8" },
    },
  ),
  service("headless, sticky", { clusterIP: "None", sessionAffinity: "ClientIP" }),
  service("hints", {}, { annotations: { "service.kubernetes.io/topology-aware-hints": "auto" } }),
  service("hints of today", {}, { annotations: { "service.kubernetes.io/topology-mode": "Auto" } }),
  service(
    "unready",
    { publishNotReadyAddresses: true },
    {
      annotations: { "service.alpha.kubernetes.io/tolerate-unready-endpoints": "true" },
    },
  ),
  service("close", { trafficDistribution: "PreferClose" }),
  service("balanced by a class", { type: "LoadBalancer", loadBalancerClass: "a.b/c", externalTrafficPolicy: "Local" }),
  service("named outside", { type: "ExternalName", externalName: "a.b", clusterIP: "", sessionAffinity: "ClientIP" }),
  service("named outside with addresses", { type: "ExternalName", externalName: "a.b", externalIPs: ["1.2.3.4"] }),
];

const claim: Json = {
  accessModes: ["ReadWriteOnce"],
  resources: { requests: { storage: "1500m" }, limits: { storage: "2500m" } },
};
const annotated = { annotations: { "volume.beta.kubernetes.io/storage-class": "a" } };
const volume = (what: string, spec: Json, metadata: Json = {}): WireRequest =>
  make(what, place("/api/v1/persistentvolumes", "PersistentVolume"), {
    metadata,
    spec: { capacity: { storage: "1500m" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/a" }, ...spec },
  });
const template = (spec: Json = {}): Json => ({
  metadata: { labels: { a: "b" } },
  spec: { containers: [container], ...spec },
});
const selector = { matchLabels: { a: "b" } };
const apps = `/apis/apps/v1/namespaces/${namespace}`;
const statefulSets = place(`${apps}/statefulsets`, "StatefulSet", "apps/v1");
const statefulSet = {
  spec: {
    serviceName: "a",
    selector,
    template: template(),
    volumeClaimTemplates: [{ metadata: { name: "x", ...annotated }, spec: claim }],
  },
};
const claims = place(`${core}/persistentvolumeclaims`, "PersistentVolumeClaim");
const ofStorage: readonly WireRequest[] = [
  make("of fractions", claims, { spec: claim, metadata: annotated }),
  volume("recycled", { persistentVolumeReclaimPolicy: "Recycle" }),
  volume(
    "of an old class",
    { hostPath: undefined, nfs: { server: "a", path: "/b" } },
    {
      annotations: { "volume.beta.kubernetes.io/storage-class": "a", "volume.beta.kubernetes.io/mount-options": "ro" },
    },
  ),
  ...oldLabels.map((key) =>
    volume(`at ${key}`, {
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key, operator: "Exists" }] }] } },
    }),
  ),
  ...Object.entries(oldVolumes)
    .filter(([kind]) => !/emptyDir|ephemeral|gitRepo/.test(kind))
    .map(([kind, value]) => volume(`of ${kind}`, { hostPath: undefined, [kind]: value })),
  ...oldLabels.map((key) =>
    make(`at ${key}`, place("/apis/storage.k8s.io/v1/storageclasses", "StorageClass", "storage.k8s.io/v1"), {
      provisioner: "a",
      allowedTopologies: [{ matchLabelExpressions: [{ key, values: ["a"] }] }],
    }),
  ),
  make("of fractions", statefulSets, statefulSet),
  send("StatefulSet kept", "POST", statefulSets.path, named("StatefulSet", "apps/v1", statefulSet)),
  send("StatefulSet labelled", "PATCH", `${statefulSets.path}/warned`, { metadata: { labels: { a: "b" } } }, merge),
  send("StatefulSet scaled", "PATCH", `${statefulSets.path}/warned`, { spec: { replicas: 2 } }, merge),
  send("StatefulSet by scale", "PATCH", `${statefulSets.path}/warned/scale`, { spec: { replicas: 3 } }, merge),
  send("claim kept", "POST", claims.path, named("PersistentVolumeClaim", "v1", { spec: claim, metadata: annotated })),
  send("claim labelled", "PATCH", `${claims.path}/warned`, { metadata: { labels: { a: "b" } } }, merge),
  send("claim bound", "PATCH", `${claims.path}/warned/status`, { status: { phase: "Bound" } }, merge),
];

const workloads: readonly WireRequest[] = [
  ...["deployments", "replicasets", "daemonsets", "statefulsets"].flatMap((plural) => {
    const kind =
      { deployments: "Deployment", replicasets: "ReplicaSet", daemonsets: "DaemonSet" }[plural] ?? "StatefulSet";
    const at = place(`${apps}/${plural}`, kind, "apps/v1");
    return [
      make("of an odd name", at, { metadata: { name: "a.b" }, spec: { selector, template: template() } }),
      make("on an old node", at, {
        spec: { selector, template: template({ nodeSelector: { "beta.kubernetes.io/os": "a" } }) },
      }),
      make("without history", at, { spec: { selector, template: template(), revisionHistoryLimit: -1 } }),
    ];
  }),
  ...["TZ=UTC 0 * * * *", "CRON_TZ=UTC 0 * * * *", "0 0 31 2 *", "@every 1s"].map((schedule) =>
    make(`at ${schedule}`, place(`/apis/batch/v1/namespaces/${namespace}/cronjobs`, "CronJob", "batch/v1"), {
      spec: { schedule, jobTemplate: { spec: { template: template({ restartPolicy: "Never" }) } } },
    }),
  ),
  make("of an odd name", place(`/apis/batch/v1/namespaces/${namespace}/jobs`, "Job", "batch/v1"), {
    metadata: { name: "a.b" },
    spec: { template: template({ restartPolicy: "Never" }), completions: 100_001, parallelism: 100_001 },
  }),
  make("of many", place(`/apis/batch/v1/namespaces/${namespace}/jobs`, "Job", "batch/v1"), {
    spec: {
      template: template({ restartPolicy: "Never" }),
      completionMode: "Indexed",
      completions: 200_000,
      parallelism: 20_000,
    },
  }),
  ...["minAvailable", "maxUnavailable"].map((key) =>
    make(
      `of all by ${key}`,
      place(`/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`, "PodDisruptionBudget", "policy/v1"),
      {
        spec: { [key]: 1, selector: {} },
      },
    ),
  ),
];

const slices = place(
  `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
  "EndpointSlice",
  "discovery.k8s.io/v1",
);
const networking = `/apis/networking.k8s.io/v1`;
const others: readonly WireRequest[] = [
  make("by names", slices, { addressType: "FQDN", endpoints: [{ addresses: ["a.b"] }] }),
  make("odd", slices, { addressType: "IPv4", endpoints: [{ addresses: ["01.2.3.4"] }] }),
  make("odder", slices, { addressType: "IPv6", endpoints: [{ addresses: ["2001:DB8::1", "::ffff:1.2.3.4"] }] }),
  make("hinted", slices, {
    metadata: { labels: { "kubernetes.io/service-name": "a" } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["1.2.3.4"], deprecatedTopology: { "kubernetes.io/hostname": "a" } }],
  }),
  make("odd", place(`${core}/endpoints`, "Endpoints"), {
    subsets: [{ addresses: [{ ip: "01.2.3.4" }], ports: [{ port: 1 }] }],
  }),
  make("classed", place(`${networking}/namespaces/${namespace}/ingresses`, "Ingress", "networking.k8s.io/v1"), {
    metadata: { annotations: { "kubernetes.io/ingress.class": "a" } },
    spec: { defaultBackend: { service: { name: "a", port: { number: 1 } } } },
  }),
  make("odd", place(`${networking}/namespaces/${namespace}/networkpolicies`, "NetworkPolicy", "networking.k8s.io/v1"), {
    spec: {
      podSelector: {},
      ingress: [{ from: [{ ipBlock: { cidr: "10.1.2.3/8", except: ["10.01.0.0/16", "10.2.0.1/16"] } }] }],
      egress: [{ to: [{ ipBlock: { cidr: "2001:DB8::/32" } }] }],
    },
  }),
  make("odd", place(`${networking}/ipaddresses`, "IPAddress", "networking.k8s.io/v1"), {
    metadata: { name: "1.2.3.4" },
    spec: { parentRef: { resource: "services", name: "a", namespace: "b" } },
  }),
  make("odd", place(`${networking}/servicecidrs`, "ServiceCIDR", "networking.k8s.io/v1"), {
    spec: { cidrs: ["10.1.2.3/16"] },
  }),
  make("odd", place("/api/v1/nodes", "Node"), {
    spec: { podCIDRs: ["10.1.2.3/24"], podCIDR: "10.1.2.3/24", externalID: "a", configSource: { configMap: {} } },
  }),
  make("old", place("/api/v1/nodes", "Node"), { spec: { externalID: "a" } }),
  make("old", place("/apis/node.k8s.io/v1/runtimeclasses", "RuntimeClass", "node.k8s.io/v1"), {
    handler: "a",
    scheduling: { nodeSelector: { "beta.kubernetes.io/os": "a" } },
    overhead: { podFixed: { memory: "1500m" } },
  }),
  make("enforcing", place(`${core}/serviceaccounts`, "ServiceAccount"), {
    metadata: { annotations: { "kubernetes.io/enforce-mountable-secrets": "true" } },
    secrets: [{ name: "a" }],
  }),
  make("of an account", place(`${core}/secrets`, "Secret"), {
    type: "kubernetes.io/service-account-token",
    metadata: { annotations: { "kubernetes.io/service-account.name": "default" } },
  }),
  ...["Some", "restricted", "baseline"].map((level) =>
    make(`secured ${level}`, place("/api/v1/namespaces", "Namespace"), {
      metadata: {
        labels: { "pod-security.kubernetes.io/enforce": level, "pod-security.kubernetes.io/warn-version": "v0" },
      },
    }),
  ),
];

const urls = [
  ...["2024-01-01T00:00:00Z", ":a", "1a:b", "http://[::1", "https://a b/", "https://a:b/", "https://a/%zz", "a:b"],
  ...["a/b:c", "https://a%zz/", "//a", "https://[::1]:x/", "", "*", "https://a@b@c/", "https://a\u0001b/", "HTTPS://x"],
  ...[
    "https://ü.de",
    "https://a:1:2/",
    "https://::1/",
    "https://a?b#c",
    "https://a%41/",
    "https://a%25/",
    "https://a^b/",
  ],
  ...[
    "https:a",
    "https:///a",
    "///a",
    "https://u:p@h/",
    "https://a b@h/",
    "https://h/a b",
    "https://h?%zz",
    "https://h#%zz",
  ],
];
const ofUrls = urls.flatMap((url) => [
  make(
    `at ${url}`,
    place(
      "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
      "ValidatingWebhookConfiguration",
      "admissionregistration.k8s.io/v1",
    ),
    {
      webhooks: [{ name: "a.b.c", sideEffects: "None", admissionReviewVersions: ["v1"], clientConfig: { url } }],
    },
  ),
  make(
    `at ${url}`,
    place(
      "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
      "CustomResourceDefinition",
      "apiextensions.k8s.io/v1",
    ),
    {
      metadata: { name: "as.b.c" },
      spec: {
        group: "b.c",
        scope: "Namespaced",
        names: { plural: "as", kind: "A" },
        versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
        conversion: { strategy: "Webhook", webhook: { clientConfig: { url }, conversionReviewVersions: ["v1"] } },
      },
    },
  ),
]);

export const warningGroups: readonly WireGroup[] = [
  {
    name: "warned of",
    inOrder: true,
    requests: [
      ...ownNamespace(send, namespace),
      ...ofPods,
      ...ofServices,
      ...ofStorage,
      ...workloads,
      ...others,
      ...ofUrls,
    ],
  },
];
