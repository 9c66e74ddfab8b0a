import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { nodes, pods } from "#shared/api/resources.ts";
import type { ContainerStatus, Pod, PodStatus } from "#shared/api/types/core-v1.generated.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type Mirror, type Room, resourceOf } from "./mirror.ts";

export type Fields = Readonly<Record<string, unknown>>;

export interface Scenario {
  readonly name: string;
  /** Kinds that are not compared, of which there are very many. */
  readonly leavesOut?: readonly string[];
  play(world: World): Promise<void>;
}

export const patience_ms = 150_000;

/** Most steps of a kubelet in one go. */
const mostRounds = 60;

/** A namespace of a cluster without boards: scenarios write to it, and play scheduler and kubelets themselves. */
export class World {
  constructor(
    readonly client: Client,
    readonly mirror: Mirror,
    readonly namespace: string,
    /** Waits until the controllers have done what they do about the last step. */
    readonly checkpoint: (room: Room, label: string) => Promise<void>,
  ) {}

  get room(): Room {
    return this.mirror.room(this.namespace);
  }

  /** Another namespace beside this one. */
  async beside(suffix: string): Promise<World> {
    const { client, mirror, checkpoint } = this;
    const world = new World(client, mirror, `${this.namespace}-${suffix}`, (room, label) =>
      checkpoint(room, `${suffix}: ${label}`),
    );
    await world.begin();
    return world;
  }

  /** Makes the namespace and waits for what every namespace gets. */
  async begin(): Promise<void> {
    const metadata = { name: this.namespace };
    await this.client.create(resource("Namespace"), { apiVersion: "v1", kind: "Namespace", metadata });
    await this.until(
      () =>
        this.room.get("ServiceAccount", "default") !== undefined &&
        this.room.get("ConfigMap", "kube-root-ca.crt") !== undefined,
      "the account of the namespace",
    );
  }

  async create<T extends KubeObject>(kind: string, name: string, spec: Fields, metadata: Fields = {}): Promise<T> {
    const ref = resource(kind);
    const apiVersion = ref.group === "" ? ref.version : `${ref.group}/${ref.version}`;
    const object = { apiVersion, kind, metadata: { name, ...metadata }, ...spec };
    const created = await this.client.create(ref, object as KubeObject, { namespace: this.namespace });
    await this.#seen(created, kind);
    return created as T;
  }

  async patch(kind: string, name: string, body: Fields, subresource?: string): Promise<void> {
    const key = { namespace: kind === "Namespace" ? undefined : this.namespace, name };
    const options = subresource ? { subresource } : {};
    await this.#seen(await this.client.patch(resource(kind), key, { type: "merge", body }, options), kind);
  }

  /** Waits until the watch has told of a write: what comes next looks at what is there. */
  async #seen({ metadata }: KubeObject, kind: string): Promise<void> {
    const version = BigInt(metadata.resourceVersion ?? 0);
    const isSeen = (): boolean => this.room.versionOf(kind, metadata.name ?? "") >= version;
    await this.until(isSeen, `${kind} ${metadata.name} of version ${version}`);
  }

  async delete(kind: string, name: string, options: DeleteOptions = {}): Promise<void> {
    const uid = this.room.get(kind, name)?.metadata.uid;
    const key = { namespace: kind === "Namespace" ? undefined : this.namespace, name };
    await this.client.delete(resource(kind), key, options);
    const isSeen = (): boolean => {
      const now = this.room.get(kind, name)?.metadata;
      return now?.uid !== uid || now?.deletionTimestamp !== undefined;
    };
    await this.until(() => uid === undefined || isSeen(), `the deletion of ${kind} ${name}`);
  }

  /** Waits for a state that the controllers come to by themselves. */
  async until(isSo: () => boolean, what: string): Promise<void> {
    const end = performance.now() + patience_ms;
    while (!isSo()) {
      if (performance.now() > end) throw new Error(`${this.namespace}: never came to ${what}`);
      await this.room.change(1_000);
    }
  }

  /** Times in objects are whole seconds: what is written from now on tells a later one than what was. */
  nextSecond(): Promise<void> {
    return Bun.sleep(1_100);
  }

  settle(label: string): Promise<void> {
    return this.checkpoint(this.room, label);
  }

  /** In an order that does not depend on what is by chance. */
  pods(isMeant: (pod: Pod) => boolean = () => true): Pod[] {
    const keyOf = ({ metadata: { name, resourceVersion: _, uid: __, creationTimestamp: ___, ...rest } }: Pod): string =>
      this.room.aliases.apply(JSON.stringify([name, rest.labels, rest.annotations]));
    const found = this.room.all<Pod>("Pod").filter(isMeant);
    const keys = new Map(found.map((pod) => [pod, `${keyOf(pod)} ${pod.metadata.name}`]));
    return found.toSorted((a, b) => ((keys.get(a) ?? "") < (keys.get(b) ?? "") ? -1 : 1));
  }

  /** Runs pods until the controllers want no more: all that wait at once, or one in each round. */
  async roll(label: string, { one = true, mayRun = (_: Pod): boolean => true } = {}): Promise<void> {
    for (let round = 1; round <= mostRounds; round++) {
      await this.settle(`${label} ${round}`);
      const due = this.pods((pod) => isEnding(pod) || (isPending(pod) && mayRun(pod)));
      if (due.length === 0) return;
      for (const pod of one ? due.slice(0, 1) : due) await (isEnding(pod) ? this.finish(pod) : this.run(pod));
    }
    throw new Error(`${this.namespace}: ${label} goes on and on`);
  }

  /** Runs all that wait, once. */
  async runAll(isMeant: (pod: Pod) => boolean = () => true): Promise<void> {
    for (const pod of this.pods((each) => isPending(each) && isMeant(each))) await this.run(pod);
  }

  async run(pod: Pod, { ready = true, node = nodeFor(pod) } = {}): Promise<void> {
    await this.bind(pod, node);
    await this.report(pod, {
      phase: "Running",
      ...conditionsOf(ready),
      ...addressOf(pod),
      ...containersOf(pod, ready),
    });
  }

  async bind(pod: Pod, node = nodeFor(pod)): Promise<void> {
    const { namespace, name = "" } = pod.metadata;
    const isBound = (): boolean => this.room.get<Pod>("Pod", name)?.spec?.nodeName !== undefined;
    if (isBound()) return;
    const target = { apiVersion: "v1", kind: "Node", name: node };
    const binding = { apiVersion: "v1", kind: "Binding", metadata: { namespace, name }, target };
    await this.client.post(pods, { namespace, name }, "binding", binding);
    await this.until(isBound, `the binding of ${name}`);
  }

  /** What its kubelet says of the pod. */
  async report(pod: Pod, status: PodStatus | Fields): Promise<void> {
    const { namespace, name = "" } = pod.metadata;
    const patch = { type: "strategic", body: { status } } as const;
    await this.#seen(await this.client.patch(pods, { namespace, name }, patch, { subresource: "status" }), "Pod");
  }

  succeed(pod: Pod): Promise<void> {
    return this.report(pod, { phase: "Succeeded", ...conditionsOf(false), ...ended(pod, 0) });
  }

  fail(pod: Pod, exitCode = 1, more: Fields = {}): Promise<void> {
    return this.report(pod, { phase: "Failed", ...conditionsOf(false), ...ended(pod, exitCode), ...more });
  }

  unready(pod: Pod): Promise<void> {
    return this.report(pod, { ...conditionsOf(false), ...containersOf(pod, false) });
  }

  /** Its kubelet lets go of a pod that was deleted. */
  async finish({ metadata: { namespace, name = "" } }: Pod): Promise<void> {
    await this.client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0 });
  }

  /** Joins a node for this scenario alone. */
  async node(name: string, labels: Record<string, string> = {}, taints: readonly object[] = []): Promise<string> {
    const whole = `${this.namespace}-${name}`;
    await joinNode(this.client, whole, { scenario: this.namespace, ...labels }, taints);
    return whole;
  }

  async patchNode(name: string, body: Fields): Promise<void> {
    await this.client.patch(nodes, { name }, { type: "merge", body });
  }
}

function resource(kind: string): ResourceRef<KubeObject> {
  const ref = resourceOf.get(kind);
  if (!ref) throw new Error(`nobody follows ${kind}`);
  return ref;
}

const timestamp = (): string => new Date().toISOString().replace(/\.\d+/, "");

/** A Node that is ready, as its kubelet has registered it. */
export async function joinNode(
  client: Client,
  name: string,
  labels: Record<string, string>,
  taints: readonly object[] = [],
): Promise<void> {
  const metadata = { name, labels: { "kubernetes.io/hostname": name, ...labels } };
  const spec = taints.length > 0 ? { taints: [...taints] } : {};
  await client.create(nodes, { apiVersion: "v1", kind: "Node", metadata, spec } as never);
  const resources = { cpu: "16", memory: "32Gi", pods: "500" };
  const now = timestamp();
  const ready = { type: "Ready", status: "True", reason: "KubeletReady", message: "" };
  const conditions = [{ ...ready, lastHeartbeatTime: now, lastTransitionTime: now }];
  const body = { status: { capacity: resources, allocatable: resources, conditions } };
  await client.patch(nodes, { name }, { type: "strategic", body }, { subresource: "status" });
  const lasting = taints.length > 0 ? [...taints] : null;
  await client.patch(nodes, { name }, { type: "merge", body: { spec: { taints: lasting } } });
}

export const isEnding = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined;
export const isPending = (pod: Pod): boolean => !isEnding(pod) && (pod.status?.phase ?? "Pending") === "Pending";
export const isRunning = (pod: Pod): boolean => !isEnding(pod) && pod.status?.phase === "Running";
export const usesImage =
  (image: string) =>
  (pod: Pod): boolean =>
    pod.spec?.containers[0]?.image === image;

/** The node that a DaemonSet made the pod for, or the first. */
function nodeFor({ spec }: Pod): string {
  const terms = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms[0]?.matchFields?.[0]?.values?.[0] ?? "node-1";
}

function conditionsOf(ready: boolean): Fields {
  const lastTransitionTime = timestamp();
  const condition = (type: string, is: boolean): object => ({
    type,
    status: is ? "True" : "False",
    lastTransitionTime,
  });
  const conditions = [
    condition("PodScheduled", true),
    condition("Initialized", true),
    condition("ContainersReady", ready),
    condition("Ready", ready),
  ];
  return { conditions };
}

let addresses = 0;
function addressOf({ status }: Pod): Fields {
  if (status?.podIP) return {};
  const podIP = `10.99.${(++addresses >> 8) & 255}.${addresses & 255}`;
  return { podIP, podIPs: [{ ip: podIP }], startTime: timestamp() };
}

const containersOf = ({ spec, status }: Pod, ready: boolean): Fields => ({
  containerStatuses: (spec?.containers ?? []).map(
    ({ name, image = "" }): ContainerStatus => ({
      name,
      image,
      imageID: image,
      ready,
      started: true,
      restartCount: status?.containerStatuses?.[0]?.restartCount ?? 0,
      state: { running: { startedAt: timestamp() } },
    }),
  ),
});

const ended = ({ spec }: Pod, exitCode: number): Fields => ({
  containerStatuses: (spec?.containers ?? []).map(
    ({ name, image = "" }): ContainerStatus => ({
      name,
      image,
      imageID: image,
      ready: false,
      started: false,
      restartCount: 0,
      state: {
        terminated: {
          exitCode,
          reason: exitCode === 0 ? "Completed" : "Error",
          startedAt: timestamp(),
          finishedAt: timestamp(),
        },
      },
    }),
  ),
});
