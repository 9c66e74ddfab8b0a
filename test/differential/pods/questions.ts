/** Pods whose life is compared, corners first. Nothing in them depends on the speed of a machine or on its runtime. */
import type { Container, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";

/** Shows a pod's state that lasts until somebody does something. */
export type Until = (pod: Pod) => boolean;

export interface Question {
  readonly spec: Partial<PodSpec>;
  readonly until: Until;
  /** An event with this reason must be there too before the pod is deleted. */
  readonly event?: string;
  /** Its containers start again and again: what it is like at its end is chance. */
  readonly isChance?: boolean;
}

/** Stands for the image, which has a shell at /bin/sh. */
export const image = "IMAGE";
/** Ends well and at once when asked to. */
const lasting = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

function shell(name: string, script: string, more: Partial<Container> = {}): Container {
  return {
    name,
    image,
    imagePullPolicy: "IfNotPresent",
    command: ["/bin/sh", "-c", script],
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    ...more,
  };
}

const containersOf = ({ status }: Pod) => [
  ...(status?.initContainerStatuses ?? []),
  ...(status?.containerStatuses ?? []),
];
const over: Until = ({ status }) => status?.phase === "Succeeded" || status?.phase === "Failed";
const ready: Until = ({ status }) =>
  status?.conditions?.some(({ type, status }) => type === "ContainersReady" && status === "True") ?? false;
const waits =
  (reason: string): Until =>
  (pod) =>
    containersOf(pod).some(({ state }) => state?.waiting?.reason === reason);
const runs =
  (name: string): Until =>
  (pod) =>
    containersOf(pod).some((status) => status.name === name && status.state?.running !== undefined);

const once = (...containers: Container[]): Question => ({ spec: { restartPolicy: "Never", containers }, until: over });
const stuck = (reason: string, container: Partial<Container>, more: Partial<PodSpec> = {}): Question => ({
  spec: { containers: [shell("main", "exit 0", container)], ...more },
  until: waits(reason),
});
const config = (container: Partial<Container>, more: Partial<PodSpec> = {}): Question =>
  stuck("CreateContainerConfigError", container, more);
const unmounted = (...volumes: NonNullable<PodSpec["volumes"]>): Question => ({
  spec: {
    volumes,
    containers: [
      shell("main", "exit 0", { volumeMounts: volumes.map(({ name }) => ({ name, mountPath: `/${name}` })) }),
    ],
  },
  until: waits("ContainerCreating"),
  event: "FailedMount",
});
const from = (valueFrom: NonNullable<NonNullable<Container["env"]>[number]["valueFrom"]>): Partial<Container> => ({
  env: [{ name: "A", valueFrom }],
});
const below = (subPathExpr: string, value?: string): Question =>
  config(
    {
      volumeMounts: [{ name: "own", mountPath: "/own", subPathExpr }],
      env: value === undefined ? [] : [{ name: "A", value }],
    },
    { volumes: [{ name: "own", emptyDir: {} }] },
  );
const sidecar = (script = lasting): Container => shell("side", script, { restartPolicy: "Always" });
const refused = (more: Partial<PodSpec>): Question => ({
  spec: { containers: [shell("main", lasting)], ...more },
  until: over,
});
const says = (script: string, more: Partial<Container> = {}): Question => once(shell("main", script, more));
const rules = (exitCode: number): Partial<Container> => ({
  restartPolicy: "Never",
  restartPolicyRules: [{ action: "Restart", exitCodes: { operator: "In", values: [exitCode] } }],
});
const long = (char: string): string => `head -c 5000 /dev/zero | tr '\\0' ${char}`;

export const questions: Readonly<Record<string, Question>> = {
  "ends well": once(shell("main", "exit 0")),
  fails: once(shell("main", "exit 3")),
  "ends well and is not to fail": {
    spec: { restartPolicy: "OnFailure", containers: [shell("main", "exit 0")] },
    until: over,
  },
  "one of two fails": once(shell("b", "exit 0"), shell("a", "exit 1")),
  "crashes always": {
    spec: { containers: [shell("main", "exit 1")] },
    until: waits("CrashLoopBackOff"),
    isChance: true,
  },
  "crashes and is to end well": {
    spec: { restartPolicy: "OnFailure", containers: [shell("main", "exit 2")] },
    until: waits("CrashLoopBackOff"),
    isChance: true,
  },
  "is restarted by a rule": {
    spec: { restartPolicy: "Never", containers: [shell("main", "exit 42", rules(42))] },
    until: waits("CrashLoopBackOff"),
    isChance: true,
  },
  "is not restarted by a rule": { spec: { containers: [shell("main", "exit 1", rules(42))] }, until: over },
  "has resources": {
    spec: {
      containers: [
        shell("main", lasting, { resources: { limits: { cpu: "0.2", memory: "64Mi" } } }),
        shell("other", lasting, { resources: { requests: { cpu: "10m" } } }),
      ],
    },
    until: ready,
  },
  "waits for gates": {
    spec: { containers: [shell("main", lasting)], readinessGates: [{ conditionType: "example.org/gate" }] },
    until: ready,
  },
  "runs past its time": { spec: { containers: [shell("main", lasting)], activeDeadlineSeconds: 3 }, until: over },

  "an init container fails": {
    spec: { restartPolicy: "Never", initContainers: [shell("first", "exit 4")], containers: [shell("main", "exit 0")] },
    until: over,
  },
  "an init container crashes": {
    spec: { initContainers: [shell("first", "exit 4")], containers: [shell("main", "exit 0")] },
    until: waits("CrashLoopBackOff"),
    isChance: true,
  },
  "goes while an init container runs": {
    spec: {
      initContainers: [shell("first", "trap 'exit 1' TERM; while :; do sleep 0.1; done")],
      containers: [shell("main", "exit 0")],
    },
    until: runs("first"),
  },
  "a job has a sidecar": {
    spec: { restartPolicy: "Never", initContainers: [sidecar()], containers: [shell("main", "exit 0")] },
    until: over,
  },
  "a job with a sidecar fails": {
    spec: { restartPolicy: "Never", initContainers: [sidecar()], containers: [shell("main", "exit 5")] },
    until: over,
  },
  "an init container after a sidecar fails": {
    spec: {
      restartPolicy: "Never",
      initContainers: [sidecar(), shell("second", "exit 3")],
      containers: [shell("main", "exit 0")],
    },
    until: over,
  },

  "says why it failed": says("echo no good > /dev/termination-log; exit 1"),
  "its output says why it failed": says("echo no good; exit 1", { terminationMessagePolicy: "FallbackToLogsOnError" }),
  "its output is not asked": says("echo fine; exit 0", { terminationMessagePolicy: "FallbackToLogsOnError" }),
  "says much": says(`${long("y")} > /dev/termination-log; exit 1`),
  "its output says much": says(`${long("y")}; exit 1`, { terminationMessagePolicy: "FallbackToLogsOnError" }),
  "many say much": once(
    ...["a", "b", "c", "d", "e"].map((name) => shell(name, `${long(name)} > /dev/termination-log; exit 1`)),
  ),
  "says what is no text": says("printf 'a\\377b' > /dev/termination-log; exit 1"),

  "its hook after the start fails": {
    spec: { containers: [shell("main", lasting, { lifecycle: { postStart: { exec: { command: ["false"] } } } })] },
    until: waits("CrashLoopBackOff"),
    isChance: true,
  },
  "its hook before the end fails": {
    spec: { containers: [shell("main", lasting, { lifecycle: { preStop: { exec: { command: ["false"] } } } })] },
    until: ready,
  },
  "fails at its end": {
    spec: { containers: [shell("main", "trap 'exit 9' TERM; while :; do sleep 0.1; done"), shell("other", lasting)] },
    until: ready,
  },

  "is not to be root": config({ securityContext: { runAsNonRoot: true } }),
  "is to be root and is not to be": config({ securityContext: { runAsNonRoot: true, runAsUser: 0 } }),
  "a ConfigMap is missing": config(from({ configMapKeyRef: { name: "absent", key: "a" } })),
  "a Secret is missing": config(from({ secretKeyRef: { name: "absent", key: "a" } })),
  "all of a ConfigMap is missing": config({ envFrom: [{ configMapRef: { name: "absent" } }] }),
  "an optional ConfigMap is missing": says(
    "exit 0",
    from({ configMapKeyRef: { name: "absent", key: "a", optional: true } }),
  ),
  "its image is not there": stuck("ErrImageNeverPull", { image: "example.org/absent:1", imagePullPolicy: "Never" }),
  "its image has no name": stuck("InvalidImageName", { image: "Wrong//name:::1" }),
  "a subpath lacks its value": below("$(NO)"),
  "a subpath is absolute": below("$(A)", "/away"),
  "a subpath leads out": below("$(A)", "../away"),
  "a subpath is a link": {
    spec: {
      volumes: [{ name: "own", emptyDir: {} }],
      initContainers: [shell("first", "ln -s /etc /own/link", { volumeMounts: [{ name: "own", mountPath: "/own" }] })],
      containers: [shell("main", "exit 0", { volumeMounts: [{ name: "own", mountPath: "/own", subPath: "link" }] })],
    },
    until: waits("CreateContainerConfigError"),
  },

  "its volume's ConfigMap is missing": unmounted({ name: "files", configMap: { name: "absent" } }),
  "two volumes are missing": unmounted(
    { name: "files", configMap: { name: "absent" } },
    { name: "secrets", secret: { secretName: "absent" } },
  ),
  "two sources of a volume are missing": unmounted({
    name: "files",
    projected: { sources: [{ configMap: { name: "absent" } }, { secret: { name: "absent" } }] },
  }),
  "a volume that nothing mounts is missing": {
    ...says("exit 0"),
    spec: {
      restartPolicy: "Never",
      volumes: [{ name: "files", configMap: { name: "absent" } }],
      containers: [shell("main", "exit 0")],
    },
  },
  "a folder is missing": unmounted({ name: "of-host", hostPath: { path: "/no/such", type: "Directory" } }),
  "a folder is no file": unmounted({ name: "of-host", hostPath: { path: "/etc", type: "File" } }),
  "a folder is no socket": unmounted({ name: "of-host", hostPath: { path: "/etc", type: "Socket" } }),
  "a file has no folder": unmounted({ name: "of-host", hostPath: { path: "/no/such/file", type: "FileOrCreate" } }),

  "its node is another": refused({ nodeSelector: { "example.org/no": "such" } }),
  "its system is another": refused({ os: { name: "windows" } }),
  "sets what is the board's": refused({ securityContext: { sysctls: [{ name: "kernel.msgmax", value: "1" }] } }),
};
