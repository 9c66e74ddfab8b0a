import { describe, expect, test } from "bun:test";
import type { ContainerStatus as RuntimeStatus } from "#agent/runtime/runtime.ts";
import type { ContainerState, ContainerStatus, Pod, PodSpec, PodStatus } from "#shared/api/types/core-v1.generated.ts";
import { podConditions } from "./pod-conditions.ts";
import { podPhase } from "./pod-phase.ts";
import { type PodStatusInput, podStatus, terminatedStatus } from "./pod-status.ts";
import { equal, statusPatch } from "./status-writer.ts";

const running: ContainerState = { running: {} };
const waiting: ContainerState = { waiting: { reason: "ContainerCreating" } };
const ended = (exitCode: number): ContainerState => ({ terminated: { exitCode } });
const status = (name: string, state: ContainerState, more: Partial<ContainerStatus> = {}): ContainerStatus => ({
  name,
  state,
  ready: false,
  restartCount: 0,
  image: "",
  imageID: "",
  ...more,
});

describe("phase", () => {
  const spec: PodSpec = { containers: [{ name: "a" }, { name: "b" }] };
  const of = (a: ContainerState, b: ContainerState, more: Partial<PodSpec> = {}, over = false): string =>
    podPhase({
      spec: { ...spec, ...more },
      statuses: [status("a", a), status("b", b)],
      ended: over,
      anyRegularActive: true,
      isStatic: false,
    });

  test.each([
    [running, running, "Always", "Running"],
    [running, waiting, "Always", "Pending"],
    [ended(0), running, "Never", "Running"],
    [ended(0), ended(0), "Always", "Running"],
    [ended(0), ended(0), "Never", "Succeeded"],
    [ended(0), ended(1), "Never", "Failed"],
    [ended(0), ended(1), "OnFailure", "Running"],
    [ended(0), ended(0), "OnFailure", "Succeeded"],
  ] as const)("%j and %j with restartPolicy %s: %s", (a, b, restartPolicy, phase) => {
    expect(of(a, b, { restartPolicy })).toBe(phase);
  });

  test("a pod that was told to end is final", () => {
    expect(of(ended(0), ended(0), { restartPolicy: "Always" }, true)).toBe("Succeeded");
    expect(of(ended(0), ended(143), { restartPolicy: "Always" }, true)).toBe("Failed");
  });

  test("init containers keep it pending, or fail it", () => {
    const initContainers = [{ name: "i" }];
    const phase = (state: ContainerState, restartPolicy: string): string =>
      podPhase({
        spec: { ...spec, initContainers, restartPolicy },
        statuses: [status("i", state), status("a", waiting), status("b", waiting)],
        ended: false,
        anyRegularActive: false,
        isStatic: false,
      });
    expect(phase(running, "Always")).toBe("Pending");
    expect(phase(ended(1), "Always")).toBe("Pending");
    expect(phase(ended(1), "Never")).toBe("Failed");
  });
});

const ran = (more: Partial<RuntimeStatus> = {}): RuntimeStatus => ({
  id: "id",
  sandboxId: "s",
  name: "a",
  pod: { uid: "u", namespace: "default", name: "p" },
  attempt: 0,
  state: "exited",
  createdAt_ms: 0,
  startedAt_ms: 0,
  finishedAt_ms: 0,
  exitCode: 0,
  signal: undefined,
  oomKilled: false,
  error: undefined,
  image: "web:1",
  imageId: "sha256:1",
  pid: 0,
  logPath: undefined,
  labels: {},
  annotations: {},
  ...more,
});

/** Of a pod that has these containers, and of which the runtime shows these. */
function input(spec: PodSpec, containers: RuntimeStatus[] = [], more: Partial<PodStatusInput> = {}): PodStatusInput {
  const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p", generation: 2 }, spec };
  return {
    pod,
    observed: {
      sandboxes: [],
      containers,
      resources: new Map(),
      liveness: new Map(),
      startup: new Map(),
      backOff: () => undefined,
    },
    oldStatus: {},
    ended: false,
    waiting: new Map(),
    readiness: new Map(),
    runtimeName: "docker",
    terminationMessage: () => "",
    recursiveReadOnly: false,
    kubeletStartedAt_ms: 0,
    hostIPs: ["192.0.2.1"],
    now_ms: 0,
    moreConditions: [],
    ...more,
  };
}

describe("statuses of containers", () => {
  test("are in the order of their names, those of init containers in that of the spec", () => {
    const initContainers = [{ name: "z" }, { name: "y" }];
    const of = podStatus(input({ initContainers, containers: [{ name: "b" }, { name: "a-1" }, { name: "a" }] }));
    const names = (statuses: ContainerStatus[] | undefined) => statuses?.map(({ name }) => name);
    expect(names(of.containerStatuses)).toEqual(["a", "a-1", "b"]);
    expect(names(of.initContainerStatuses)).toEqual(["z", "y"]);
  });

  test("what they said last is shared among all containers of the pod", () => {
    const containers = ["a", "b", "c", "d", "e"].map((name) => ({ name }));
    const terminationMessage = () => `${"y".repeat(2456)}ü`;
    const { containerStatuses } = podStatus(input({ containers }, [ran()], { terminationMessage }));
    expect(containerStatuses?.[0]?.state?.terminated?.message).toBe("y".repeat(2456));
  });

  test("an end that was shown as the last one while the container waited is not shown twice", () => {
    const last = { terminated: { exitCode: 3, containerID: "docker://id" } };
    const old = { ...status("a", waiting, { lastState: last }), containerID: "docker://id" };
    const spec = { containers: [{ name: "a" }], restartPolicy: "Never" };
    const oldStatus = { containerStatuses: [old] };
    const of = podStatus(input(spec, [ran({ exitCode: 3 })], { oldStatus })).containerStatuses?.[0];
    expect([of?.state?.terminated?.exitCode, of?.lastState]).toEqual([3, undefined]);
  });

  test("a sidecar that ended well is shown as ended while it waits for its next start", () => {
    const initContainers = [{ name: "a", restartPolicy: "Always" }];
    const why = new Map([["a", { reason: "CrashLoopBackOff", message: "back-off" }]]);
    const shown = (exitCode: number) =>
      podStatus(input({ initContainers, containers: [{ name: "b" }] }, [ran({ exitCode })], { waiting: why }))
        .initContainerStatuses?.[0]?.state;
    expect(shown(0)?.terminated).toBeDefined();
    expect(shown(1)?.waiting?.reason).toBe("CrashLoopBackOff");
  });

  test("a mount is read-only all through where that is asked for and can be had", () => {
    const mount = (recursiveReadOnly: string) => ({ name: "v", mountPath: "/v", readOnly: true, recursiveReadOnly });
    const modes = (recursiveReadOnly: boolean) =>
      ["Enabled", "IfPossible", "Disabled"].map((mode) => {
        const of = input({ containers: [{ name: "a", volumeMounts: [mount(mode)] }] }, [], { recursiveReadOnly });
        return podStatus(of).containerStatuses?.[0]?.volumeMounts?.[0]?.recursiveReadOnly;
      });
    expect(modes(true)).toEqual(["Enabled", "Enabled", "Disabled"]);
    expect(modes(false)).toEqual(["Disabled", "Disabled", "Disabled"]);
  });
});

describe("the end of a pod", () => {
  const spec = { containers: [{ name: "a" }] };

  test("that never started has the conditions it had", () => {
    const of = input(spec, [], { ended: true });
    const ended = terminatedStatus(podStatus(of), of.pod);
    expect(ended.phase).toBe("Failed");
    expect(ended.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
      status: "False",
      reason: "ContainersNotReady",
      message: "containers with unready status: [a]",
    });
    expect(ended.containerStatuses?.[0]?.state?.terminated?.reason).toBe("ContainerStatusUnknown");
  });

  test("leaves containers alone that it had not begun with", () => {
    const of = input({ ...spec, initContainers: [{ name: "i" }] }, [ran({ name: "i" })], { ended: true });
    const state = (initContainerStatuses: ContainerStatus[]) =>
      terminatedStatus(podStatus(of), { ...of.pod, status: { initContainerStatuses } }).containerStatuses?.[0]?.state;
    expect(state([status("i", running)])?.waiting?.reason).toBe("PodInitializing");
    expect(state([status("i", ended(0))])?.terminated?.exitCode).toBe(137);
  });

  test("does not take its address", () => {
    const oldStatus = { podIP: "10.42.0.5", podIPs: [{ ip: "10.42.0.5" }] };
    expect(podStatus(input(spec, [ran()], { oldStatus }))).toMatchObject(oldStatus);
  });
});

describe("conditions", () => {
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", generation: 3 },
    spec: { containers: [{ name: "a" }], readinessGates: [{ conditionType: "gate" }] },
  };
  const of = (statuses: ContainerStatus[], others: PodStatus["conditions"] = [], phase = "Running") =>
    Object.fromEntries(
      podConditions({ pod, phase, statuses, sandboxReady: true, others }).map(({ type, ...rest }) => [type, rest]),
    );

  test("readiness waits for containers, then for gates", () => {
    expect(of([status("a", running)])["Ready"]).toEqual({
      observedGeneration: 3,
      status: "False",
      reason: "ContainersNotReady",
      message: "containers with unready status: [a]",
    });
    const ready = [status("a", running, { ready: true })];
    expect(of(ready)["ContainersReady"]?.status).toBe("True");
    expect(of(ready)["Ready"]).toMatchObject({
      reason: "ReadinessGatesNotReady",
      message: 'corresponding condition of pod readiness gate "gate" does not exist.',
    });
    expect(of(ready, [{ type: "gate", status: "True" }])["Ready"]?.status).toBe("True");
  });

  test("a pod that is through says so", () => {
    const through = of([status("a", ended(0))], [], "Succeeded");
    expect(through["Ready"]).toMatchObject({ status: "False", reason: "PodCompleted" });
    expect(through["Initialized"]).toMatchObject({ status: "True", reason: "PodCompleted" });
  });
});

describe("what is written", () => {
  const pod = (of: PodStatus): Pod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", uid: "u" },
    spec: { containers: [] },
    status: of,
  });

  test("nothing when nothing differs", () => {
    const same: PodStatus = {
      phase: "Running",
      podIPs: [{ ip: "1" }],
      conditions: [{ type: "Ready", status: "True" }],
    };
    expect(statusPatch({ pod: pod(same), status: structuredClone(same), mayRun: true })).toBeUndefined();
  });

  test("what differs, and what must go", () => {
    const old: PodStatus = {
      phase: "Pending",
      message: "why",
      podIPs: [{ ip: "1" }],
      conditions: [
        { type: "Ready", status: "False", reason: "No", message: "not yet" },
        { type: "PodResizePending", status: "True" },
        { type: "theirs", status: "True" },
      ],
    };
    const status: PodStatus = {
      phase: "Running",
      podIPs: [{ ip: "2" }],
      conditions: [
        { type: "Ready", status: "True" },
        { type: "theirs", status: "False" },
      ],
    };
    expect(statusPatch({ pod: pod(old), status, mayRun: true })).toEqual({
      metadata: { uid: "u" },
      status: {
        phase: "Running",
        message: null,
        podIPs: [{ ip: "2" }, { $patch: "replace" }],
        conditions: [
          { $patch: "delete", type: "PodResizePending" },
          { type: "Ready", status: "True", reason: null, message: null },
        ],
      },
    });
  });

  test("a final phase is not taken back, but that of a static pod, which begins again", () => {
    const ended = pod({ phase: "Failed" });
    const status = { phase: "Running" };
    expect(statusPatch({ pod: ended, status, mayRun: true })).toBeUndefined();
    const annotations = { "kubernetes.io/config.source": "file", "kubernetes.io/config.mirror": "x" };
    const mirror = { ...ended, metadata: { ...ended.metadata, annotations } };
    expect(statusPatch({ pod: mirror, status, mayRun: true })).toMatchObject({ status });
  });

  test("a final phase waits until nothing runs", () => {
    const status: PodStatus = { phase: "Failed", reason: "Evicted" };
    expect(statusPatch({ pod: pod({ phase: "Running" }), status, mayRun: true })).toBeUndefined();
    expect(statusPatch({ pod: pod({ phase: "Running" }), status, mayRun: false })).toMatchObject({
      status: { phase: "Failed", reason: "Evicted" },
    });
  });

  test("JSON that means the same is equal", () => {
    expect(equal({ a: 1, b: undefined, c: {} }, { a: 1 })).toBe(true);
    expect(equal({ a: [1, { b: 2 }] }, { a: [1, { b: 3 }] })).toBe(false);
  });
});
