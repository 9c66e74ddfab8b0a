/** From a pod's first container to its end. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import { pods } from "#shared/api/resources.ts";
import type { Pod, PodSpec, Probe } from "#shared/api/types/core-v1.generated.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { isReady, KubeletBoard, lasting, phaseIs, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

/** That the file is there, as soon and as late as a busy machine can tell. */
const probe = (file: string): Probe => ({
  exec: { command: ["test", "-e", file] },
  periodSeconds: 1,
  timeoutSeconds: 60,
});

describe.skipIf(!canRunDockerd())("the life of pods", () => {
  let board: KubeletBoard;
  let resolvConf: string;
  beforeAll(async () => {
    board = await KubeletBoard.start(async (directory) => {
      resolvConf = join(directory, "resolv.conf");
      return { resolvConf };
    });
  }, 300_000);
  afterAll(() => board?.stop(), 300_000);

  test("a pod asks the servers that its board knows when it starts, which need not be those of the kubelet's start", async () => {
    const reads = async (
      name: string,
      more: Partial<PodSpec> = { dnsPolicy: "Default" },
    ): Promise<string | undefined> => {
      const containers = [shell("main", "cat /etc/resolv.conf > /dev/termination-log")];
      await board.api.create(pods, lasting(name, { restartPolicy: "Never", containers, ...more }));
      const { status } = await board.untilPod(name, phaseIs("Succeeded"));
      return status?.containerStatuses?.[0]?.state?.terminated?.message;
    };
    await writeFile(resolvConf, "nameserver 192.0.2.53\n");
    expect(await reads("before")).toContain("nameserver 192.0.2.53");
    await writeFile(resolvConf, "nameserver 192.0.2.54\n");
    expect(await reads("after")).toContain("nameserver 192.0.2.54");
    // Also on the board's network, where no container joins its sandbox's.
    expect(await reads("hosted", { dnsPolicy: "Default", hostNetwork: true })).toContain("nameserver 192.0.2.54");
    const dnsPolicy = "ClusterFirstWithHostNet";
    expect(await reads("clustered", { dnsPolicy, hostNetwork: true })).toContain("nameserver 10.43.0.10");
    await rm(resolvConf);
    await mkdir(resolvConf);
    const unread = reads("unread");
    await board.untilTold("unread", "Failed to create pod sandbox: EISDIR");
    await rmdir(resolvConf);
    await unread;
  }, 300_000);

  test("init containers run in turn, then the pod to its end", async () => {
    await board.api.create(
      pods,
      lasting("job", {
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
    const ended = await board.untilPod("job", phaseIs("Failed"));
    expect(ended.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 3,
      reason: "Error",
      message: "done\n",
    });
    expect(ended.status?.initContainerStatuses?.map(({ state }) => state?.terminated?.reason)).toEqual([
      "Completed",
      "Completed",
    ]);
    expect(await board.logsOf("job", "main")).toBe("one\ntwo\n");
  }, 300_000);

  test("a container that fails is restarted, then backed off", async () => {
    await board.api.create(pods, lasting("crash", { containers: [shell("main", "exit 1")] }));
    const waiting = await board.untilPod(
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
    await board.api.delete(pods, { namespace: "default", name: "crash" });
    await board.untilGone("crash");
  }, 300_000);

  test("probes gate readiness and restart what is not alive", async () => {
    await board.api.create(
      pods,
      lasting("probed", {
        containers: [
          shell("main", `touch /tmp/alive; sleep 1; touch /tmp/started; ${wait}`, {
            startupProbe: { ...probe("/tmp/started"), failureThreshold: 300 },
            readinessProbe: probe("/tmp/alive"),
            livenessProbe: { ...probe("/tmp/alive"), failureThreshold: 1 },
          }),
        ],
      }),
    );
    await board.untilPod("probed", isReady);
    const { id = "" } = (await board.kubelet?.findContainer("default", "probed", "main")) ?? {};
    await board.runtime.execSync(id, ["rm", "/tmp/alive"], 60_000);
    const restarted = await board.untilPod("probed", (pod) => pod.status?.containerStatuses?.[0]?.restartCount === 1);
    expect(restarted.status?.containerStatuses?.[0]?.lastState?.terminated).toBeDefined();
    await board.untilPod("probed", isReady);
    expect(await board.reasonsOf("probed")).toContain("Unhealthy");
  }, 300_000);

  test("a missing image, a missing ConfigMap and root where it is forbidden are told as such", async () => {
    await board.api.create(
      pods,
      lasting("faulty", {
        containers: [
          shell("never", wait, { image: "no.such/image:1", imagePullPolicy: "Never" }),
          shell("config", wait, {
            env: [{ name: "X", valueFrom: { configMapKeyRef: { name: "nowhere", key: "x" } } }],
          }),
          shell("root", wait, { securityContext: { runAsNonRoot: true } }),
        ],
      }),
    );
    const told = await board.untilPod("faulty", ({ status }) => {
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
    await board.api.delete(pods, { namespace: "default", name: "faulty" });
    await board.untilGone("faulty");
  }, 300_000);

  test("sidecars start first, stay, and end last", async () => {
    const mount = { volumeMounts: [{ name: "work", mountPath: "/share" }] };
    await board.api.create(
      pods,
      lasting("sidecars", {
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
    const ended = await board.untilPod("sidecars", phaseIs("Succeeded"));
    expect(ended.status?.initContainerStatuses?.[0]?.state?.terminated?.message).toBe("after-side\n");
  }, 300_000);

  test("hooks run, and the preStop hook before the stop signal", async () => {
    await board.api.create(
      pods,
      lasting("hooked", {
        terminationGracePeriodSeconds: 60,
        volumes: [
          { name: "out", hostPath: { path: join(board.dockerd.directory, "hooks"), type: "DirectoryOrCreate" } },
        ],
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
    await board.untilPod("hooked", isReady);
    await board.api.delete(pods, { namespace: "default", name: "hooked" });
    await board.untilGone("hooked");
    expect(await Bun.file(join(board.dockerd.directory, "hooks", "order")).text()).toBe("start\nstop\nterm\n");
  }, 300_000);

  test("a pod that is to end sooner than it was told does", async () => {
    const deaf = "trap '' TERM; touch /tmp/deaf; while :; do sleep 1; done";
    const containers = [shell("main", deaf, { readinessProbe: probe("/tmp/deaf") })];
    await board.api.create(pods, lasting("deaf", { containers, terminationGracePeriodSeconds: 3600 }));
    await board.untilPod("deaf", isReady);
    const key = { namespace: "default", name: "deaf" };
    await board.api.delete(pods, key);
    await board.untilTold("deaf", "Stopping container main");
    await board.api.delete(pods, key, { gracePeriodSeconds: 1 });
    await board.untilGone("deaf");
  }, 300_000);

  test("a resize in place changes the cgroup and not the container", async () => {
    const resources = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } });
    const sized = lasting("sized", { containers: [shell("main", wait, { resources: resources("100m", "32Mi") })] });
    await board.api.create(pods, sized);
    const before = await board.untilPod("sized", isReady);
    const resize = (to: ReturnType<typeof resources>): Promise<Pod> => {
      const body = { spec: { containers: [{ name: "main", resources: to }] } };
      const key = { namespace: "default", name: "sized" };
      return board.api.patch(pods, key, { type: "strategic", body }, { subresource: "resize" });
    };
    await resize(resources("200m", "48Mi"));
    const after = await board.untilPod("sized", ({ status }) => {
      const [main] = status?.containerStatuses ?? [];
      const resizing = status?.conditions?.some(({ type }) => type.startsWith("PodResize"));
      return main?.resources?.limits?.["cpu"] === "200m" && !resizing;
    });
    const [status] = after.status?.containerStatuses ?? [];
    expect(status?.containerID).toBe(before.status?.containerStatuses?.[0]?.containerID);
    expect(status?.allocatedResources).toEqual({ cpu: "200m", memory: "48Mi" });
    const { HostConfig } = await new Docker({ socketPath: board.dockerd.socketPath })
      .getContainer(status?.containerID?.replace("docker://", "") ?? "")
      .inspect();
    expect(HostConfig).toMatchObject({ CpuShares: 204, CpuQuota: 20_000, Memory: 48 * 1024 * 1024 });

    await resize(resources("900", "48Mi"));
    const refused = await board.untilPod("sized", ({ status }) =>
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
    await board.api.create(pods, lasting("late", { activeDeadlineSeconds: 2, containers: [shell("main", wait)] }));
    const ended = await board.untilPod("late", phaseIs("Failed"));
    expect(ended.status?.reason).toBe("DeadlineExceeded");
  }, 300_000);

  test("an ephemeral container joins a pod that runs, and shares its target's processes", async () => {
    await board.api.create(pods, lasting("debugged", { containers: [shell("main", wait)] }));
    await board.untilPod("debugged", isReady);
    const ephemeralContainers = [
      { ...shell("debug", `ps -o args | grep -c trap; ${wait}`), targetContainerName: "main" },
    ];
    await board.api.patch(
      pods,
      { namespace: "default", name: "debugged" },
      { type: "strategic", body: { spec: { ephemeralContainers } } },
      { subresource: "ephemeralcontainers" },
    );
    const joined = await board.untilPod(
      "debugged",
      ({ status }) => status?.ephemeralContainerStatuses?.[0]?.state?.running !== undefined,
    );
    expect(joined.status?.containerStatuses?.[0]?.restartCount).toBe(0);
    let output = "";
    for (; output === ""; await Bun.sleep(50)) output = await board.logsOf("debugged", "debug");
    // Its own shell, the grep's, and the target's.
    expect(Number(output)).toBeGreaterThanOrEqual(2);
  }, 300_000);

  test("the end of the log tells of a failure, and a pod on the host's network has the board's address", async () => {
    await board.api.create(
      pods,
      lasting("told", {
        restartPolicy: "Never",
        hostNetwork: true,
        containers: [
          shell("main", "echo what went wrong; exit 7", { terminationMessagePolicy: "FallbackToLogsOnError" }),
        ],
      }),
    );
    const ended = await board.untilPod("told", phaseIs("Failed"));
    expect(ended.status?.containerStatuses?.[0]?.state?.terminated?.message).toBe("what went wrong\n");
    expect(ended.status?.podIP).toBe("192.0.2.1");
  }, 300_000);

  test("an image that cannot be had is told, then backed off", async () => {
    await board.api.create(
      pods,
      lasting("unpullable", { containers: [shell("main", wait, { image: "127.0.0.1:1/nothing/here:1" })] }),
    );
    const reason = ({ status }: Pod): string | undefined => status?.containerStatuses?.[0]?.state?.waiting?.reason;
    await board.untilPod("unpullable", (pod) => reason(pod) === "ErrImagePull");
    const backedOff = await board.untilPod("unpullable", (pod) => reason(pod) === "ImagePullBackOff");
    expect(backedOff.status?.phase).toBe("Pending");
    expect(backedOff.status?.containerStatuses?.[0]?.state?.waiting?.message).toStartWith(
      'Back-off pulling image "127.0.0.1:1/nothing/here:1": ErrImagePull: ',
    );
    await board.api.delete(pods, { namespace: "default", name: "unpullable" });
    await board.untilGone("unpullable");
  }, 300_000);

  test("many pods at once all come up and all go", async () => {
    const names = Array.from({ length: 15 }, (_, index) => `many-${index}`);
    for (const name of names) await board.api.create(pods, lasting(name, { containers: [shell("main", wait)] }));
    await Promise.all(names.map((name) => board.untilPod(name, isReady)));
    for (const name of names) await board.api.delete(pods, { namespace: "default", name });
    await Promise.all(names.map((name) => board.untilGone(name)));
  }, 400_000);
});
