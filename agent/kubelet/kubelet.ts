import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "#agent/host/host.ts";
import type { ContainerRuntime, ContainerStatus, SandboxStatus } from "#agent/runtime/runtime.ts";
import { type BoardFacts, readBoard } from "#agent/telemetry/board.ts";
import { nodes, pods, runtimeClasses, services } from "#shared/api/resources.ts";
import type { Node, Pod, Service, Taint } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { ApiEventRecorder, type EventRecorder } from "#shared/client/event-recorder.ts";
import { type Informer, InformerFactory, withoutManagedFields } from "#shared/client/informer.ts";
import { type Log, silentLog } from "#shared/client/log.ts";
import { BackOff } from "./back-off.ts";
import { Checkpoint } from "./checkpoint.ts";
import { type DnsConfig, parseResolvConf } from "./container/pod-dns.ts";
import { ContainerGarbage } from "./container-garbage.ts";
import { podFromContainers } from "./container-identity.ts";
import { ImageGarbage } from "./images/image-gc.ts";
import { ImagePuller } from "./images/image-puller.ts";
import { Limiter } from "./limiter.ts";
import { NodeRegistrar } from "./node/node-registrar.ts";
import { refuse } from "./node/pod-admission.ts";
import { type ResizeRefusal, refuseResize } from "./node/pod-resize.ts";
import { PressureRelief } from "./node/pressure-relief.ts";
import { ObjectCache } from "./object-cache.ts";
import { isMirrorPod, isStaticPod, podUid } from "./pod-containers.ts";
import type { KubeletParts } from "./pod-context.ts";
import { PodWorker } from "./pod-worker.ts";
import { ProbeManager } from "./probes/probe-manager.ts";
import { MirrorPods } from "./static-pods/mirror-pods.ts";
import { StaticPodSource } from "./static-pods/static-pod-source.ts";
import { StatusWriter } from "./status/status-writer.ts";
import { ServiceAccountTokens } from "./volumes/service-account-token.ts";
import { prepareVolatileFolder } from "./volumes/volatile-folder.ts";
import { VolumeManager } from "./volumes/volume-manager.ts";

export interface KubeletOptions {
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  readonly host: Host;
  readonly nodeName: string;
  /** Pods' volumes and the checkpoint: `pods/`, `checkpoint/`. */
  readonly dataDir: string;
  /** What a reboot may forget: `pods/`. */
  readonly runDir: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** The board's addresses, the main one first. Asked whenever they are needed: DHCP may change them. */
  nodeIPs(): readonly string[];
  /** Where others in this process follow the API too; one of its own when absent. */
  readonly informers?: InformerFactory | undefined;
  readonly recorder?: EventRecorder | undefined;
  readonly log?: Log | undefined;
  readonly nodeLabels?: Readonly<Record<string, string>> | undefined;
  readonly nodeTaints?: readonly Taint[] | undefined;
  /** Folder of manifests of static pods; none when absent. */
  readonly staticPodsFolder?: string | undefined;
  readonly maxPods?: number | undefined;
  readonly kubeletPort?: number | undefined;
  readonly reservedMemory_bytes?: number | undefined;
  readonly resolvConf?: string | undefined;
  /** What keeps pods from starting beside the runtime, such as a missing pod network; empty when nothing does. */
  readonly troubles?: (() => readonly string[]) | undefined;
  /** How long to wait for the API before pods start from the checkpoint. */
  readonly offlineAfter_ms?: number | undefined;
}

const parallelCreations = 4;
const resync_ms = 300_000;
const eventsRetry_ms = 2_000;

/**
 * The kubelet of one board: registers its Node, and runs the pods bound to it through a worker each. What happens only
 * prompts a worker (changes in the API, runtime events, probes, a slow resync); the worker looks at what is.
 */
export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #log: Log;
  readonly #informers: InformerFactory;
  readonly #workers = new Map<string, PodWorker>();
  readonly #stop = new AbortController();
  readonly #checkpoint: Checkpoint;
  #parts: KubeletParts | undefined;
  #registrar: NodeRegistrar | undefined;
  #garbage: ContainerGarbage | undefined;
  #imageGarbage: ImageGarbage | undefined;
  #board: BoardFacts | undefined;
  #hostDns: DnsConfig = { servers: [], searches: [], options: [] };
  #savedServices: readonly Service[] | undefined;
  #synced = false;
  readonly #returning = new Map<string, Pod>();
  #staticPods: StaticPodSource | undefined;
  #mirrors: MirrorPods | undefined;
  #resyncTimer: ReturnType<typeof setTimeout> | undefined;
  #watching: Promise<void> | undefined;

  constructor(options: KubeletOptions) {
    this.#options = options;
    this.#log = (options.log ?? silentLog).named("kubelet");
    this.#informers =
      options.informers ?? new InformerFactory(options.client, { transform: withoutManagedFields, log: options.log });
    this.#checkpoint = new Checkpoint(join(options.dataDir, "checkpoint"), this.#log);
  }

  /** Resolves when the board is read and its pods are looked after; does not wait for the API. */
  async start(): Promise<void> {
    const { options } = this;
    await mkdir(join(options.dataDir, "pods"), { recursive: true, mode: 0o750 });
    const volatile = await prepareVolatileFolder(options.host, join(options.runDir, "pods"), this.#log);
    this.#board = await readBoard();
    this.#hostDns = parseResolvConf(await readFile(options.resolvConf ?? "/etc/resolv.conf", "utf8").catch(() => ""));
    const parts = this.#assemble(this.#board, volatile);
    this.#parts = parts;
    this.#garbage = new ContainerGarbage(parts.runtime, (uid) => this.#workers.get(uid));
    await this.#registrar?.start();
    parts.statuses.start();
    this.#watchApi(parts);
    await this.#runStaticPods(parts);
    this.#informers.start();
    this.#watching = this.#watchRuntime();
    void this.#bringUp(parts);
  }

  /** Stops looking after pods, and leaves them running. */
  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#resyncTimer);
    this.#staticPods?.stop();
    await this.#mirrors?.stop();
    this.#parts?.probes.stopAll();
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop()));
    await this.#registrar?.stop();
    await this.#parts?.objects.stop();
    await this.#parts?.statuses.stop();
    if (!this.#options.informers) await this.#informers.stop();
    await this.#watching;
    await this.#checkpoint.flushed();
  }

  // For the kubelet's own server

  get options(): KubeletOptions {
    return this.#options;
  }

  get runtime(): ContainerRuntime {
    return this.#options.runtime;
  }

  /** The board's Node as last known. */
  get node(): Node | undefined {
    return this.#registrar?.node;
  }

  /** Something that the Node reports may have changed: addresses, labels, what keeps pods from starting. */
  reportNode(): void {
    this.#registrar?.prompt();
  }

  /** Pods on this board with the status they have now, written to the API or not. */
  pods(): Pod[] {
    return [...this.#workers.values()].map(({ pod, uid }) => {
      const status = this.#parts?.statuses.get(uid);
      return status ? { ...pod, status } : pod;
    });
  }

  findPod(namespace: string, name: string, uid?: string): Pod | undefined {
    return this.pods().find(
      ({ metadata }) =>
        metadata.namespace === namespace && metadata.name === name && (uid === undefined || metadata.uid === uid),
    );
  }

  /** The container's last attempt, or the one before (`previous`). Asks the runtime. */
  async findContainer(
    namespace: string,
    podName: string,
    container: string,
    options: { readonly previous?: boolean | undefined; readonly uid?: string | undefined } = {},
  ): Promise<ContainerStatus | undefined> {
    const pod = this.findPod(namespace, podName, options.uid);
    if (!pod) return undefined;
    const all = await this.runtime.listContainers({ podUid: podUid(pod) });
    const attempts = all
      .filter(({ name }) => name === container)
      .sort((a, b) => b.createdAt_ms - a.createdAt_ms || b.attempt - a.attempt);
    return options.previous ? attempts[1] : attempts[0];
  }

  /** The sandbox that serves a pod: where port-forward goes. Asks the runtime. */
  async findSandbox(namespace: string, podName: string, uid?: string): Promise<SandboxStatus | undefined> {
    const pod = this.findPod(namespace, podName, uid);
    if (!pod) return undefined;
    const all = await this.runtime.listSandboxes();
    return all.find((sandbox) => sandbox.pod.uid === podUid(pod) && sandbox.state === "ready");
  }

  /** Runtime statistics of every running container, by pod. Containers that vanish meanwhile are left out. */
  async podStats(): Promise<PodStats[]> {
    return Promise.all(
      this.pods().map(async (pod) => {
        const running = (await this.runtime.listContainers({ podUid: podUid(pod) })).filter(
          ({ state }) => state === "running",
        );
        const stats = await Promise.all(
          running.map(async (container) => ({
            container,
            stats: await this.runtime.stats(container.id).catch(() => undefined),
          })),
        );
        return { pod, containers: stats.flatMap(({ container, stats }) => (stats ? [{ container, stats }] : [])) };
      }),
    );
  }

  // Inside

  #assemble(board: BoardFacts, volatileFolder: string): KubeletParts {
    const { options } = this;
    const { client, runtime, host } = options;
    const recorder =
      options.recorder ??
      new ApiEventRecorder(client, { component: "kubelet", host: options.nodeName, log: this.#log });
    const startedAt_ms = Date.now();
    const objects = new ObjectCache(client, this.#checkpoint, (uids) => {
      for (const uid of uids) this.#workers.get(uid)?.refreshVolumes();
    });
    const imageGarbage = new ImageGarbage(runtime, this.#log);
    this.#imageGarbage = imageGarbage;
    const relief = new PressureRelief({
      host,
      imageGarbage,
      imageFolder: () => this.#registrar?.imageFolder,
      podStats: () => this.podStats(),
      workers: () => this.#workers.values(),
      collectGarbage: () => this.#sweep(),
      log: this.#log,
    });
    const registrar = new NodeRegistrar({
      client,
      runtime,
      host,
      recorder,
      log: this.#log,
      board,
      name: options.nodeName,
      labels: options.nodeLabels ?? {},
      taints: options.nodeTaints ?? [],
      maxPods: options.maxPods ?? 110,
      kubeletPort: options.kubeletPort ?? 10_250,
      reservedMemory_bytes: options.reservedMemory_bytes ?? 0,
      dataFolder: options.dataDir,
      addresses: () => options.nodeIPs(),
      troubles: () => options.troubles?.() ?? [],
      onLook: (pressures) => void relief.relieve(pressures),
    });
    this.#registrar = registrar;
    return {
      runtime,
      runtimeName: "docker",
      host,
      objects,
      volumes: new VolumeManager({
        host,
        client,
        objects,
        tokens: new ServiceAccountTokens(client),
        podsFolder: join(options.dataDir, "pods"),
        volatileFolder,
        log: this.#log,
      }),
      images: new ImagePuller(runtime),
      probes: new ProbeManager(runtime, recorder, (uid) => this.#workers.get(uid)?.prompt(), startedAt_ms),
      statuses: new StatusWriter(client, this.#log),
      recorder,
      backOff: new BackOff(),
      creations: new Limiter(parallelCreations),
      log: this.#log,
      clusterDns: { servers: options.clusterDns, domain: options.clusterDomain },
      seccompRoot: join(options.dataDir, "seccomp"),
      startedAt_ms,
      hostIPs: () => options.nodeIPs(),
      allocatable: () => registrar.status?.allocatable ?? {},
      memoryCapacity_bytes: () => board.memory_bytes,
      services: () => this.#services(),
      hostDns: () => this.#hostDns,
      now_ms: () => Date.now(),
      runtimeHandler: async ({ spec: { runtimeClassName } }) => {
        if (!runtimeClassName) return undefined;
        return (await client.get(runtimeClasses, { name: runtimeClassName })).handler;
      },
      admit: (pod) => this.#admit(pod),
      refuseResize: (pod) => this.#refuseResize(pod),
      onGone: (uid) => this.#drop(uid),
    };
  }

  #watchApi(parts: KubeletParts): void {
    const ofNode = this.#podInformer;
    ofNode.addHandler(({ type, object }) => {
      if (isMirrorPod(object)) {
        this.#mirrors?.observe(object);
        if (type !== "delete") parts.statuses.observe(object);
      } else if (type === "delete") this.#remove(object);
      else this.#take(parts, object);
    });
    this.#informers.informer(services).addHandler(({ type, object }) => {
      const key = `${object.metadata.namespace}/${object.metadata.name}`;
      if (type === "delete") void this.#checkpoint.remove("services", key);
      else void this.#checkpoint.save("services", key, object);
    });
    const own = this.#informers.informer(nodes, { fieldSelector: `metadata.name=${this.#options.nodeName}` });
    own.addHandler(({ type, object }) => {
      if (type !== "delete") this.#registrar?.observe(object);
    });
  }

  async #runStaticPods(parts: KubeletParts): Promise<void> {
    const { client, nodeName, staticPodsFolder } = this.#options;
    if (!staticPodsFolder) return;
    const mirrors = new MirrorPods({
      client,
      log: this.#log,
      lister: () => (this.#synced ? this.#podInformer.lister : undefined),
      node: () => this.#registrar?.node,
    });
    this.#mirrors = mirrors;
    mirrors.start();
    const add = (pod: Pod): void => {
      this.#startWorker(parts, pod);
      mirrors.add(pod);
    };
    const remove = (pod: Pod): void => {
      mirrors.remove(pod);
      this.#returning.delete(podUid(pod));
      this.#workers.get(podUid(pod))?.remove();
    };
    this.#staticPods = new StaticPodSource(staticPodsFolder, nodeName, { add, remove }, this.#log);
    await this.#staticPods.start();
  }

  get #podInformer(): Informer<Pod> {
    return this.#informers.informer(pods, { fieldSelector: `spec.nodeName=${this.#options.nodeName}` });
  }

  /** Waits for the API, or takes what it last said; then settles with what runs on the board already. */
  async #bringUp(parts: KubeletParts): Promise<void> {
    const informer = this.#podInformer;
    const offline = Symbol("offline");
    const synced = informer.synced.then(
      () => true,
      () => false,
    );
    const first = await Promise.race([synced, delay(this.#options.offlineAfter_ms ?? 5_000, offline)]);
    if (first === offline) {
      this.#log.warn("the master does not answer: pods start from the checkpoint");
      this.#savedServices = await this.#checkpoint.load("services");
      for (const pod of await this.#checkpoint.load("pods")) {
        if (!this.#workers.has(podUid(pod))) this.#startWorker(parts, pod);
      }
    }
    if (!(await synced) || this.#stop.signal.aborted) return;
    this.#synced = true;
    // What the checkpoint had and the API has not was deleted meanwhile.
    const known = new Set(informer.lister.list().map(podUid));
    for (const worker of this.#workers.values()) {
      if (!known.has(worker.uid) && !isStaticPod(worker.pod)) worker.remove();
    }
    this.#mirrors?.observeAll(informer.lister.list());
    parts.statuses.retryAll();
    this.#registrar?.prompt();
    for (const pod of await this.#checkpoint.load("pods")) {
      if (!known.has(podUid(pod))) await this.#checkpoint.remove("pods", podUid(pod));
    }
    await this.#resync();
  }

  #take(parts: KubeletParts, pod: Pod): void {
    void this.#checkpoint.save("pods", podUid(pod), pod);
    const worker = this.#workers.get(podUid(pod));
    if (worker) worker.update(pod);
    else this.#startWorker(parts, pod);
  }

  #startWorker(parts: KubeletParts, pod: Pod): void {
    if (this.#workers.has(podUid(pod))) {
      // A manifest that went and came back: it runs again when its end is over.
      this.#returning.set(podUid(pod), pod);
      return;
    }
    const worker = new PodWorker(parts, pod);
    this.#workers.set(worker.uid, worker);
    worker.prompt();
  }

  #remove(pod: Pod): void {
    void this.#checkpoint.remove("pods", podUid(pod));
    this.#workers.get(podUid(pod))?.remove();
  }

  #drop(uid: string): void {
    this.#workers.delete(uid);
    const returning = this.#returning.get(uid);
    this.#returning.delete(uid);
    if (returning && this.#parts) this.#startWorker(this.#parts, returning);
    // What it held may be what another waits for.
    for (const worker of this.#workers.values()) if (worker.waitsForResources) worker.prompt();
  }

  #admit(pod: Pod): { reason: string; message: string } | undefined {
    const node = this.#registrar?.node;
    const status = this.#registrar?.status;
    if (!node || !status) return undefined;
    return refuse(pod, { ...node, status }, this.#others(pod));
  }

  #refuseResize(pod: Pod): ResizeRefusal | undefined {
    const node = this.#registrar?.node;
    const status = this.#registrar?.status;
    return node && status ? refuseResize(pod, { ...node, status }, this.#others(pod)) : undefined;
  }

  /** The other pods that hold resources of the board, with what each was granted. */
  #others(pod: Pod): Pod[] {
    return [...this.#workers.values()]
      .filter((worker) => worker.uid !== podUid(pod) && worker.active && worker.observed !== undefined)
      .map((worker) => worker.granted);
  }

  #services(): readonly Service[] | undefined {
    const informer = this.#informers.informer(services);
    return informer.hasSynced ? informer.lister.list() : this.#savedServices;
  }

  async #watchRuntime(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        // The stream tells only what happens from now on.
        for (const worker of this.#workers.values()) worker.prompt();
        for await (const event of this.runtime.events(signal)) {
          if (event.podUid) this.#workers.get(event.podUid)?.prompt();
        }
      } catch (error) {
        this.#log.warn("the container runtime's events are interrupted", { error });
        this.#registrar?.prompt();
      }
      if (!signal.aborted) await delay(eventsRetry_ms, undefined);
    }
  }

  /** Finds what no event told of: pods that nobody wants, workers whose pod looks different now, garbage. */
  async #resync(): Promise<void> {
    clearTimeout(this.#resyncTimer);
    try {
      await this.#sweep();
    } catch (error) {
      this.#log.warn("the resync failed", { error });
    }
    if (!this.#stop.signal.aborted) this.#resyncTimer = setTimeout(() => void this.#resync(), resync_ms);
  }

  async #sweep(): Promise<void> {
    const parts = this.#parts;
    if (!parts || !this.#synced) return;
    const [containers, sandboxes] = await Promise.all([this.runtime.listContainers(), this.runtime.listSandboxes()]);
    const uids = new Set([...containers, ...sandboxes].map(({ pod }) => pod.uid));
    for (const uid of uids) {
      if (this.#workers.has(uid)) continue;
      const ofPod = containers.filter(({ pod }) => pod.uid === uid);
      const sandbox = sandboxes.find(({ pod }) => pod.uid === uid);
      const orphan = podFromContainers(ofPod) ?? (sandbox && bareOrphan(sandbox));
      if (!orphan) continue;
      this.#log.info("a pod that the API does not have is ended", {
        pod: `${orphan.metadata.namespace}/${orphan.metadata.name}`,
      });
      const worker = new PodWorker(parts, orphan);
      this.#workers.set(uid, worker);
      worker.remove();
    }
    for (const uid of await parts.volumes.leftBehind()) {
      if (!this.#workers.has(uid) && !uids.has(uid)) await parts.volumes.unmount(uid);
    }
    await this.#garbage?.collect(containers, sandboxes);
    this.#imageGarbage?.observe(await this.runtime.listImages(), containers);
    for (const worker of this.#workers.values()) worker.prompt();
  }
}

export interface PodStats {
  readonly pod: Pod;
  readonly containers: readonly {
    readonly container: ContainerStatus;
    readonly stats: Awaited<ReturnType<ContainerRuntime["stats"]>>;
  }[];
}

function bareOrphan({ pod }: SandboxStatus): Pod {
  return { apiVersion: "v1", kind: "Pod", metadata: { ...pod }, spec: { containers: [] } };
}

function delay<T>(time_ms: number, value: T): Promise<T> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(value), time_ms).unref();
  });
}
