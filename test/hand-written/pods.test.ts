/** Pods of which a hand in the store has made one odd: the board runs all others, tells of each that it cannot run, and rests. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Seal } from "#agent/checkpoint/seal.ts";
import { linuxHost } from "#agent/host/linux-host.ts";
import { Kubelet } from "#agent/kubelet/kubelet.ts";
import { events, pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import { notedLog } from "#shared/testing/noted-log.ts";
import { until } from "#shared/testing/until.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";
import { MemoryRuntime } from "./memory-runtime.ts";
import { oddVariants } from "./odd-fields.ts";

setDefaultTimeout(600_000);
const nodeName = "board";
/** A share in every run; BRAMBLE_ODD_PODS=all for the whole. */
const oneIn = process.env["BRAMBLE_ODD_PODS"] === "all" ? 1 : 16;
/** What an API server says of each pod that it lets in stays, too: without, it refuses every status. */
const identity = /^(apiVersion|kind|metadata|metadata\.(name|namespace|uid)|spec\.nodeName|spec|status.*)$/;

const probe = {
  periodSeconds: 10,
  timeoutSeconds: 5,
  failureThreshold: 3,
  successThreshold: 1,
  initialDelaySeconds: 1,
};
const whole: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "odd", namespace: "default", uid: "u", labels: { app: "odd" }, annotations: { note: "odd" } },
  spec: {
    nodeName,
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 1,
    activeDeadlineSeconds: 86_400,
    dnsPolicy: "None",
    dnsConfig: { nameservers: ["10.43.0.10"], searches: ["odd.test"], options: [{ name: "ndots", value: "2" }] },
    enableServiceLinks: true,
    hostname: "odd",
    subdomain: "odds",
    priority: 1,
    serviceAccountName: "default",
    automountServiceAccountToken: false,
    hostAliases: [{ ip: "192.0.2.1", hostnames: ["alias.test"] }],
    imagePullSecrets: [{ name: "pull" }],
    nodeSelector: { "kubernetes.io/os": "linux" },
    tolerations: [{ key: "k", operator: "Equal", value: "v", effect: "NoExecute", tolerationSeconds: 60 }],
    topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "ScheduleAnyway" }],
    securityContext: {
      fsGroup: 1000,
      runAsUser: 1000,
      supplementalGroups: [2000],
      sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }],
      seccompProfile: { type: "RuntimeDefault" },
    },
    volumes: [
      { name: "work", emptyDir: { sizeLimit: "1Mi" } },
      { name: "map", configMap: { name: "map", defaultMode: 420, items: [{ key: "k", path: "p", mode: 256 }] } },
      {
        name: "down",
        downwardAPI: {
          defaultMode: 420,
          items: [
            { path: "labels", fieldRef: { apiVersion: "v1", fieldPath: "metadata.labels" } },
            { path: "cpu", resourceFieldRef: { containerName: "main", resource: "limits.cpu", divisor: "1m" } },
          ],
        },
      },
    ],
    initContainers: [{ name: "side", image: "side:1", restartPolicy: "Always", imagePullPolicy: "IfNotPresent" }],
    containers: [
      {
        name: "main",
        image: "main:1",
        imagePullPolicy: "IfNotPresent",
        command: ["run"],
        args: ["$(NAME)"],
        workingDir: "/work",
        env: [
          { name: "NAME", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } } },
          { name: "CPU", valueFrom: { resourceFieldRef: { resource: "requests.cpu", divisor: "1m" } } },
          { name: "KEY", valueFrom: { configMapKeyRef: { name: "map", key: "k" } } },
        ],
        envFrom: [{ prefix: "P_", configMapRef: { name: "map" } }],
        ports: [{ name: "http", containerPort: 80, hostPort: 8080, hostIP: "192.0.2.1", protocol: "TCP" }],
        resources: { requests: { cpu: "1m", memory: "1Mi" }, limits: { cpu: "10m", memory: "2Mi" } },
        volumeMounts: [
          { name: "work", mountPath: "/work", subPath: "a", mountPropagation: "None" },
          { name: "map", mountPath: "/map", readOnly: true },
          { name: "down", mountPath: "/down" },
        ],
        livenessProbe: { ...probe, exec: { command: ["true"] } },
        readinessProbe: { ...probe, httpGet: { path: "/", port: "http", scheme: "HTTP" } },
        startupProbe: { ...probe, tcpSocket: { port: 80 }, terminationGracePeriodSeconds: 5 },
        lifecycle: { postStart: { sleep: { seconds: 1 } }, preStop: { exec: { command: ["true"] } } },
        securityContext: { capabilities: { drop: ["ALL"] }, runAsNonRoot: true },
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
        resizePolicy: [{ resourceName: "cpu", restartPolicy: "NotRequired" }],
      },
    ],
  },
  status: { phase: "Pending", qosClass: "Burstable" },
};

const good = (name: string): Pod => ({
  ...whole,
  status: { phase: "Pending", qosClass: "BestEffort" },
  metadata: { name, namespace: "default", uid: `uid-${name}` },
  spec: { nodeName, restartPolicy: "Always", containers: [{ name: "main", image: "main:1" }] },
});

const folder = mkdtempSync(join(tmpdir(), "brt-odd-"));
const { log, lines, fields } = notedLog();
const journal = (): string[] => lines.map((line, index) => `${line} ${JSON.stringify(fields[index])}`);
let server: TestServer;
let runtime: MemoryRuntime;
let kubelet: Kubelet;
let informers: InformerFactory;

const put = (pod: Pod, key = `${pod.metadata.namespace}/${pod.metadata.name}`): Promise<unknown> =>
  server.store.create(`/registry/pods/${key}`, JSON.stringify(pod));

const phaseOf = async (name: string): Promise<string | undefined> =>
  (await server.client.get(pods, { namespace: "default", name })).status?.phase;

beforeAll(async () => {
  server = await startTestServer();
  runtime = new MemoryRuntime();
  await server.store.create(
    "/registry/configmaps/default/map",
    JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "map", namespace: "default" },
      data: { k: "v" },
    }),
  );
  for (const name of ["data", "run"]) mkdirSync(join(folder, name));
  informers = new InformerFactory(server.client);
  kubelet = new Kubelet({
    client: server.client,
    informers,
    seal: await Seal.open(join(folder, "key"), "test"),
    runtime,
    host: linuxHost(),
    nodeName,
    dataDir: join(folder, "data"),
    runDir: join(folder, "run"),
    clusterDns: ["10.43.0.10"],
    clusterDomain: "cluster.local",
    nodeIPs: () => ["192.0.2.1"],
    maxPods: 5_000,
    log,
  });
  await kubelet.start();
});
afterAll(async () => {
  await kubelet?.stop();
  await informers?.stop();
  await server?.stop();
  linuxHost().unmountTree(folder, { lazy: true });
  rmSync(folder, { recursive: true, force: true });
});

test("a pod runs beside odd ones, each of which runs or is told of, and the board rests then", async () => {
  const all = [...oddVariants(whole, identity)];
  expect(all.length).toBeGreaterThan(1_500);
  const odd = all.filter((_, index) => index % oneIn === 0);
  const names = new Map<string, string>();
  for (const [index, { how, object }] of odd.entries()) {
    const name = `odd-${index}`;
    names.set(name, how);
    await put({ ...object, metadata: { ...object.metadata, name, uid: `uid-${name}`, namespace: "default" } });
  }
  await put(good("good"));
  await until("the good pod runs", async () => (await phaseOf("good")) === "Running");

  const settled = async (): Promise<string[]> => {
    const told = new Set(
      (await server.client.list(events, { namespace: "default" })).items.map((each) => each.involvedObject.name),
    );
    const written = journal();
    const { items } = await server.client.list(pods, { namespace: "default" });
    return items.flatMap(({ metadata: { name = "" }, status }) => {
      const isTold = told.has(name) || written.some((line) => line.includes(`${name}_`) || line.includes(`/${name}"`));
      const isThrough = ["Running", "Failed", "Succeeded"].includes(status?.phase ?? "") || isTold;
      return isThrough ? [] : [`${name} (${names.get(name)}): ${status?.phase}`];
    });
  };
  let left: string[] = [];
  await until(
    "every odd pod runs or is told of",
    async () => {
      left = await settled();
      return left.length === 0;
    },
    { tell: () => left.slice(0, 20).join("\n") },
  );
  const often = [...runtime.made].filter(([, count]) => count > 3);
  expect(often.map(([uid, count]) => `${uid} (${names.get(uid.slice(4))}): ${count} sandboxes`)).toEqual([]);
  expect(lines.filter((line) => line.startsWith("error"))).toEqual([]);
});

test("a pod without an identity is ignored and told of once, and what others have stays", async () => {
  const data = join(folder, "data", "pods");
  const keep = join(data, "uid-good", "keep");
  mkdirSync(join(data, "uid-good"), { recursive: true });
  writeFileSync(keep, "kept");
  const bare = good("bare");
  await put({ ...bare, metadata: { name: "bare", namespace: "default" } });
  await put({ ...bare, metadata: { ...bare.metadata, name: "up", uid: ".." } });
  await put({ ...bare, metadata: { ...bare.metadata, name: "a/b" } }, "default/a/b");
  const refused = (): string[] => journal().filter((line) => line.includes("Error validating pod from api, ignoring"));
  await until("they are told of", () => refused().length >= 3);
  for (const key of ["default/bare", "default/up", "default/a/b"]) {
    const { value = "", revision = 0 } = (await server.store.get(`/registry/pods/${key}`)) ?? {};
    await server.store.update(
      `/registry/pods/${key}`,
      value.replace('"metadata":{', '"metadata":{"labels":{"a":"b"},'),
      revision,
    );
    const changed = (await server.store.get(`/registry/pods/${key}`))?.revision ?? 0;
    await server.store.delete(`/registry/pods/${key}`, changed);
  }
  await put(good("last"));
  await until("a pod that came after them runs", async () => (await phaseOf("last")) === "Running");
  expect(refused()).toHaveLength(3);
  expect(existsSync(keep)).toBe(true);
});
