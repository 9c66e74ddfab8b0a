import { describe, expect, test } from "bun:test";
import type { ContainerStatus, SandboxStatus } from "#agent/runtime/runtime.ts";
import type { Container, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { containerAnnotations } from "../container-identity.ts";
import type { ObservedPod } from "./observed-pod.ts";
import { planPod } from "./plan-pod.ts";
import type { PodStep } from "./pod-step.ts";
import { terminationPrerequisites } from "./termination-order.ts";

const identity = { uid: "u", namespace: "n", name: "p" };
const now_ms = 1_000_000;

const container = (name: string, more: Partial<Container> = {}): Container => ({ name, image: "image:1", ...more });
const sidecar = (name: string, more: Partial<Container> = {}): Container =>
  container(name, { restartPolicy: "Always", ...more });

function pod(spec: Partial<PodSpec>): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...identity },
    spec: { restartPolicy: "Always", containers: [container("main")], ...spec },
  };
}

const sandbox = (more: Partial<SandboxStatus> = {}): SandboxStatus => ({
  id: "box",
  pod: identity,
  attempt: 0,
  state: "ready",
  createdAt_ms: 1,
  ips: ["10.42.0.5"],
  pid: 7,
  labels: {},
  annotations: {},
  ...more,
});

function status(of: Container, more: Partial<ContainerStatus> = {}): ContainerStatus {
  const attempt = more.attempt ?? 0;
  return {
    id: `${of.name}-${attempt}`,
    sandboxId: "box",
    pod: identity,
    name: of.name,
    attempt,
    state: "running",
    createdAt_ms: 10 + attempt,
    startedAt_ms: 10 + attempt,
    oomKilled: false,
    image: of.image ?? "",
    imageId: "sha256:1",
    pid: 8,
    labels: {},
    annotations: containerAnnotations(pod({}), of, attempt),
    ...more,
  };
}

const exited = (of: Container, exitCode: number, more: Partial<ContainerStatus> = {}): ContainerStatus =>
  status(of, { state: "exited", exitCode, finishedAt_ms: now_ms - 1_000, ...more });

function observed(
  containers: readonly ContainerStatus[] = [],
  more: Partial<ObservedPod> & { boxes?: readonly SandboxStatus[] } = {},
): ObservedPod {
  return {
    sandboxes: more.boxes ?? [sandbox()],
    containers,
    liveness: new Map(),
    startup: new Map(),
    resources: new Map(),
    backOff: () => undefined,
    ...more,
  };
}

const short = (steps: readonly PodStep[]): string[] =>
  steps
    .filter(({ kind }) => kind !== "pullImage")
    .map((step) => {
      if (step.kind === "startContainer") return `start ${step.container}#${step.attempt}`;
      if (step.kind === "killContainer") return `kill ${step.containerId}`;
      if (step.kind === "removeContainer") return `remove ${step.containerId}`;
      if (step.kind === "createSandbox") return `sandbox#${step.attempt}`;
      if (step.kind === "resizeContainer") return `resize ${step.containerId}`;
      if (step.kind === "waitBackOff" || step.kind === "runPostStart") return `${step.kind} ${step.container}`;
      return step.kind;
    });

const plan = (desired: Pod, seen: ObservedPod): string[] => short(planPod({ pod: desired }, seen, now_ms).steps);

describe("sandboxes", () => {
  test("a new pod gets volumes, a sandbox, and its containers in order", () => {
    const desired = pod({ containers: [container("a"), container("b", { lifecycle: { postStart: { exec: {} } } })] });
    expect(plan(desired, observed([], { boxes: [] }))).toEqual([
      "mountVolumes",
      "sandbox#0",
      "start a#0",
      "start b#0",
      "runPostStart b",
    ]);
  });

  test("an image is pulled before each start", () => {
    const { steps } = planPod({ pod: pod({}) }, observed([], { boxes: [] }), now_ms);
    expect(steps.map(({ kind }) => kind)).toEqual(["mountVolumes", "createSandbox", "pullImage", "startContainer"]);
  });

  test("a dead sandbox is replaced, with what ran in it; counts go on", () => {
    const main = container("main");
    const seen = observed([exited(main, 137)], { boxes: [sandbox({ state: "not-ready" })] });
    expect(plan(pod({}), seen)).toEqual(["mountVolumes", "sandbox#1", "start main#1"]);
  });

  test("a sandbox without an address is replaced, unless the pod has the host's network", () => {
    const seen = observed([status(container("main"))], { boxes: [sandbox({ ips: [] })] });
    expect(plan(pod({}), seen)).toEqual(["killPod", "mountVolumes", "sandbox#1", "start main#1"]);
    expect(plan(pod({ hostNetwork: true }), seen)).toEqual([]);
  });

  test("a pod that never restarts does not get a second sandbox", () => {
    const seen = observed([exited(container("main"), 1)], { boxes: [sandbox({ state: "not-ready" })] });
    expect(plan(pod({ restartPolicy: "Never" }), seen)).toEqual([]);
  });

  test("init containers run anew in a new sandbox", () => {
    const init = container("init");
    const seen = observed([exited(init, 0)], { boxes: [sandbox({ state: "not-ready" })] });
    expect(plan(pod({ initContainers: [init] }), seen)).toEqual([
      "remove init-0",
      "mountVolumes",
      "sandbox#1",
      "start init#1",
    ]);
  });
});

describe("restarts", () => {
  const main = container("main");

  test.each([
    ["Always", 0, ["mountVolumes", "start main#1"]],
    ["OnFailure", 1, ["mountVolumes", "start main#1"]],
    ["OnFailure", 0, ["killPod"]],
    ["Never", 1, ["killPod"]],
  ] as const)("restartPolicy %s after exit code %d", (restartPolicy, code, steps) => {
    expect(plan(pod({ restartPolicy }), observed([exited(main, code)]))).toEqual([...steps]);
  });

  test("a container's own rules and policy go before the pod's", () => {
    const ruled = container("main", {
      restartPolicy: "Never",
      restartPolicyRules: [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }],
    });
    const desired = pod({ restartPolicy: "Never", containers: [ruled] });
    expect(plan(desired, observed([exited(ruled, 42)]))).toEqual(["mountVolumes", "start main#1"]);
    expect(plan(desired, observed([exited(ruled, 1)]))).toEqual(["killPod"]);
  });

  test("back-off holds a container and says when to look again", () => {
    const backOff = () => ({ delay_ms: 10_000, lastUpdate_ms: 0, until_ms: now_ms + 9_000 });
    const held = planPod({ pod: pod({}) }, observed([exited(main, 1)], { backOff }), now_ms);
    expect(short(held.steps)).toEqual(["waitBackOff main"]);
    expect(held.wakeAt_ms).toBe(now_ms + 9_000);
  });

  test("one that was made but never started is made again under its number", () => {
    expect(plan(pod({}), observed([status(main, { state: "created" })]))).toEqual([
      "mountVolumes",
      "remove main-0",
      "start main#0",
    ]);
  });

  test("another image restarts a container, also in a pod that never restarts", () => {
    const desired = pod({ restartPolicy: "Never", containers: [container("main", { image: "image:2" })] });
    const { steps } = planPod({ pod: desired }, observed([status(main)]), now_ms);
    expect(short(steps)).toEqual(["kill main-0", "mountVolumes", "start main#1"]);
    expect(steps[0]).toMatchObject({ message: "Container main definition changed, will be restarted" });
  });

  test("liveness and startup failures kill; a pod that never restarts then ends", () => {
    const liveness = new Map([["main-0", "failure" as const]]);
    expect(plan(pod({}), observed([status(main)], { liveness }))).toEqual([
      "kill main-0",
      "mountVolumes",
      "start main#1",
    ]);
    expect(plan(pod({ restartPolicy: "Never" }), observed([status(main)], { startup: liveness }))).toEqual(["killPod"]);
  });

  test("what runs as it should is left alone", () => {
    expect(plan(pod({}), observed([status(main)]))).toEqual([]);
  });
});

describe("init containers and sidecars", () => {
  const [one, two, main] = [container("one"), container("two"), container("main")];

  test("one after the other, then the rest", () => {
    const desired = pod({ initContainers: [one, two] });
    expect(plan(desired, observed())).toEqual(["mountVolumes", "start one#0"]);
    expect(plan(desired, observed([status(one)]))).toEqual([]);
    expect(plan(desired, observed([exited(one, 0)]))).toEqual(["mountVolumes", "start two#0"]);
    expect(plan(desired, observed([exited(two, 0), exited(one, 0)]))).toEqual(["mountVolumes", "start main#0"]);
  });

  test("a failed one is tried again, or ends a pod that never restarts", () => {
    const initContainers = [one, two];
    expect(plan(pod({ initContainers }), observed([exited(one, 1)]))).toEqual(["mountVolumes", "start one#1"]);
    expect(plan(pod({ initContainers, restartPolicy: "Never" }), observed([exited(one, 1)]))).toEqual(["killPod"]);
  });

  test("of ended attempts only the newest stays", () => {
    const seen = observed([exited(one, 1, { attempt: 1, id: "one-1" }), exited(one, 1)]);
    expect(plan(pod({ initContainers: [one] }), seen)).toEqual(["remove one-0", "mountVolumes", "start one#2"]);
  });

  test("a sidecar lets the next one start once its startup probe succeeds", () => {
    const side = sidecar("side", { startupProbe: { exec: {} } });
    const desired = pod({ initContainers: [side, two] });
    expect(plan(desired, observed([status(side)]))).toEqual([]);
    const startup = new Map([["side-0", "success" as const]]);
    expect(plan(desired, observed([status(side)], { startup }))).toEqual(["mountVolumes", "start two#0"]);
  });

  test("a sidecar is kept up while the pod runs, and ends with it", () => {
    const side = sidecar("side");
    const desired = pod({ initContainers: [side], restartPolicy: "Never" });
    expect(plan(desired, observed([status(main), exited(side, 0)]))).toEqual(["mountVolumes", "start side#1"]);
    expect(plan(desired, observed([exited(main, 0), status(side)]))).toEqual(["killPod"]);
  });

  test("sidecars are stopped after the others, in reverse", () => {
    const spec = pod({ initContainers: [sidecar("a"), container("init"), sidecar("b")] }).spec;
    const order = terminationPrerequisites(spec, ["main", "a", "b"]);
    expect(order.get("main")).toBeUndefined();
    expect(order.get("b")).toEqual(["main"]);
    expect(order.get("a")).toEqual(["main", "b"]);
  });
});

describe("resizes", () => {
  const resources = (cpu: string) => ({ requests: { cpu }, limits: { cpu } });

  test("in place, by restart, or not at all", () => {
    const wanted = container("main", { resources: resources("200m") });
    const seen = observed([status(container("main"))], { resources: new Map([["main-0", resources("100m")]]) });
    expect(plan(pod({ containers: [wanted] }), seen)).toEqual(["resize main-0"]);
    const restarting = { ...wanted, resizePolicy: [{ resourceName: "cpu", restartPolicy: "RestartContainer" }] };
    expect(plan(pod({ containers: [restarting] }), seen)).toEqual(["kill main-0", "mountVolumes", "start main#1"]);
    expect(plan(pod({ containers: [container("main", { resources: resources("0.1") })] }), seen)).toEqual([]);
  });
});

describe("endings", () => {
  const end = (seen: ObservedPod): PodStep[] => [
    ...planPod({ pod: pod({}), termination: { grace_s: 3 } }, seen, now_ms).steps,
  ];

  test("everything is stopped once, then nothing is left to do", () => {
    expect(end(observed([status(container("main"))]))).toEqual([{ kind: "killPod", grace_s: 3 }]);
    expect(end(observed([exited(container("main"), 0)], { boxes: [sandbox({ state: "not-ready" })] }))).toEqual([]);
  });

  test("ephemeral containers start once", () => {
    const debug = container("debug");
    const main = container("main");
    const desired = pod({ ephemeralContainers: [debug] });
    expect(plan(desired, observed([status(main)]))).toEqual(["mountVolumes", "start debug#0"]);
    expect(plan(desired, observed([status(main), exited(debug, 0)]))).toEqual([]);
  });
});
