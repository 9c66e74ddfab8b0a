import { setTimeout as delay } from "node:timers/promises";
import { events, pods } from "#shared/api/resources.ts";
import type { ContainerState, ContainerStatus, Pod, PodStatus } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { image, type Question } from "./questions.ts";

/** What a pod's life comes to, without what differs from run to run. */
export interface Answer {
  /** When the state that is asked for has come. */
  readonly before: object;
  /** When it has gone: the last that was seen of it. Null where that is chance. */
  readonly after: object | null;
  /** `Type Reason fieldPath: message`, each once. */
  readonly events: readonly string[];
}

const namespace = "default";
const patience_ms = 240_000;

/**
 * Makes the pod, waits for its state, and deletes it.
 * @param name what it is called; lower case
 * @param around which node it goes to, and what stands for the image there
 */
export async function observe(
  client: Client,
  name: string,
  { spec, until, event, isChance = false }: Question,
  around: { readonly nodeName: string; readonly image: string },
): Promise<Answer> {
  const key = { namespace, name };
  const { pod, wanted } = podOf(name, spec, around);
  const signal = AbortSignal.timeout(patience_ms);
  const gone = Promise.withResolvers<Pod>();
  const reached = Promise.withResolvers<Pod>();
  let last = await client.create(pods, pod, { namespace });
  const watching = (async () => {
    const { resourceVersion } = last.metadata;
    const from = { namespace, fieldSelector: `metadata.name=${name}`, resourceVersion, signal };
    for await (const { object, type } of client.watch(pods, from)) {
      if (type === "BOOKMARK" || object.metadata.name !== name) continue;
      last = object;
      if (until(object)) reached.resolve(object);
      if (type === "DELETED") return gone.resolve(object);
    }
    throw new Error(`${name} was not seen to its end: ${JSON.stringify(last.status)}`);
  })();
  watching.catch((error: unknown) => {
    reached.reject(error);
    gone.reject(error);
  });
  gone.promise.catch(() => undefined);
  let before = await reached.promise;
  while (event !== undefined && !(await eventsOf(client, last)).some((line) => line.split(" ")[1] === event)) {
    signal.throwIfAborted();
    await delay(200);
    before = last;
  }
  await client.delete(pods, key);
  const after = await gone.promise;
  return {
    before: normal(before, name, wanted),
    after: isChance ? null : normal(after, name, wanted),
    events: await settledEvents(client, after, wanted),
  };
}

function podOf(name: string, spec: Question["spec"], around: { nodeName: string; image: string }) {
  const wanted = new Map([[around.image, image]]);
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace },
    spec: {
      nodeName: around.nodeName,
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 3,
      serviceAccountName: "default",
      automountServiceAccountToken: false,
      dnsPolicy: "Default",
      enableServiceLinks: false,
      containers: [],
      ...spec,
    },
  };
  return { pod: JSON.parse(JSON.stringify(pod).replaceAll(`"${image}"`, JSON.stringify(around.image))) as Pod, wanted };
}

/** Events come a little after what they tell of. */
async function settledEvents(client: Client, pod: Pod, wanted: ReadonlyMap<string, string>): Promise<string[]> {
  let seen = await eventsOf(client, pod);
  for (;;) {
    await delay(1_000);
    const now = await eventsOf(client, pod);
    if (now.length === seen.length) return now.map((line) => plain(line, pod.metadata.name ?? "", wanted));
    seen = now;
  }
}

async function eventsOf(client: Client, { metadata: { uid } }: Pod): Promise<string[]> {
  const { items } = await client.list(events, { namespace, fieldSelector: `involvedObject.uid=${uid}` });
  const lines = items
    .filter(({ source, reportingComponent }) => (source?.component || reportingComponent) === "kubelet")
    // A kubelet that has let the pod's objects go says so of a mount that it still tries.
    .filter(({ message }) => !message?.includes(" not registered"))
    .map(
      ({ type, reason, message, involvedObject: { fieldPath = "-" } }) => `${type} ${reason} ${fieldPath}: ${message}`,
    );
  return [...new Set(lines)].sort();
}

function plain(text: string, name: string, wanted: ReadonlyMap<string, string>): string {
  let result = text.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UID").replaceAll(`${name}_`, "NAME_");
  for (const [own, shown] of wanted) result = result.replaceAll(own, shown);
  return result;
}

function normal({ status = {} }: Pod, name: string, wanted: ReadonlyMap<string, string>): object {
  const { phase, reason, message, qosClass, podIP, conditions = [] } = status;
  const of = (list: PodStatus["containerStatuses"]) => list?.map(container);
  const { initContainerStatuses, containerStatuses } = status;
  const shown = {
    phase,
    reason,
    message,
    qosClass,
    hasAddress: podIP !== undefined,
    conditions: Object.fromEntries(
      conditions.map(({ type, status, reason, message }) => [
        type,
        [status, reason, message].filter(Boolean).join(" "),
      ]),
    ),
    initContainers: of(initContainerStatuses),
    containers: of(containerStatuses),
  };
  return JSON.parse(plain(JSON.stringify(shown), name, wanted));
}

function container(status: ContainerStatus): object {
  const { name, state, lastState, ready, started, restartCount, resources, allocatedResources, volumeMounts } = status;
  return {
    name,
    state: stateOf(state),
    lastState: stateOf(lastState),
    ready,
    started,
    restartCount,
    resources,
    allocatedResources,
    volumeMounts,
    hasId: Boolean(status.containerID),
  };
}

function stateOf(state: ContainerState | undefined): object | undefined {
  const { running, waiting, terminated } = state ?? {};
  if (running) return { running: {} };
  if (waiting) return { waiting };
  if (!terminated) return undefined;
  const { exitCode, signal, reason, message } = terminated;
  return { terminated: { exitCode, signal, reason, message } };
}
