/** How pods are shown in tables: statuses of every sort, made of what kubelets write in a fixed order of chance. */
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "./request.ts";

const send = sender("pod table");
const namespace = "wire-pod-tables";
const pods = `/api/v1/namespaces/${namespace}/pods`;
const table = "application/json;as=Table;v=v1;g=meta.k8s.io";

/** The same each time (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Pick = <T>(...choices: readonly T[]) => T;
const pickOf =
  (next: () => number): Pick =>
  (...choices) =>
    choices[Math.floor(next() * choices.length)] as never;

const long_ago = "2024-01-01T00:00:00Z";

function stateOf(pick: Pick): Json | undefined {
  const reason = pick("", "CrashLoopBackOff", "PodInitializing", "ContainerCreating", "ImagePullBackOff", "Odd");
  const terminated = {
    exitCode: pick(0, 0, 1, 137),
    signal: pick(0, 0, 9),
    reason: pick("", "Completed", "Error", "OOMKilled"),
    finishedAt: pick(long_ago, null),
  };
  return pick<Json | undefined>(
    undefined,
    {},
    { waiting: { reason } },
    { waiting: { reason } },
    { terminated },
    { terminated },
    { running: { startedAt: long_ago } },
    { running: { startedAt: long_ago } },
  );
}

function containerStatus(name: string, pick: Pick): Json {
  const lastState = pick<Json>(
    {},
    {},
    { terminated: { exitCode: 1, reason: "Error", finishedAt: pick(long_ago, null) } },
  );
  return {
    name,
    image: "a",
    imageID: "",
    ready: pick(true, false),
    restartCount: pick(0, 0, 1, 12),
    state: stateOf(pick),
    lastState,
    ...pick<Json>({}, { started: true }, { started: false }),
  };
}

const some = (pick: Pick, names: readonly string[]): readonly string[] =>
  names.slice(0, pick(0, names.length, names.length));

function statusOf(pick: Pick, { inits, containers }: Kind): Json {
  const statuses = (names: readonly string[]): readonly Json[] =>
    some(pick, names).map((name) => containerStatus(name, pick));
  return {
    phase: pick("Pending", "Running", "Succeeded", "Failed", "Unknown"),
    reason: pick("", "", "Evicted", "NodeLost", "NodeAffinity"),
    conditions: pick<readonly Json[]>(
      [],
      [{ type: "Ready", status: "True" }],
      [{ type: "Ready", status: "False" }],
      [{ type: "PodScheduled", status: "False", reason: pick("SchedulingGated", "Unschedulable") }],
      [
        { type: "Ready", status: "True" },
        { type: "example.com/gate", status: pick("True", "False") },
      ],
    ),
    podIP: pick("", "10.42.0.5"),
    podIPs: pick<readonly Json[]>([], [{ ip: "10.42.0.5" }, { ip: "fd00::5" }]),
    nominatedNodeName: pick("", "node-a"),
    initContainerStatuses: statuses(inits),
    containerStatuses: statuses(containers),
  };
}

interface Kind {
  readonly name: string;
  readonly inits: readonly string[];
  readonly containers: readonly string[];
  readonly spec: Json;
}

const container = (name: string, more: Json = {}): Json => ({ name, image: "a", ...more });
const kinds: readonly Kind[] = [
  {
    name: "two",
    inits: [],
    containers: ["a", "b"],
    spec: { readinessGates: [{ conditionType: "example.com/gate" }], containers: [container("a"), container("b")] },
  },
  {
    name: "initialised",
    inits: ["i", "j"],
    containers: ["a"],
    spec: { initContainers: [container("i"), container("j")], containers: [container("a")] },
  },
  {
    name: "sidecars",
    inits: ["i", "s", "j"],
    containers: ["a", "b"],
    spec: {
      initContainers: [container("i"), container("s", { restartPolicy: "Always" }), container("j")],
      containers: [container("a"), container("b")],
    },
  },
];

const MANY = 120;

const shown = (kind: Kind, index: number): WireRequest[] => {
  const status = statusOf(pickOf(chance(index * 7919 + kind.name.length)), kind);
  const path = `${pods}/${kind.name}/status?dryRun=All&includeObject=None`;
  const request = send(`${kind.name} ${index}`, "PATCH", path, { status }, "application/merge-patch+json");
  return [{ ...request, headers: { ...request.headers, accept: table } }];
};

export const podTableGroups: readonly WireGroup[] = [
  {
    name: "pod tables: setting",
    inOrder: true,
    requests: [
      ...ownNamespace(send, namespace),
      ...kinds.map(({ name, spec }) =>
        send(name, "POST", pods, { apiVersion: "v1", kind: "Pod", metadata: { name }, spec }),
      ),
    ],
  },
  {
    name: "pod tables",
    requests: [
      ...kinds.flatMap((kind) =>
        Array.from({ length: MANY }, (_, index) => index).flatMap((index) => shown(kind, index)),
      ),
      ...kinds.map(({ name }) => ({
        ...send(`${name} being deleted`, "DELETE", `${pods}/${name}?dryRun=All`),
        headers: { accept: table },
      })),
    ],
  },
];
