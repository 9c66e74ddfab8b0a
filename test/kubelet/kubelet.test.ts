import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import { CacheFiles } from "#agent/checkpoint/cache-files.ts";
import { Seal } from "#agent/checkpoint/seal.ts";
import { linuxHost } from "#agent/host/linux-host.ts";
import { Kubelet, type KubeletOptions } from "#agent/kubelet/kubelet.ts";
import type { DockerRuntime } from "#agent/runtime/docker.ts";
import { isNotFound } from "#shared/api/errors.ts";
import { configMaps, events, nodes, pods, secrets, serviceAccounts, services } from "#shared/api/resources.ts";
import type { Pod, PodSpec, Probe } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { InformerFactory, withoutManagedFields } from "#shared/client/informer.ts";
import { stderrLog } from "#shared/client/log.ts";
import { extendedKeyUsages, issueCertificate } from "#shared/pki/certificate.ts";
import { dockerBoard } from "../support/docker-board.ts";
import { canRunDockerd, startDockerd, type TestDockerd, testImage } from "../support/dockerd.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";
import { SeverableClient } from "./severable-client.ts";
import { shell } from "./shell-container.ts";

const nodeName = "board";
const log = stderrLog((process.env["TEST_LOG"] as "debug" | undefined) ?? "error");
let dockerd: TestDockerd;
let server: SecuredServer;
let api: Client;
/** The board's own, with the rights of a node. */
let boardClient: SeverableClient;
let runtime: DockerRuntime;
let kubelet: Kubelet;

/** Of the kubelet that runs or ran last: an agent stops its informers after the kubelet. */
let endInformers = (): Promise<void> => Promise.resolve();

async function newKubelet(more: Partial<KubeletOptions> = {}): Promise<Kubelet> {
  await endInformers();
  const seal = await Seal.open(join(dockerd.directory, "checkpoint.key"), "test");
  const caches = new CacheFiles({
    folder: join(dockerd.directory, "caches"),
    seal,
    keeps: (_, { fieldSelector }) => !fieldSelector,
    log,
  });
  const informers = new InformerFactory(boardClient, { transform: withoutManagedFields, checkpoint: caches, log });
  endInformers = async () => {
    await informers.stop();
    await caches.stop();
  };
  const started = new Kubelet({
    client: boardClient,
    informers,
    seal,
    runtime,
    host: linuxHost(),
    nodeName,
    dataDir: join(dockerd.directory, "kubelet"),
    runDir: join(dockerd.directory, "run"),
    clusterDns: ["10.43.0.10"],
    clusterDomain: "cluster.local",
    nodeIPs: () => ["192.0.2.1"],
    staticPodsFolder: join(dockerd.directory, "manifests"),
    offlineAfter_ms: 200,
    log,
    ...more,
  });
  await started.start();
  return started;
}

function pod(name: string, spec: Partial<PodSpec>): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", labels: { app: name } },
    spec: {
      nodeName,
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 2,
      dnsPolicy: "ClusterFirst",
      enableServiceLinks: true,
      serviceAccountName: "default",
      containers: [],
      ...spec,
    },
  };
}

/** That the file is there, as soon and as late as a busy machine can tell. */
const probe = (file: string): Probe => ({
  exec: { command: ["test", "-e", file] },
  periodSeconds: 1,
  timeoutSeconds: 60,
});

/** Ends at once when asked to. */
const wait = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/** No bus: only what init says tells that the board goes down. */
const absent = { busPath: "/nowhere/bus", configPath: "/nowhere/logind.conf" };

/** A folder of programs that speak for an init, whichever it is, that stops the machine. */
function stoppingInit(): string {
  const folder = join(dockerd.directory, "init");
  mkdirSync(folder);
  for (const [name, words] of [
    ["systemctl", "stopping"],
    ["runlevel", "2 0"],
  ] as const)
    writeFileSync(join(folder, name), `#!/bin/sh\necho '${words}'\n`, { mode: 0o755 });
  return folder;
}

async function until(name: string, ready: (pod: Pod) => boolean): Promise<Pod> {
  for await (const { object } of api.watch(pods, {
    fieldSelector: `metadata.name=${name}`,
    sendInitialEvents: true,
    signal: AbortSignal.timeout(180_000),
  })) {
    if (object.metadata.name === name && ready(object)) return object;
  }
  const last = await api.get(pods, { namespace: "default", name });
  throw new Error(`the pod ${name} stayed at ${JSON.stringify(last.status, undefined, 1)}`);
}

async function untilGone(name: string): Promise<void> {
  const deadline_ms = performance.now() + 180_000;
  for (;;) {
    try {
      const { metadata, status } = await api.get(pods, { namespace: "default", name });
      if (performance.now() > deadline_ms) {
        const left = await runtime.listContainers({ podUid: metadata.uid });
        const sandboxes = await runtime.listSandboxes({ podUid: metadata.uid });
        throw new Error(`the pod ${name} does not go: ${JSON.stringify({ status, left, sandboxes }, undefined, 1)}`);
      }
    } catch (error) {
      if (isNotFound(error)) return;
      throw error;
    }
    await Bun.sleep(50);
  }
}

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
const phaseIs =
  (phase: string) =>
  ({ status }: Pod): boolean =>
    status?.phase === phase;

async function logsOf(name: string, container: string): Promise<string> {
  const found = await kubelet.findContainer("default", name, container);
  if (!found) throw new Error(`no container ${container} in ${name}`);
  const chunks: Buffer[] = [];
  for await (const chunk of await runtime.logs(found.id, { follow: false, timestamps: false })) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function eventsOf(name: string): Promise<string[]> {
  const { items } = await api.list(events, { namespace: "default" });
  return items.filter(({ involvedObject }) => involvedObject.name === name).map(({ reason = "" }) => reason);
}

describe.skipIf(!canRunDockerd())("kubelet", () => {
  beforeAll(async () => {
    dockerd = await startDockerd();
    runtime = await dockerBoard(dockerd);
    server = await startSecuredServer();
    api = server.admin;
    const { certificatePem, keyPem } = await issueCertificate(
      server.pki.authorities.ca,
      { commonName: `system:node:${nodeName}`, organizations: ["system:nodes"] },
      [extendedKeyUsages.clientAuth],
    );
    boardClient = new SeverableClient(server.clientWith({ certificate: certificatePem, key: keyPem }));
    await api.create(serviceAccounts, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "default", namespace: "default" },
      automountServiceAccountToken: false,
    });
    kubelet = await newKubelet();
  }, 300_000);

  afterAll(async () => {
    await kubelet?.stop();
    await endInformers();
    await server?.stop();
    await dockerd?.stop();
  }, 300_000);

  test("registers the board", async () => {
    for await (const { object } of api.watch(nodes, {
      sendInitialEvents: true,
      signal: AbortSignal.timeout(180_000),
    })) {
      if (object.metadata.name !== nodeName || !object.status?.conditions) continue;
      expect(object.metadata.labels).toMatchObject({ "kubernetes.io/hostname": nodeName, "kubernetes.io/os": "linux" });
      expect(object.status.conditions.find(({ type }) => type === "Ready")?.status).toBe("True");
      expect(object.status.nodeInfo?.containerRuntimeVersion).toMatch(/^docker:\/\/\d/);
      expect(object.status.capacity?.["pods"]).toBe("110");
      return;
    }
    throw new Error("no Node was registered");
  });

  test("labels of hardware that is not there go, others stay", async () => {
    const labels = { "board.bramble.dev/usb-dead-beef": "true", room: "attic" };
    await api.patch(nodes, { name: nodeName }, { type: "merge", body: { metadata: { labels } } });
    kubelet.reportNode();
    for await (const { object } of api.watch(nodes, {
      sendInitialEvents: true,
      signal: AbortSignal.timeout(180_000),
    })) {
      if (object.metadata.name !== nodeName || object.metadata.labels?.["board.bramble.dev/usb-dead-beef"]) continue;
      expect(object.metadata.labels).toMatchObject({ room: "attic" });
      return;
    }
    throw new Error("the label stays");
  });

  test("a pod with environment and volumes of every kind from the API", async () => {
    const create = { namespace: "default" };
    await api.create(services, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web-front", namespace: "default" },
      spec: { clusterIP: "10.43.0.7", clusterIPs: ["10.43.0.7"], ports: [{ name: "http", port: 80, protocol: "TCP" }] },
    });
    await api.create(
      configMaps,
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { colour: "red", "a.txt": "one" } },
      create,
    );
    await api.create(
      secrets,
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "keys" },
        data: { key: Buffer.from("s3cret").toString("base64") },
      },
      create,
    );
    const lastWords = "that is all";
    const script = `
      echo "env $COLOUR $KEY $GREETING $WEB_FRONT_SERVICE_HOST $WEB_FRONT_PORT_80_TCP_ADDR $NAME $LIMIT"
      echo "files $(cat /config/a.txt) $(cat /secret/key) $(cut -c 1-2 /all/token) $(cat /all/labels)"
      echo "modes $(stat -c %a /secret/..data/key) $(stat -c %a /scratch) $(stat -c %g /scratch)"
      echo "sub $(cat /single)"
      echo "write $( (echo x > /config/b.txt) 2>/dev/null || echo refused) $(echo y > /config/nested/y && cat /scratch/y)"
      cat /etc/resolv.conf /etc/hosts; hostname; echo "${lastWords}"
      ${wait}`;
    await api.create(
      pods,
      pod("everything", {
        securityContext: { fsGroup: 1234 },
        hostAliases: [{ ip: "192.0.2.9", hostnames: ["printer", "printer.lan"] }],
        containers: [
          shell("main", script, {
            resources: { limits: { memory: "64Mi", cpu: "500m" }, requests: { memory: "64Mi", cpu: "500m" } },
            envFrom: [{ configMapRef: { name: "absent", optional: true } }],
            env: [
              { name: "COLOUR", valueFrom: { configMapKeyRef: { name: "settings", key: "colour" } } },
              { name: "KEY", valueFrom: { secretKeyRef: { name: "keys", key: "key" } } },
              { name: "GREETING", value: "hi-$(COLOUR)-$(NOBODY)-$$(COLOUR)" },
              { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
              { name: "LIMIT", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
            ],
            volumeMounts: [
              { name: "config", mountPath: "/config" },
              { name: "secret", mountPath: "/secret", readOnly: true },
              { name: "all", mountPath: "/all" },
              { name: "scratch", mountPath: "/scratch" },
              { name: "config", mountPath: "/single", subPath: "a.txt" },
              { name: "scratch", mountPath: "/config/nested" },
            ],
          }),
        ],
        volumes: [
          { name: "config", configMap: { name: "settings" } },
          { name: "secret", secret: { secretName: "keys", defaultMode: 0o400 } },
          { name: "scratch", emptyDir: {} },
          {
            name: "all",
            projected: {
              sources: [
                { serviceAccountToken: { path: "token", expirationSeconds: 3600 } },
                { downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
              ],
            },
          },
        ],
      }),
    );
    const running = await until("everything", isReady);
    expect(running.status).toMatchObject({ phase: "Running", hostIP: "192.0.2.1", qosClass: "Guaranteed" });
    expect(running.status?.podIP).toMatch(/^10\.88\.0\./);
    const [status] = running.status?.containerStatuses ?? [];
    expect(status).toMatchObject({ name: "main", ready: true, started: true, restartCount: 0 });
    expect(status?.containerID).toMatch(/^docker:\/\/[0-9a-f]{64}$/);

    let output = "";
    for (; !output.includes(lastWords); await Bun.sleep(50)) output = await logsOf("everything", "main");
    expect(output).toContain("env red s3cret hi-red-$(NOBODY)-$(COLOUR) 10.43.0.7 10.43.0.7 everything 64\n");
    expect(output).toContain('files one s3cret ey app="everything"\n');
    expect(output).toContain("modes 440 2777 1234\n");
    expect(output).toContain("sub one\n");
    // What the kubelet writes is no container's to change; other volumes may be mounted in it all the same.
    expect(output).toContain("write refused y\n");
    expect(output).toContain("search default.svc.cluster.local svc.cluster.local cluster.local");
    expect(output).toContain("nameserver 10.43.0.10");
    expect(output).toContain("192.0.2.9\tprinter\tprinter.lan");
    expect(output).toContain(`${running.status?.podIP}\teverything`);
    expect(await eventsOf("everything")).toEqual(expect.arrayContaining(["Pulled", "Created", "Started"]));

    // What changes in the API shows in the files.
    await api.patch(
      configMaps,
      { namespace: "default", name: "settings" },
      { type: "merge", body: { data: { "a.txt": "two" } } },
    );
    const { id = "" } = (await kubelet.findContainer("default", "everything", "main")) ?? {};
    for (let shown = ""; shown !== "two"; await Bun.sleep(50)) {
      shown = (await runtime.execSync(id, ["cat", "/config/a.txt"], 60_000)).stdout;
    }

    await api.delete(pods, { namespace: "default", name: "everything" });
    await untilGone("everything");
    for (let left = 1; left > 0; await Bun.sleep(50)) {
      const all = await runtime.listContainers();
      left = all.filter(({ pod }) => pod.name === "everything").length;
    }
    expect(await eventsOf("everything")).toContain("Killing");
  }, 300_000);

  test("init containers run in turn, then the pod to its end", async () => {
    await api.create(
      pods,
      pod("job", {
        restartPolicy: "Never",
        volumes: [{ name: "work", emptyDir: {} }],
        initContainers: ["one", "two"].map((name) =>
          shell(name, `echo ${name} >> /share/order`, { volumeMounts: [{ name: "work", mountPath: "/share" }] }),
        ),
        containers: [
          shell("main", "cat /share/order; echo done > /dev/termination-log; exit 3", {
            volumeMounts: [{ name: "work", mountPath: "/share" }],
          }),
        ],
      }),
    );
    const ended = await until("job", phaseIs("Failed"));
    expect(ended.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 3,
      reason: "Error",
      message: "done\n",
    });
    expect(ended.status?.initContainerStatuses?.map(({ state }) => state?.terminated?.reason)).toEqual([
      "Completed",
      "Completed",
    ]);
    expect(await logsOf("job", "main")).toBe("one\ntwo\n");
  }, 300_000);

  test("a container that fails is restarted, then backed off", async () => {
    await api.create(pods, pod("crash", { containers: [shell("main", "exit 1")] }));
    const waiting = await until(
      "crash",
      ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "CrashLoopBackOff",
    );
    expect(waiting.status?.phase).toBe("Running");
    const [status] = waiting.status?.containerStatuses ?? [];
    expect(status?.restartCount).toBe(1);
    expect(status?.lastState?.terminated?.exitCode).toBe(1);
    expect(status?.state?.waiting?.message).toMatch(
      /^back-off 10s restarting failed container=main pod=crash_default\(/,
    );
    await api.delete(pods, { namespace: "default", name: "crash" });
    await untilGone("crash");
  }, 300_000);

  test("probes gate readiness and restart what is not alive", async () => {
    await api.create(
      pods,
      pod("probed", {
        containers: [
          shell("main", `touch /tmp/alive; sleep 1; touch /tmp/started; ${wait}`, {
            startupProbe: { ...probe("/tmp/started"), failureThreshold: 300 },
            readinessProbe: probe("/tmp/alive"),
            livenessProbe: { ...probe("/tmp/alive"), failureThreshold: 1 },
          }),
        ],
      }),
    );
    await until("probed", isReady);
    const { id = "" } = (await kubelet.findContainer("default", "probed", "main")) ?? {};
    await runtime.execSync(id, ["rm", "/tmp/alive"], 60_000);
    const restarted = await until("probed", (pod) => pod.status?.containerStatuses?.[0]?.restartCount === 1);
    expect(restarted.status?.containerStatuses?.[0]?.lastState?.terminated).toBeDefined();
    await until("probed", isReady);
    expect(await eventsOf("probed")).toContain("Unhealthy");
  }, 300_000);

  test("a missing image, a missing ConfigMap and root where it is forbidden are told as such", async () => {
    await api.create(
      pods,
      pod("faulty", {
        containers: [
          shell("never", wait, { image: "no.such/image:1", imagePullPolicy: "Never" }),
          shell("config", wait, {
            env: [{ name: "X", valueFrom: { configMapKeyRef: { name: "nowhere", key: "x" } } }],
          }),
          shell("root", wait, { securityContext: { runAsNonRoot: true } }),
        ],
      }),
    );
    const told = await until("faulty", ({ status }) => {
      const reasons = (status?.containerStatuses ?? []).map(({ state }) => state?.waiting?.reason ?? "");
      return reasons.length === 3 && !reasons.includes("ContainerCreating");
    });
    const waiting = Object.fromEntries(
      (told.status?.containerStatuses ?? []).map(({ name, state }) => [name, state?.waiting]),
    );
    expect(waiting["never"]?.reason).toBe("ErrImageNeverPull");
    expect(waiting["config"]).toEqual({
      reason: "CreateContainerConfigError",
      message: 'configmap "nowhere" not found',
    });
    expect(waiting["root"]?.message).toMatch(/^container has runAsNonRoot and image will run as root \(pod: "faulty_/);
    await api.delete(pods, { namespace: "default", name: "faulty" });
    await untilGone("faulty");
  }, 300_000);

  test("sidecars start first, stay, and end last", async () => {
    const mount = { volumeMounts: [{ name: "work", mountPath: "/share" }] };
    await api.create(
      pods,
      pod("sidecars", {
        restartPolicy: "Never",
        terminationGracePeriodSeconds: 60,
        volumes: [{ name: "work", emptyDir: {} }],
        initContainers: [
          shell(
            "side",
            `trap 'cat /share/main > /dev/termination-log; exit 0' TERM; touch /share/side; while :; do sleep 0.1; done`,
            {
              ...mount,
              restartPolicy: "Always",
              startupProbe: { ...probe("/share/side"), failureThreshold: 300 },
            },
          ),
        ],
        containers: [shell("main", "test -e /share/side && echo after-side > /share/main", mount)],
      }),
    );
    const ended = await until("sidecars", phaseIs("Succeeded"));
    expect(ended.status?.initContainerStatuses?.[0]?.state?.terminated?.message).toBe("after-side\n");
  }, 300_000);

  test("hooks run, and the preStop hook before the stop signal", async () => {
    await api.create(
      pods,
      pod("hooked", {
        terminationGracePeriodSeconds: 60,
        volumes: [{ name: "out", hostPath: { path: join(dockerd.directory, "hooks"), type: "DirectoryOrCreate" } }],
        containers: [
          shell("main", `trap 'echo term >> /out/order; exit 0' TERM; while :; do sleep 0.1; done`, {
            volumeMounts: [{ name: "out", mountPath: "/out" }],
            lifecycle: {
              postStart: { exec: { command: ["sh", "-c", "echo start >> /out/order"] } },
              preStop: { exec: { command: ["sh", "-c", "echo stop >> /out/order"] } },
            },
          }),
        ],
      }),
    );
    await until("hooked", isReady);
    await api.delete(pods, { namespace: "default", name: "hooked" });
    await untilGone("hooked");
    expect(await Bun.file(join(dockerd.directory, "hooks", "order")).text()).toBe("start\nstop\nterm\n");
  }, 300_000);

  test("a resize in place changes the cgroup and not the container", async () => {
    const resources = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } });
    const sized = pod("sized", { containers: [shell("main", wait, { resources: resources("100m", "32Mi") })] });
    await api.create(pods, sized);
    const before = await until("sized", isReady);
    const resize = (to: ReturnType<typeof resources>): Promise<Pod> => {
      const body = { spec: { containers: [{ name: "main", resources: to }] } };
      const key = { namespace: "default", name: "sized" };
      return api.patch(pods, key, { type: "strategic", body }, { subresource: "resize" });
    };
    await resize(resources("200m", "48Mi"));
    const after = await until("sized", ({ status }) => {
      const [main] = status?.containerStatuses ?? [];
      const resizing = status?.conditions?.some(({ type }) => type.startsWith("PodResize"));
      return main?.resources?.limits?.["cpu"] === "200m" && !resizing;
    });
    const [status] = after.status?.containerStatuses ?? [];
    expect(status?.containerID).toBe(before.status?.containerStatuses?.[0]?.containerID);
    expect(status?.allocatedResources).toEqual({ cpu: "200m", memory: "48Mi" });
    const { HostConfig } = await new Docker({ socketPath: dockerd.socketPath })
      .getContainer(status?.containerID?.replace("docker://", "") ?? "")
      .inspect();
    expect(HostConfig).toMatchObject({ CpuShares: 204, CpuQuota: 20_000, Memory: 48 * 1024 * 1024 });

    await resize(resources("900", "48Mi"));
    const refused = await until("sized", ({ status }) =>
      Boolean(status?.conditions?.some(({ type }) => type === "PodResizePending")),
    );
    expect(refused.status?.conditions?.find(({ type }) => type === "PodResizePending")).toMatchObject({
      status: "True",
      reason: "Infeasible",
      message: expect.stringMatching(/^Node didn't have enough capacity: cpu, requested: 900000, capacity: /),
    });
    expect(refused.status?.containerStatuses?.[0]?.resources?.limits?.["cpu"]).toBe("200m");
  }, 300_000);

  test("a deadline ends a pod", async () => {
    await api.create(pods, pod("late", { activeDeadlineSeconds: 2, containers: [shell("main", wait)] }));
    const ended = await until("late", phaseIs("Failed"));
    expect(ended.status?.reason).toBe("DeadlineExceeded");
  }, 300_000);

  test("a kubelet that starts again takes over what runs", async () => {
    await api.create(pods, pod("kept", { containers: [shell("main", wait)] }));
    const before = await until("kept", isReady);
    await kubelet.stop();
    kubelet = await newKubelet();
    await Bun.sleep(1_500);
    const after = await api.get(pods, { namespace: "default", name: "kept" });
    expect(after.status?.containerStatuses?.[0]?.containerID).toBe(before.status?.containerStatuses?.[0]?.containerID);
    expect(isReady(after)).toBe(true);
    await api.delete(pods, { namespace: "default", name: "kept" });
    await untilGone("kept");
  }, 300_000);

  test("a pod that does not fit is refused", async () => {
    await api.create(
      pods,
      pod("huge", { containers: [shell("main", wait, { resources: { requests: { cpu: "1000" } } })] }),
    );
    const refused = await until("huge", phaseIs("Failed"));
    expect(refused.status?.reason).toBe("OutOfcpu");
    expect(refused.status?.message).toMatch(
      /^Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000/,
    );
  }, 300_000);

  test("a manifest runs as a static pod with a mirror in the API, until it is taken away", async () => {
    const file = join(dockerd.directory, "manifests", "web.json");
    await Bun.write(
      file,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "web" },
        spec: { containers: [{ name: "main", image: testImage, command: ["sh", "-c", wait] }] },
      }),
    );
    const mirror = await until("web-board", isReady);
    expect(mirror.metadata.annotations?.["kubernetes.io/config.mirror"]).toBe(
      mirror.metadata.annotations?.["kubernetes.io/config.hash"],
    );
    // Deleting the mirror does not end the pod.
    await api.delete(pods, { namespace: "default", name: "web-board" }, { gracePeriodSeconds: 0 });
    const again = await until("web-board", (pod) => pod.metadata.uid !== mirror.metadata.uid && isReady(pod));
    expect(again.status?.containerStatuses?.[0]?.containerID).toBe(mirror.status?.containerStatuses?.[0]?.containerID);
    await rm(file);
    await untilGone("web-board");
    for (let left = 1; left > 0; await Bun.sleep(50)) {
      left = (await runtime.listContainers()).filter(({ pod }) => pod.name === "web-board").length;
    }
  }, 300_000);

  test("a board that boots with the master away starts its pods from what it was last told", async () => {
    await api.create(
      secrets,
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "kept" },
        data: { a: Buffer.from("b").toString("base64") },
      },
      { namespace: "default" },
    );
    await api.create(
      pods,
      pod("offline", {
        containers: [
          shell("main", `cat /secret/a; echo; ${wait}`, { volumeMounts: [{ name: "s", mountPath: "/secret" }] }),
        ],
        volumes: [{ name: "s", secret: { secretName: "kept" } }],
      }),
    );
    const before = await until("offline", isReady);
    await kubelet.stop();
    // A power cut: nothing runs any more.
    for (const { id } of await runtime.listSandboxes()) await runtime.removeSandbox(id);
    boardClient.severed = true;
    kubelet = await newKubelet();
    let output = "";
    for (; output !== "b\n"; await Bun.sleep(100)) output = await logsOf("offline", "main").catch(() => "");
    boardClient.severed = false;
    const after = await until(
      "offline",
      (pod) => isReady(pod) && pod.status?.podIP !== undefined && pod.metadata.uid === before.metadata.uid,
    );
    expect(after.status?.phase).toBe("Running");
  }, 300_000);

  test("a board that boots with the master away runs what its shutdown had ended, until the master says otherwise", async () => {
    await api.create(pods, pod("shut-down", { containers: [shell("main", wait)] }));
    const { uid = "" } = (await until("shut-down", isReady)).metadata;
    const runs = async (): Promise<boolean> =>
      (await runtime.listContainers({ podUid: uid })).some(({ state }) => state === "running");
    const until_ms = performance.now() + 100_000;
    const becomes = async (running: boolean): Promise<void> => {
      while ((await runs()) !== running && performance.now() < until_ms) await Bun.sleep(100);
      expect(await runs()).toBe(running);
    };
    await kubelet.stop();
    kubelet = await newKubelet({ shutdown: [{ priority: 0, grace_s: 10 }], logind: absent });
    await kubelet.endPodsWithBoard();
    expect(await runs()).toBe(true);
    const path = process.env["PATH"];
    process.env["PATH"] = `${stoppingInit()}:${path}`;
    await kubelet.endPodsWithBoard();
    process.env["PATH"] = path;
    expect(await runs()).toBe(false);
    await kubelet.stop();
    boardClient.severed = true;
    kubelet = await newKubelet();
    await becomes(true);
    boardClient.severed = false;
    await becomes(false);
    const key = { namespace: "default", name: "shut-down" };
    expect((await api.get(pods, key)).status).toMatchObject({ phase: "Failed", reason: "Terminated" });
    await api.delete(pods, key);
    await untilGone("shut-down");
  }, 300_000);

  test("volumes in memory, subpaths by expression, users and limits of privilege", async () => {
    const script = `
      echo "tmpfs $(grep ' /mem ' /proc/mounts | cut -d' ' -f1,3) $(stat -c %a /mem)"
      echo "who $(id -u) $(id -g) $(id -G)"
      echo "root $(touch /file 2>/dev/null && echo writable || echo read-only)"
      echo "privileges $(grep NoNewPrivs /proc/self/status | tr -d '\t')"
      echo "sub $(touch /logs/here && ls /all)"
      echo "sysctl $(cat /proc/sys/kernel/shm_rmid_forced)"
      ${wait}`;
    await api.create(
      pods,
      pod("confined", {
        securityContext: {
          runAsUser: 1001,
          runAsGroup: 2002,
          fsGroup: 3003,
          supplementalGroups: [4004],
          sysctls: [{ name: "kernel.shm_rmid_forced", value: "1" }],
        },
        volumes: [
          { name: "mem", emptyDir: { medium: "Memory", sizeLimit: "16Mi" } },
          { name: "disk", emptyDir: {} },
        ],
        containers: [
          shell("main", script, {
            env: [{ name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
            securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
            volumeMounts: [
              { name: "mem", mountPath: "/mem" },
              { name: "disk", mountPath: "/logs", subPathExpr: "of-$(POD)" },
              { name: "disk", mountPath: "/all" },
            ],
          }),
        ],
      }),
    );
    await until("confined", isReady);
    let output = "";
    for (; !output.includes("sysctl"); await Bun.sleep(50)) output = await logsOf("confined", "main");
    expect(output).toBe(
      [
        "tmpfs tmpfs tmpfs 2777",
        "who 1001 2002 2002 3003 4004",
        "root read-only",
        "privileges NoNewPrivs:1",
        "sub of-confined",
        "sysctl 1",
        "",
      ].join("\n"),
    );
  }, 300_000);

  test("a subpath that cannot be expanded is mended by an annotation", async () => {
    const broken = pod("mended", {
      volumes: [{ name: "disk", emptyDir: {} }],
      containers: [
        shell("main", wait, {
          env: [{ name: "PLACE", valueFrom: { fieldRef: { fieldPath: "metadata.annotations['place']" } } }],
          volumeMounts: [{ name: "disk", mountPath: "/d", subPathExpr: "$(PLACE)" }],
        }),
      ],
    });
    await api.create(pods, broken);
    const told = await until("mended", ({ status }) =>
      Boolean(status?.containerStatuses?.[0]?.state?.waiting?.message?.includes("missing value")),
    );
    expect(told.status?.containerStatuses?.[0]?.state?.waiting).toEqual({
      reason: "CreateContainerConfigError",
      message: "missing value for PLACE",
    });
    const body = { metadata: { annotations: { place: "here" } } };
    await api.patch(pods, { namespace: "default", name: "mended" }, { type: "merge", body });
    await until("mended", isReady);
  }, 300_000);

  test("an ephemeral container joins a pod that runs, and shares its target's processes", async () => {
    await api.create(pods, pod("debugged", { containers: [shell("main", wait)] }));
    await until("debugged", isReady);
    const ephemeralContainers = [
      { ...shell("debug", `ps -o args | grep -c trap; ${wait}`), targetContainerName: "main" },
    ];
    await api.patch(
      pods,
      { namespace: "default", name: "debugged" },
      { type: "strategic", body: { spec: { ephemeralContainers } } },
      { subresource: "ephemeralcontainers" },
    );
    const joined = await until(
      "debugged",
      ({ status }) => status?.ephemeralContainerStatuses?.[0]?.state?.running !== undefined,
    );
    expect(joined.status?.containerStatuses?.[0]?.restartCount).toBe(0);
    let output = "";
    for (; output === ""; await Bun.sleep(50)) output = await logsOf("debugged", "debug");
    // Its own shell, the grep's, and the target's.
    expect(Number(output)).toBeGreaterThanOrEqual(2);
  }, 300_000);

  test("the end of the log tells of a failure, and a pod on the host's network has the board's address", async () => {
    await api.create(
      pods,
      pod("told", {
        restartPolicy: "Never",
        hostNetwork: true,
        containers: [
          shell("main", "echo what went wrong; exit 7", { terminationMessagePolicy: "FallbackToLogsOnError" }),
        ],
      }),
    );
    const ended = await until("told", phaseIs("Failed"));
    expect(ended.status?.containerStatuses?.[0]?.state?.terminated?.message).toBe("what went wrong\n");
    expect(ended.status?.podIP).toBe("192.0.2.1");
  }, 300_000);

  test("a pod waits for a ConfigMap that its volume shows, and says so", async () => {
    await api.create(
      pods,
      pod("patient", {
        volumes: [{ name: "later", configMap: { name: "later" } }],
        containers: [shell("main", wait, { volumeMounts: [{ name: "later", mountPath: "/later" }] })],
      }),
    );
    while (!(await eventsOf("patient")).includes("FailedMount")) await Bun.sleep(50);
    await api.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "later", namespace: "default" },
      data: { a: "1" },
    });
    await until("patient", isReady);
  }, 300_000);

  test("a container is restarted although the ConfigMap that its volume shows has gone", async () => {
    const metadata = { name: "leaving", namespace: "default" };
    await api.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata, data: { a: "1" } });
    await api.create(
      pods,
      pod("tenacious", {
        volumes: [{ name: "files", configMap: { name: "leaving" } }],
        containers: [
          shell("main", `while [ -e /files/a ] && [ ! -e /tmp/end ]; do sleep 0.1; done; exit 1`, {
            volumeMounts: [{ name: "files", mountPath: "/files" }],
          }),
        ],
      }),
    );
    await until("tenacious", isReady);
    await api.delete(configMaps, metadata);
    while (!(await eventsOf("tenacious")).includes("FailedMount")) await Bun.sleep(50);
    const found = await kubelet.findContainer("default", "tenacious", "main");
    if (!found) throw new Error("the container is not there");
    await runtime.execSync(found.id, ["/bin/sh", "-c", "> /tmp/end"], 60_000);
    await until("tenacious", (pod) => (pod.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0 && isReady(pod));
    await api.delete(pods, { ...metadata, name: "tenacious" });
    await untilGone("tenacious");
  }, 300_000);

  test("an image that cannot be had is told, then backed off", async () => {
    await api.create(
      pods,
      pod("unpullable", { containers: [shell("main", wait, { image: "127.0.0.1:1/nothing/here:1" })] }),
    );
    const reason = ({ status }: Pod): string | undefined => status?.containerStatuses?.[0]?.state?.waiting?.reason;
    await until("unpullable", (pod) => reason(pod) === "ErrImagePull");
    const backedOff = await until("unpullable", (pod) => reason(pod) === "ImagePullBackOff");
    expect(backedOff.status?.phase).toBe("Pending");
    expect(backedOff.status?.containerStatuses?.[0]?.state?.waiting?.message).toStartWith(
      'Back-off pulling image "127.0.0.1:1/nothing/here:1": ErrImagePull: ',
    );
    await api.delete(pods, { namespace: "default", name: "unpullable" });
    await untilGone("unpullable");
  }, 300_000);

  test("many pods at once all come up and all go", async () => {
    const names = Array.from({ length: 15 }, (_, index) => `many-${index}`);
    for (const name of names) await api.create(pods, pod(name, { containers: [shell("main", wait)] }));
    await Promise.all(names.map((name) => until(name, isReady)));
    for (const name of names) await api.delete(pods, { namespace: "default", name });
    await Promise.all(names.map(untilGone));
  }, 400_000);
});
