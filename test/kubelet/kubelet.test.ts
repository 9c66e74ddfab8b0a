import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { events, nodes, pods, secrets } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import { canRunDockerd, testImage } from "../support/dockerd.ts";
import { isReady, KubeletBoard, lasting, nodeName, phaseIs, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

/** No bus: only what init says tells that the board goes down. */
const absent = { busPath: "/nowhere/bus", configPath: "/nowhere/logind.conf" };

/** A folder of programs that speak for an init, whichever it is, that stops the machine. */
function stoppingInit(directory: string): string {
  const folder = join(directory, "init");
  mkdirSync(folder);
  for (const [name, words] of [
    ["systemctl", "stopping"],
    ["runlevel", "2 0"],
  ] as const)
    writeFileSync(join(folder, name), `#!/bin/sh\necho '${words}'\n`, { mode: 0o755 });
  return folder;
}

describe.skipIf(!canRunDockerd())("a kubelet", () => {
  let board: KubeletBoard;
  beforeAll(async () => {
    board = await KubeletBoard.start(async (directory) => ({
      staticPodsFolder: join(directory, "manifests"),
      offlineAfter_ms: 200,
    }));
  }, 300_000);
  afterAll(() => board?.stop(), 300_000);

  test("registers the board", async () => {
    for await (const { object } of board.api.watch(nodes, {
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
    await board.api.patch(nodes, { name: nodeName }, { type: "merge", body: { metadata: { labels } } });
    board.kubelet?.reportNode();
    for await (const { object } of board.api.watch(nodes, {
      sendInitialEvents: true,
      signal: AbortSignal.timeout(180_000),
    })) {
      if (object.metadata.name !== nodeName || object.metadata.labels?.["board.bramble.dev/usb-dead-beef"]) continue;
      expect(object.metadata.labels).toMatchObject({ room: "attic" });
      return;
    }
    throw new Error("the label stays");
  });

  test("a kubelet that starts again takes over what runs", async () => {
    await board.api.create(
      pods,
      lasting("kept", {
        containers: [shell("main", wait, { volumeMounts: [{ name: "own", mountPath: "/own" }] })],
        volumes: [{ name: "own", emptyDir: {} }],
      }),
    );
    const before = await board.untilPod("kept", isReady);
    const told = (await board.metrics()).split("\n");
    for (const line of [
      `kubelet_node_name{node="${nodeName}"} 1`,
      "kubelet_started_pods_total 1",
      "kubelet_started_pods_errors_total 0",
      'kubelet_started_containers_total{container_type="container"} 1',
      'volume_manager_total_volumes{plugin_name="kubernetes.io/empty-dir",state="desired_state_of_world"} 1',
      'volume_manager_total_volumes{plugin_name="kubernetes.io/empty-dir",state="actual_state_of_world"} 1',
      'storage_operation_duration_seconds_count{volume_plugin="kubernetes.io/empty-dir",operation_name="volume_mount",status="success",migrated="false"} 1',
    ])
      expect(told).toContain(line);
    // No list of containers is made each second, so nothing is told of how long one takes.
    expect(told.join("\n")).not.toContain("kubelet_pleg");
    await board.stopKubelet();
    await board.startKubelet();
    await Bun.sleep(1_500);
    const after = await board.api.get(pods, { namespace: "default", name: "kept" });
    expect(after.status?.containerStatuses?.[0]?.containerID).toBe(before.status?.containerStatuses?.[0]?.containerID);
    expect(isReady(after)).toBe(true);
    await board.api.delete(pods, { namespace: "default", name: "kept" });
    await board.untilGone("kept");
  }, 300_000);

  test("a pod that does not fit is refused", async () => {
    await board.api.create(
      pods,
      lasting("huge", { containers: [shell("main", wait, { resources: { requests: { cpu: "1000" } } })] }),
    );
    const refused = await board.untilPod("huge", phaseIs("Failed"));
    expect(refused.status?.reason).toBe("OutOfcpu");
    expect(refused.status?.message).toMatch(
      /^Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000/,
    );
    expect(Object.keys(refused.status ?? {}).sort()).toEqual([
      "message",
      "observedGeneration",
      "phase",
      "qosClass",
      "reason",
      "startTime",
    ]);
  }, 300_000);

  test("a pull secret that is missing is told, also with the image there", async () => {
    const imagePullSecrets = [{ name: "absent" }, { name: "" }];
    await board.api.create(pods, lasting("secretless", { imagePullSecrets, containers: [shell("main", wait)] }));
    const pod = await board.untilPod("secretless", isReady);
    const told = async () =>
      (await board.api.list(events)).items.find(
        ({ involvedObject, reason }) =>
          involvedObject.uid === pod.metadata.uid && reason === "FailedToRetrieveImagePullSecret",
      );
    while (!(await told())) await Bun.sleep(50);
    expect(await told()).toMatchObject({
      type: "Warning",
      message: "Unable to retrieve some image pull secrets (absent); attempting to pull the image may not succeed.",
      source: { component: "kubelet", host: "board" },
    });
  }, 300_000);

  test("a manifest runs as a static pod with a mirror in the API, until it is taken away", async () => {
    const file = join(board.dockerd.directory, "manifests", "web.json");
    await Bun.write(
      file,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "web" },
        spec: { containers: [{ name: "main", image: testImage, command: ["sh", "-c", wait] }] },
      }),
    );
    const mirror = await board.untilPod("web-board", isReady);
    expect(mirror.metadata.annotations?.["kubernetes.io/config.mirror"]).toBe(
      mirror.metadata.annotations?.["kubernetes.io/config.hash"],
    );
    // Deleting the mirror does not end the pod.
    await board.api.delete(pods, { namespace: "default", name: "web-board" }, { gracePeriodSeconds: 0 });
    const again = await board.untilPod("web-board", (pod) => pod.metadata.uid !== mirror.metadata.uid && isReady(pod));
    expect(again.status?.containerStatuses?.[0]?.containerID).toBe(mirror.status?.containerStatuses?.[0]?.containerID);
    await rm(file);
    await board.untilGone("web-board");
    for (let left = 1; left > 0; await Bun.sleep(50)) {
      left = (await board.runtime.listContainers()).filter(({ pod }) => pod.name === "web-board").length;
    }
  }, 300_000);

  test("a manifest that changes has its pod end before the next one begins, which may have the same port", async () => {
    const { directory } = board.dockerd;
    const said = join(directory, "said");
    mkdirSync(said);
    const file = join(directory, "manifests", "next.json");
    const write = (turn: string): Promise<number> => {
      const script = `trap 'sleep 2; echo end ${turn} >> /said/lines; exit' TERM; echo begin ${turn} >> /said/lines; while :; do sleep 0.1; done`;
      return Bun.write(
        file,
        JSON.stringify({
          apiVersion: "v1",
          kind: "Pod",
          metadata: { name: "next", labels: { turn } },
          spec: {
            hostNetwork: true,
            containers: [
              {
                name: "main",
                image: testImage,
                command: ["sh", "-c", script],
                ports: [{ containerPort: 7070, hostPort: 7070 }],
                volumeMounts: [{ name: "said", mountPath: "/said" }],
              },
            ],
            volumes: [{ name: "said", hostPath: { path: said } }],
          },
        }),
      );
    };
    for (const turn of ["one", "two"]) {
      await write(turn);
      await board.untilPod("next-board", (pod) => pod.metadata.labels?.["turn"] === turn && isReady(pod));
    }
    expect(await Bun.file(join(said, "lines")).text()).toBe("begin one\nend one\nbegin two\n");
    await rm(file);
    await board.untilGone("next-board");
  }, 300_000);

  test("a board whose container runtime hangs is not ready, and is again once that answers", async () => {
    const readiness = ({ status }: Node) => status?.conditions?.find(({ type }) => type === "Ready");
    await board.stopKubelet();
    await board.startKubelet({ runtimePatience_ms: 500 });
    process.kill(board.dockerd.pid, "SIGSTOP");
    try {
      board.kubelet?.reportNode();
      const hung = await board.untilNode((node) => readiness(node)?.status === "False");
      expect(readiness(hung)?.message).toContain("container runtime is down: it has not answered for 0.5 s");
      await board.stopKubelet();
      await board.startKubelet({ runtimePatience_ms: 500 });
    } finally {
      process.kill(board.dockerd.pid, "SIGCONT");
    }
    await board.untilNode((node) => readiness(node)?.status === "True");
    await board.restartKubelet();
  }, 300_000);

  test("a board that boots with the master away starts its pods from what it was last told", async () => {
    await board.api.create(
      secrets,
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "kept" },
        data: { a: Buffer.from("b").toString("base64") },
      },
      { namespace: "default" },
    );
    await board.api.create(
      pods,
      lasting("offline", {
        containers: [
          shell("main", `cat /secret/a; echo; ${wait}`, { volumeMounts: [{ name: "s", mountPath: "/secret" }] }),
        ],
        volumes: [{ name: "s", secret: { secretName: "kept" } }],
      }),
    );
    const before = await board.untilPod("offline", isReady);
    await board.stopKubelet();
    // A power cut: nothing runs any more.
    for (const { id } of await board.runtime.listSandboxes()) await board.runtime.removeSandbox(id);
    board.client.severed = true;
    await board.startKubelet();
    let output = "";
    for (; output !== "b\n"; await Bun.sleep(100)) output = await board.logsOf("offline", "main").catch(() => "");
    board.client.severed = false;
    const after = await board.untilPod(
      "offline",
      (pod) => isReady(pod) && pod.status?.podIP !== undefined && pod.metadata.uid === before.metadata.uid,
    );
    expect(after.status?.phase).toBe("Running");
  }, 300_000);

  test("a board that boots with the master away runs what its shutdown had ended, until the master says otherwise", async () => {
    await board.api.create(pods, lasting("shut-down", { containers: [shell("main", wait)] }));
    const { uid = "" } = (await board.untilPod("shut-down", isReady)).metadata;
    const runs = async (): Promise<boolean> =>
      (await board.runtime.listContainers({ podUid: uid })).some(({ state }) => state === "running");
    const until_ms = performance.now() + 100_000;
    const becomes = async (running: boolean): Promise<void> => {
      while ((await runs()) !== running && performance.now() < until_ms) await Bun.sleep(100);
      expect(await runs()).toBe(running);
    };
    await board.stopKubelet();
    await board.startKubelet({ shutdown: [{ priority: 0, grace_s: 10 }], logind: absent });
    await board.kubelet?.endPodsWithBoard();
    expect(await runs()).toBe(true);
    const path = process.env["PATH"];
    process.env["PATH"] = `${stoppingInit(board.dockerd.directory)}:${path}`;
    await board.kubelet?.endPodsWithBoard();
    process.env["PATH"] = path;
    expect(await runs()).toBe(false);
    await board.stopKubelet();
    board.client.severed = true;
    await board.startKubelet();
    await becomes(true);
    board.client.severed = false;
    await becomes(false);
    const key = { namespace: "default", name: "shut-down" };
    expect((await board.api.get(pods, key)).status).toMatchObject({ phase: "Failed", reason: "Terminated" });
    await board.api.delete(pods, key);
    await board.untilGone("shut-down");
  }, 300_000);
});
