/** describe and get of what no controller has touched yet, one of nearly every kind. */
import { type KubectlArea, run, words } from "../command.ts";

const labels = { app: "web" };
const template = {
  metadata: { labels, annotations: { note: "text" } },
  spec: {
    serviceAccountName: "default",
    priorityClassName: "described",
    initContainers: [{ name: "before", image: "web:1", command: ["true"], restartPolicy: "Always" }],
    containers: [
      {
        name: "web",
        image: "web:1",
        args: ["serve", "--fast"],
        ports: [{ name: "http", containerPort: 8080 }],
        resources: { limits: { cpu: "1", memory: "64Mi" }, requests: { cpu: "1", memory: "32Mi" } },
        env: [
          { name: "A", value: "b" },
          { name: "MAP", valueFrom: { configMapKeyRef: { name: "settings", key: "a", optional: true } } },
          { name: "KEY", valueFrom: { secretKeyRef: { name: "hidden", key: "k" } } },
          { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
          { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
        ],
        envFrom: [{ prefix: "P_", configMapRef: { name: "settings" } }],
        livenessProbe: { httpGet: { path: "/live", port: "http" }, periodSeconds: 7 },
        readinessProbe: { tcpSocket: { port: 8080 } },
        startupProbe: { exec: { command: ["test", "-e", "/up"] } },
        volumeMounts: [
          { name: "empty", mountPath: "/empty", subPath: "x" },
          { name: "map", mountPath: "/map", readOnly: true },
        ],
      },
    ],
    volumes: [
      { name: "empty", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
      { name: "map", configMap: { name: "settings", optional: true } },
      { name: "secret", secret: { secretName: "hidden" } },
      { name: "claim", persistentVolumeClaim: { claimName: "data" } },
      { name: "host", hostPath: { path: "/var", type: "Directory" } },
      { name: "many", projected: { sources: [{ downwardAPI: { items: [] } }, { secret: { name: "hidden" } }] } },
    ],
    nodeSelector: { disk: "fast" },
    tolerations: [{ key: "oven", operator: "Exists", effect: "NoExecute", tolerationSeconds: 60 }],
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "ScheduleAnyway", labelSelector: { matchLabels: labels } },
    ],
  },
};
const selector = { matchLabels: labels };
const once = { ...template, spec: { ...template.spec, restartPolicy: "Never" } };

type Kind = readonly [apiVersion: string, kind: string, name: string, body: object];
const kinds: readonly Kind[] = [
  ["scheduling.k8s.io/v1", "PriorityClass", "described", { value: 3, description: "For what is described." }],
  ["v1", "ConfigMap", "settings", { data: { a: "1", text: "two\nlines\n" }, binaryData: { b: "AAE=" } }],
  ["v1", "Secret", "hidden", { stringData: { k: "value" } }],
  ["v1", "Pod", "web", template],
  ["v1", "ReplicationController", "rc", { spec: { replicas: 0, selector: labels, template } }],
  ["apps/v1", "ReplicaSet", "rs", { spec: { replicas: 2, selector, template } }],
  ["apps/v1", "Deployment", "web", { spec: { replicas: 2, selector, template, minReadySeconds: 3 } }],
  ["apps/v1", "DaemonSet", "ds", { spec: { selector, template } }],
  [
    "apps/v1",
    "StatefulSet",
    "sts",
    {
      spec: {
        serviceName: "web",
        selector,
        template,
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 1 } },
        volumeClaimTemplates: [
          {
            metadata: { name: "more" },
            spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
          },
        ],
      },
    },
  ],
  ["batch/v1", "Job", "job", { spec: { completions: 3, parallelism: 2, completionMode: "Indexed", template: once } }],
  [
    "batch/v1",
    "CronJob",
    "cron",
    { spec: { schedule: "5 4 * * *", timeZone: "Etc/UTC", suspend: true, jobTemplate: { spec: { template: once } } } },
  ],
  [
    "v1",
    "Service",
    "web",
    {
      spec: {
        clusterIP: "10.43.77.7",
        selector: labels,
        sessionAffinity: "ClientIP",
        ports: [
          { name: "http", port: 80, targetPort: "http" },
          { name: "dns", port: 53, protocol: "UDP" },
        ],
      },
    },
  ],
  ["v1", "Service", "outside", { spec: { type: "ExternalName", externalName: "example.com" } }],
  [
    "v1",
    "Endpoints",
    "plain",
    { subsets: [{ addresses: [{ ip: "10.42.0.9" }], ports: [{ name: "http", port: 80 }] }] },
  ],
  [
    "discovery.k8s.io/v1",
    "EndpointSlice",
    "web-1",
    {
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080 }],
      endpoints: [{ addresses: ["10.42.0.9"], nodeName: "board", conditions: { ready: true }, zone: "z" }],
    },
  ],
  [
    "networking.k8s.io/v1",
    "Ingress",
    "web",
    {
      spec: {
        ingressClassName: "own",
        tls: [{ hosts: ["example.com"], secretName: "hidden" }],
        rules: [
          {
            host: "example.com",
            http: {
              paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "web", port: { name: "http" } } } }],
            },
          },
        ],
      },
    },
  ],
  ["networking.k8s.io/v1", "IngressClass", "described", { spec: { controller: "example.com/own" } }],
  [
    "networking.k8s.io/v1",
    "NetworkPolicy",
    "np",
    {
      spec: {
        podSelector: { matchExpressions: [{ key: "app", operator: "In", values: ["web"] }] },
        policyTypes: ["Ingress", "Egress"],
        ingress: [
          {
            from: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } }, { namespaceSelector: {} }],
            ports: [{ port: 80, endPort: 90 }],
          },
        ],
      },
    },
  ],
  [
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    "web",
    {
      spec: {
        maxReplicas: 5,
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
        metrics: [
          { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } },
          { type: "Resource", resource: { name: "memory", target: { type: "AverageValue", averageValue: "1Gi" } } },
        ],
        behavior: { scaleDown: { policies: [{ type: "Pods", value: 1, periodSeconds: 60 }] } },
      },
    },
  ],
  ["policy/v1", "PodDisruptionBudget", "web", { spec: { minAvailable: "50%", selector } }],
  ["v1", "ResourceQuota", "quota", { spec: { hard: { pods: "9", "requests.cpu": "20" }, scopes: ["NotBestEffort"] } }],
  [
    "v1",
    "LimitRange",
    "limits",
    { spec: { limits: [{ type: "Container", max: { cpu: "4" }, default: { cpu: "2" }, min: { cpu: "1" } }] } },
  ],
  ["v1", "ServiceAccount", "robot", { secrets: [{ name: "none" }], imagePullSecrets: [{ name: "pull" }] }],
  [
    "v1",
    "PersistentVolume",
    "described",
    {
      spec: {
        capacity: { storage: "1Gi" },
        accessModes: ["ReadWriteOnce", "ReadOnlyMany"],
        hostPath: { path: "/data" },
        storageClassName: "described",
        claimRef: { namespace: "commands-describing", name: "data" },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: "disk", operator: "In", values: ["fast"] }] }],
          },
        },
      },
    },
  ],
  [
    "v1",
    "PersistentVolumeClaim",
    "data",
    {
      spec: {
        accessModes: ["ReadWriteOnce"],
        storageClassName: "described",
        resources: { requests: { storage: "1Gi" } },
      },
    },
  ],
  [
    "storage.k8s.io/v1",
    "StorageClass",
    "described",
    { provisioner: "example.com/disk", parameters: { type: "slow" }, allowVolumeExpansion: true, mountOptions: ["ro"] },
  ],
  ["storage.k8s.io/v1", "CSIDriver", "described.example.com", { spec: { attachRequired: false } }],
  ["storage.k8s.io/v1", "VolumeAttributesClass", "described", { driverName: "d.example.com", parameters: { a: "b" } }],
  [
    "rbac.authorization.k8s.io/v1",
    "Role",
    "role",
    { rules: [{ apiGroups: ["", "apps"], resources: ["pods", "deployments/scale"], verbs: ["get", "list"] }] },
  ],
  [
    "rbac.authorization.k8s.io/v1",
    "RoleBinding",
    "binding",
    {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "role" },
      subjects: [
        { kind: "ServiceAccount", name: "robot", namespace: "commands-describing" },
        { kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "anna" },
      ],
    },
  ],
  [
    "rbac.authorization.k8s.io/v1",
    "ClusterRole",
    "described",
    { rules: [{ nonResourceURLs: ["/metrics"], verbs: ["get"] }] },
  ],
  ["coordination.k8s.io/v1", "Lease", "lease", { spec: { holderIdentity: "me", leaseDurationSeconds: 15 } }],
  ["node.k8s.io/v1", "RuntimeClass", "described", { handler: "small", overhead: { podFixed: { memory: "1Mi" } } }],
  [
    "v1",
    "Node",
    "described",
    {
      metadata: { name: "described", labels: { "kubernetes.io/arch": "arm64", "node-role.kubernetes.io/worker": "" } },
      spec: { podCIDR: "10.42.9.0/24", taints: [{ key: "a", value: "b", effect: "NoSchedule" }], unschedulable: true },
    },
  ],
  [
    "certificates.k8s.io/v1",
    "CertificateSigningRequest",
    "described",
    {
      spec: {
        // openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=makers/CN=jane
        request: [
          "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIYk1JR0NBZ0VBTUNBeER6QU5CZ05WQkFvTUJtMWhhMlZ5Y3pF",
          "Tk1Bc0dBMVVFQXd3RWFtRnVaVEJaTUJNRwpCeXFHU000OUFnRUdDQ3FHU000OUF3RUhBMElBQlBoaXRSWDBKT0VLQ1NpNGVoOGdL",
          "NGdFWFRNdnorWmhDbXZaClljdnIzdENRWW9QYnNQNXloU0NBc0YzYkRsaklWa0lVNU42VWFsbzkybGZhREVYRjJOK2dBREFLQmdn",
          "cWhrak8KUFFRREFnTklBREJGQWlFQTJ5TjN5amVCVkZlMGV5RDQxeTQzZlNGbCtTbTJMczA0b2k4Snc2Z0hGY0lDSUZ5MgpIVG5D",
          "ZXRNUEE2OU5qTmZzSmwzRnZZaDUwUU5WdU0yQ0pXSkQxeUFJCi0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=",
        ].join(""),
        signerName: "kubernetes.io/kube-apiserver-client",
        usages: ["client auth"],
        expirationSeconds: 3600,
      },
    },
  ],
  [
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "things.described.example.com",
    {
      spec: {
        group: "described.example.com",
        scope: "Namespaced",
        names: { plural: "things", kind: "Thing", categories: ["all"] },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            subresources: { status: {}, scale: { specReplicasPath: ".spec.n", statusReplicasPath: ".status.n" } },
            additionalPrinterColumns: [
              { name: "Size", type: "integer", jsonPath: ".spec.n", description: "How many." },
              { name: "Rare", type: "string", jsonPath: ".spec.rare", priority: 1 },
            ],
            schema: {
              openAPIV3Schema: {
                type: "object",
                properties: {
                  spec: {
                    type: "object",
                    properties: { n: { type: "integer", minimum: 0, default: 2 }, rare: { type: "string" } },
                  },
                  status: { type: "object", properties: { n: { type: "integer" } } },
                },
              },
            },
          },
        ],
      },
    },
  ],
];
const groupOf = (apiVersion: string): string => (apiVersion.includes("/") ? `.${apiVersion.split("/")[0]}` : "");
const thing = { apiVersion: "described.example.com/v1", kind: "Thing", metadata: { name: "one" }, spec: {} };

export const describing: KubectlArea = {
  commands: [
    run("create serviceaccount default"),
    ...kinds.flatMap(([apiVersion, kind, name, body]) => {
      const of = `${kind}${groupOf(apiVersion)}/${name}`;
      return [
        run("create -f -", { apiVersion, kind, metadata: { name }, ...body }),
        run(`get ${of} -o wide`),
        run(`describe ${of}`),
      ];
    }),
    run("wait --for=condition=Established crd/things.described.example.com --timeout=60s"),
    run("create -f -", thing),
    run("get things"),
    run("get things -o wide"),
    run("describe thing one"),
    run("describe thing one --show-events=false"),
    run("scale thing one --replicas=4 --current-replicas=2"),
    run("scale thing one --replicas=-1"),
    words("patch thing one --type=merge -p", '{"spec":{"n":-1}}'),
    words("patch thing one -p", '{"spec":{"n":1}}'),
    words("patch thing one --type=merge --subresource=status -p", '{"status":{"n":1}}'),
    run("get thing one -o jsonpath={.spec}{.status}{.metadata.generation}"),
    run("autoscale thing one --max=3"),
    run("explain thing.spec.n"),
    run("describe nothing one"),
    run("describe configmap none"),
    run("describe pods -l app=none"),
    run("describe configmap set"),
    run("describe -f -", { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" } }),
    run("delete node described"),
    run("delete priorityclass described"),
    run("delete crd things.described.example.com"),
  ],
};
