import { describe, expect, test } from "bun:test";
import type { ContainerState, ContainerStatus, Pod, PodSpec, PodStatus } from "#shared/api/types/core-v1.generated.ts";
import { containerStatuses } from "./container-statuses.ts";
import { podConditions } from "./pod-conditions.ts";
import { podPhase } from "./pod-phase.ts";
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

test("statuses of containers are in the order of their names, those of init containers in that of the spec", () => {
  const names = (type: "init" | "regular") =>
    containerStatuses(type, {
      pod: {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "p" },
        spec: {
          initContainers: [{ name: "z" }, { name: "y" }],
          containers: [{ name: "b" }, { name: "a-1" }, { name: "a" }],
        },
      },
      observed: {
        sandboxes: [],
        containers: [],
        resources: new Map(),
        liveness: new Map(),
        startup: new Map(),
        backOff: () => undefined,
      },
      old: [],
      waiting: new Map(),
      readiness: new Map(),
      runtimeName: "docker",
      terminationMessage: () => "",
      kubeletStartedAt_ms: 0,
    }).map(({ name }) => name);
  expect(names("regular")).toEqual(["a", "a-1", "b"]);
  expect(names("init")).toEqual(["z", "y"]);
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
