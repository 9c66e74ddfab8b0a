/**
 * Fills a cluster with hollow nodes and pods that look as a kubelet leaves them (about 3 kB each), so that memory, start and
 * lists can be measured at size. What is there already stays.
 *   bun bench/hollow-cluster.ts --kubeconfig FILE [--nodes 200] [--pods 20000] [--clients 32]
 */
import { parseArgs } from "node:util";
import { isAlreadyExists } from "#shared/api/errors.ts";
import { namespaces, nodes, pods } from "#shared/api/resources.ts";
import type { Namespace, Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";

const { values } = parseArgs({
  options: {
    kubeconfig: { type: "string" },
    nodes: { type: "string", default: "200" },
    pods: { type: "string", default: "20000" },
    clients: { type: "string", default: "32" },
  },
});
if (!values.kubeconfig) throw new Error("name a kubeconfig: --kubeconfig FILE");
const client = new HttpClient(loadKubeconfig(values.kubeconfig));
const [nodeCount, podCount, clientCount] = [values.nodes, values.pods, values.clients].map(Number) as [
  number,
  number,
  number,
];
const namespaceCount = 20;
const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");

const nodeOf = (index: number): Node => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: {
    name: `hollow-${index}`,
    labels: { "kubernetes.io/hostname": `hollow-${index}`, "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64" },
  },
  spec: {
    podCIDR: `10.${100 + (index >> 8)}.${index & 255}.0/24`,
    podCIDRs: [`10.${100 + (index >> 8)}.${index & 255}.0/24`],
  },
  status: {
    capacity: { cpu: "64", memory: "256Gi", pods: "250" },
    allocatable: { cpu: "64", memory: "256Gi", pods: "250" },
    conditions: [
      { type: "Ready", status: "True", reason: "KubeletReady", lastHeartbeatTime: now, lastTransitionTime: now },
    ],
  },
});

const namespaceOf = (index: number): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: `hollow-${index}` },
  spec: {},
});

/** Tolerates that its node does not answer. */
function podOf(index: number): Pod {
  const app = `app-${index % 400}`;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `hollow-${index}`,
      namespace: `hollow-${index % namespaceCount}`,
      labels: { app, "pod-template-hash": `${(index % 400) * 7919}`, tier: index % 2 === 0 ? "web" : "work" },
      annotations: { "example.com/checksum": `${index}`.padStart(64, "0"), "example.com/owner": "nobody@example.com" },
    },
    spec: {
      nodeName: `hollow-${index % nodeCount}`,
      tolerations: [{ operator: "Exists" }],
      containers: ["main", "side"].map((name) => ({
        name,
        image: `registry.example.com/team/${app}/${name}:1.${index % 17}.0`,
        args: ["--port=8080", "--verbose"],
        ports: [{ name: `${name}-http`, containerPort: name === "main" ? 8080 : 9090 }],
        env: [
          { name: "NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
          { name: "LEVEL", value: "info" },
        ],
        resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { memory: "64Mi" } },
        readinessProbe: { httpGet: { path: "/ready", port: 8080 }, periodSeconds: 10 },
      })),
    },
  };
}

const statusOf = (index: number): Pod["status"] => {
  const ip = `10.${100 + ((index % nodeCount) >> 8)}.${(index % nodeCount) & 255}.${1 + Math.floor(index / nodeCount)}`;
  return {
    phase: "Running",
    podIP: ip,
    podIPs: [{ ip }],
    hostIP: "10.0.0.1",
    startTime: now,
    qosClass: "Burstable",
    conditions: ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(
      (type) => ({
        type,
        status: "True",
        lastTransitionTime: now,
      }),
    ),
    containerStatuses: ["main", "side"].map((name) => ({
      name,
      ready: true,
      started: true,
      restartCount: 0,
      image: `registry.example.com/team/${name}`,
      imageID: `registry.example.com/team/${name}@sha256:${`${index}`.padStart(64, "a")}`,
      containerID: `docker://${`${index}`.padStart(64, "b")}`,
      state: { running: { startedAt: now } },
    })),
  };
};

async function once(create: () => Promise<unknown>): Promise<boolean> {
  try {
    await create();
    return true;
  } catch (error) {
    if (isAlreadyExists(error)) return false;
    throw error;
  }
}

async function each(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: clientCount }, one));
}

const began_ms = performance.now();
await each(namespaceCount, async (index) => {
  await once(() => client.create(namespaces, namespaceOf(index)));
});
await each(nodeCount, async (index) => {
  await once(() => client.create(nodes, nodeOf(index)));
});
await each(podCount, async (index) => {
  const pod = podOf(index);
  for (;;) {
    try {
      if (!(await once(() => client.create(pods, pod)))) return;
      break;
    } catch (error) {
      if (!String(error).includes("service account")) throw error;
      await Bun.sleep(200);
    }
  }
  const { name = "", namespace = "" } = pod.metadata;
  await client.patch(
    pods,
    { namespace, name },
    { type: "merge", body: { status: statusOf(index) } },
    { subresource: "status" },
  );
});
console.log(`${nodeCount} nodes and ${podCount} pods after ${((performance.now() - began_ms) / 1000).toFixed(1)} s`);
process.exit();
