import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { ContainerRuntime, ContainerStatus, SandboxStatus, StatsOptions } from "#agent/runtime/runtime.ts";
import { RuntimeOperations } from "#agent/runtime/runtime-operations.ts";
import { readBoard } from "#agent/telemetry/board.ts";
import { SystemOom } from "#agent/telemetry/system-oom.ts";
import { UsageHistory } from "#agent/telemetry/usage-history.ts";
import { nodes, services } from "#shared/api/resources.ts";
import type { Node, Pod, Service } from "#shared/api/types/core-v1.generated.ts";
import { pause, systemClock } from "#shared/client/clock.ts";
import { ApiEventRecorder, type EventRecorder } from "#shared/client/event-recorder.ts";
import { InformerFactory, withoutManagedFields } from "#shared/client/informer.ts";
import { type Log, silentLog } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { cacheBounds } from "#shared/process/cache-bounds.ts";
import { type Rate, TokenBucket } from "#shared/process/token-bucket.ts";
import type { GroupUsage } from "./cgroups/pod-cgroups.ts";
import { Checkpoint } from "./checkpoint.ts";
import { ContainerGarbage } from "./container-garbage.ts";
import type { CpuManager } from "./cpus/cpu-manager.ts";
import { refuseOtherPolicy } from "./cpus/cpu-state.ts";
import type { ImageFolder } from "./images/image-folder.ts";
import { ImageGarbage } from "./images/image-gc.ts";
import { PullRecords } from "./images/pull-records.ts";
import type { KubeletOptions } from "./kubelet-options.ts";
import { kubeletParts, type PartsInput, pluginOptions, readImageFolder, registrarOptions } from "./kubelet-parts.ts";
import { defaultTuning } from "./kubelet-tuning.ts";
import { defaultEvictionRules } from "./node/eviction-rules.ts";
import { boardReference } from "./node/node-events.ts";
import { NodeRegistrar } from "./node/node-registrar.ts";
import { nothingReserved } from "./node/node-status.ts";
import { PressureRelief } from "./node/pressure-relief.ts";
import { BoardPlugins } from "./plugins/board-plugins.ts";
import type { KubeletParts } from "./pod-context.ts";
import { PodCounts } from "./pod-counts.ts";
import { PodSources } from "./pod-sources.ts";
import { type PodStats, PodWorkers } from "./pod-workers.ts";
import type { ProbeCount } from "./probes/probe-counts.ts";
import { followRuntimeEvents } from "./runtime-events.ts";
import { BoardShutdown } from "./shutdown/board-shutdown.ts";
import { sweep } from "./sweep.ts";
import { ServiceAccountTokens } from "./volumes/service-account-token.ts";
import { prepareVolatileFolder } from "./volumes/volatile-folder.ts";
import type { VolumeStats } from "./volumes/volume-stats.ts";

export type { KubeletOptions } from "./kubelet-options.ts";
export type { PodStats } from "./pod-workers.ts";

const resync_ms = 300_000;

/**
 * The kubelet of one board: registers its Node, and runs the pods bound to it through a worker each. What happens only
 * prompts a worker (changes in the API, runtime events, probes, a slow resync); the worker looks at what is.
 */
export class Kubelet {
  /** What the board used lately. */
  readonly history = new UsageHistory(cacheBounds().usageMeans);
  readonly #options: KubeletOptions;
  readonly #log: Log;
  readonly #informers: InformerFactory;
  readonly #workers: PodWorkers;
  readonly #stop = new AbortController();
  readonly #checkpoint: Checkpoint;
  readonly #containerGarbage: ContainerGarbage;
  readonly #imageGarbage: ImageGarbage;
  #parts: KubeletParts | undefined;
  #registrar: NodeRegistrar | undefined;
  #plugins: BoardPlugins | undefined;
  #imageFolder: ImageFolder | undefined;
  #sources: PodSources | undefined;
  readonly #resyncTrouble: StandingTrouble;
  #resyncTimer: ReturnType<typeof setTimeout> | undefined;
  #watching: Promise<void> | undefined;
  #shutdown: BoardShutdown | undefined;

  /** What was asked of the container runtime; for /metrics. */
  readonly operations = new RuntimeOperations();
  readonly #counts = new PodCounts();

  constructor(given: KubeletOptions) {
    const options = { ...given, runtime: this.operations.counted(given.runtime) };
    this.#options = options;
    this.#log = (options.log ?? silentLog).named("kubelet");
    this.#resyncTrouble = new StandingTrouble(this.#log, { wrong: "the resync failed" });
    this.#informers =
      options.informers ?? new InformerFactory(options.client, { transform: withoutManagedFields, log: options.log });
    this.#workers = new PodWorkers(options.runtime, () => {
      if (!this.#parts) throw new Error("the kubelet has not been started");
      return this.#parts;
    });
    this.#checkpoint = new Checkpoint(join(options.dataDir, "checkpoint"), this.#log, options.seal);
    this.#containerGarbage = new ContainerGarbage(options.runtime);
    const isKept = (names: readonly string[]): boolean => this.#imageFolder?.keeps(names) ?? false;
    this.#imageGarbage = new ImageGarbage(options.runtime, this.#log, isKept, options.imageRules);
  }

  /** Resolves when the board is read and its pods are looked after; does not wait for the API. */
  async start(): Promise<void> {
    const { options } = this;
    await mkdir(join(options.dataDir, "pods"), { recursive: true, mode: 0o750 });
    await this.#checkpoint.dropHalfWritten();
    const volatileFolder = await prepareVolatileFolder(options.host, join(options.runDir, "pods"), this.#log);
    const board = await readBoard();
    const pullRecords = await PullRecords.open(
      join(options.dataDir, "image-pulls.json"),
      this.#log,
      options.imageVerification,
    );
    const cpus = await this.#openCpus();
    const parts = this.#assemble({ board, volatileFolder, pullRecords, cpus });
    this.#parts = parts;
    this.#imageFolder = await readImageFolder(options, parts, this.#log.named("images"), this.#stop.signal);
    await this.#plugins?.start();
    await this.#registrar?.start();
    parts.statuses.start();
    const sources = this.#newSources(parts);
    this.#sources = sources;
    sources.followApi();
    this.#watchApi();
    await sources.followManifests();
    this.#informers.start();
    this.#watching = this.#watchRuntime();
    void this.#settle(sources);
    await this.#shutdown?.watch();
  }

  /** Ends the pods if it is the board that goes down, and not the agent alone. To be called before `stop`. */
  async endPodsWithBoard(): Promise<void> {
    await this.#shutdown?.beforeAgentEnds();
  }

  /** Stops looking after pods, and leaves them running. */
  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#resyncTimer);
    await this.#shutdown?.stop();
    await this.#sources?.stop();
    this.#parts?.probes.stopAll();
    await this.#workers.stop();
    await this.#plugins?.stop();
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

  /** What it has done for its pods, and how long that took; for /metrics. */
  podFamilies(): Family[] {
    const { workTimes, cgroups, images } = this.#parts ?? {};
    return [this.#counts, workTimes, cgroups?.times, images?.times].flatMap((each) => each?.families() ?? []);
  }

  /** What volumes of its pods take, and how many there are; for /metrics. */
  async volumeFamilies(): Promise<Family[]> {
    return (await this.#parts?.volumes.families(this.#workers.pods())) ?? [];
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
    return this.#workers.pods();
  }

  /** Those that hold resources of the board. */
  holdingPods(): Pod[] {
    return this.#workers.holdingPods();
  }

  findPod(...query: Parameters<PodWorkers["findPod"]>): Pod | undefined {
    return this.#workers.findPod(...query);
  }

  /** The container's last attempt. Asks the runtime. */
  async findContainer(...query: Parameters<PodWorkers["findContainer"]>): Promise<ContainerStatus | undefined> {
    return this.#workers.findContainer(...query);
  }

  /** The sandbox that serves a pod: where port-forward goes. Asks the runtime. */
  async findSandbox(...query: Parameters<PodWorkers["findSandbox"]>): Promise<SandboxStatus | undefined> {
    return this.#workers.findSandbox(...query);
  }

  /** Runtime statistics of every running container, by pod. */
  async podStats(options?: StatsOptions): Promise<PodStats[]> {
    return this.#workers.podStats(options);
  }

  /** How full the volumes of the pods here are, by UID of the pod; measured at most once a minute. */
  async volumeStats(): Promise<ReadonlyMap<string, readonly VolumeStats[]>> {
    return (await this.#parts?.volumeStats.of(this.#workers.pods())) ?? new Map();
  }

  /** What the kernel counts of the pods' control groups; undefined where they have none. */
  async groupUsage(): Promise<GroupUsage | undefined> {
    return this.#parts?.cgroups?.usage(this.#workers.pods());
  }

  /** Where the runtime keeps images; undefined before it has answered once. */
  get imageFolder(): string | undefined {
    return this.#registrar?.imageFolder;
  }

  /** How the probes of the pods here went. */
  probeCounts(): ProbeCount[] {
    return this.#parts?.probes.counts.all() ?? [];
  }

  // Inside

  #assemble(found: Pick<PartsInput, "board" | "volatileFolder" | "pullRecords" | "cpus">): KubeletParts {
    const { options } = this;
    const { client, host, tuning = defaultTuning } = options;
    const log = this.#log;
    const own = { component: "kubelet", host: options.nodeName, log, pace: paceOf(tuning.events) };
    const recorder = options.recorder ?? new ApiEventRecorder(client, own);
    const relief = new PressureRelief({
      host,
      imageGarbage: this.#imageGarbage,
      imageFolder: () => this.#registrar?.imageFolder,
      podStats: () => this.podStats(),
      storageUsage: (pod) => this.#workers.storageUsage(pod),
      workers: () => this.#workers.all(),
      tell: (event) => recorder.record(boardReference(options.nodeName), event),
      systemOom: new SystemOom(),
      evicted: (signal) => this.#counts.evicted(signal),
      collectGarbage: () => this.#sweep(),
      isRelieved: async () => (await this.#registrar?.isRelieved()) ?? false,
      limitsStorage: tuning.countsLocalStorage,
      longestGrace_s: (options.eviction ?? defaultEvictionRules).longestGrace_s,
      log,
    });
    const tokens = new ServiceAccountTokens(client, this.#checkpoint);
    const plugins = this.#newPlugins(tokens, recorder);
    this.#plugins = plugins;
    const shutdown = this.#newShutdown(recorder);
    this.#shutdown = shutdown;
    const registrar = new NodeRegistrar({
      ...registrarOptions(options, found.board, shutdown),
      recorder,
      log,
      history: this.history,
      onLook: (shortages) => void relief.relieve(shortages),
      onRuntimeRecovered: () => this.#workers.promptAll(),
      plugins,
    });
    this.#registrar = registrar;
    return kubeletParts({
      ...found,
      options,
      recorder,
      log,
      checkpoint: this.#checkpoint,
      workers: this.#workers,
      counts: this.#counts,
      registrar,
      services: () => this.#services(),
      tokens,
      plugins,
      shutdown,
    });
  }

  async #openCpus(): Promise<CpuManager | undefined> {
    const { placement, dataDir: folder, reserved = nothingReserved, runtime } = this.#options;
    if (!placement?.cpus) {
      await refuseOtherPolicy(folder);
      return undefined;
    }
    const { CpuManager } = await import("./cpus/cpu-manager.ts");
    const log = this.#log.named("cpus");
    return await CpuManager.open({ folder, policy: placement.cpus, reserved_m: reserved.cpu_m, runtime, log });
  }

  #newSources(parts: KubeletParts): PodSources {
    const { client, nodeName, staticPodsFolder, offlineAfter_ms } = this.#options;
    return new PodSources({
      client,
      nodeName,
      staticPodsFolder,
      offlineAfter_ms,
      informers: this.#informers,
      checkpoint: this.#checkpoint,
      workers: this.#workers,
      statuses: parts.statuses,
      node: () => this.node,
      recorder: parts.recorder,
      log: this.#log,
    });
  }

  #newShutdown(recorder: EventRecorder): BoardShutdown {
    return new BoardShutdown({
      classes: this.#options.shutdown ?? [],
      logind: this.#options.logind,
      nodeName: this.#options.nodeName,
      recorder,
      log: this.#log,
      workers: () => this.#workers.all(),
      isTold: (uid) => this.#parts?.statuses.isWritten(uid) ?? true,
      reportNode: () => this.reportNode(),
    });
  }

  #newPlugins(tokens: ServiceAccountTokens, recorder: EventRecorder): BoardPlugins | undefined {
    const { pluginDir } = this.#options;
    if (pluginDir === undefined) return undefined;
    return new BoardPlugins({
      ...pluginOptions(this.#options),
      root: pluginDir,
      checkpoint: this.#checkpoint,
      secret: async (namespace, name) => {
        if (!this.#parts) throw new Error("the kubelet has not been started");
        return this.#parts.objects.secret(namespace, name);
      },
      tokens,
      recorder,
      log: this.#log,
      node: () => this.#registrar?.node,
      onReport: () => this.#registrar?.prompt(),
      onProgress: () => this.#workers.promptAll(),
      pods: () => this.#workers.pods(),
      cpus: () => this.#parts?.cpus,
    });
  }

  #watchApi(): void {
    this.#informers.informer(services);
    const own = this.#informers.informer(nodes, { fieldSelector: `metadata.name=${this.#options.nodeName}` });
    own.addHandler(({ type, object }) => {
      if (type === "delete") this.#registrar?.forget();
      else {
        this.#registrar?.observe(object);
        this.#plugins?.observe(object);
      }
    });
  }

  /** Once it is certain which pods are to run here, what else there is of pods goes. */
  async #settle(sources: PodSources): Promise<void> {
    if (!(await sources.settle(this.#stop.signal))) return;
    this.#registrar?.prompt();
    await this.#resync();
  }

  #services(): readonly Service[] | undefined {
    const informer = this.#informers.informer(services);
    return informer.isUsable ? informer.lister.list() : undefined;
  }

  #watchRuntime(): Promise<void> {
    return followRuntimeEvents({
      runtime: this.runtime,
      log: this.#log,
      signal: this.#stop.signal,
      onEvent: (podUid) => this.#workers.get(podUid)?.prompt(),
      onBegin: () => this.#workers.promptAll(),
      onBreak: () => this.#registrar?.prompt(),
    });
  }

  /** Finds what no event told of: pods that nobody wants, workers whose pod looks different now, garbage. */
  async #resync(): Promise<void> {
    clearTimeout(this.#resyncTimer);
    await this.#checkpoint.retry();
    try {
      await this.#sweep();
      this.#resyncTrouble.end();
    } catch (error) {
      this.#resyncTrouble.tell(error);
    }
    if (!this.#stop.signal.aborted) this.#resyncTimer = setTimeout(() => void this.#resync(), resync_ms);
  }

  async #sweep(): Promise<void> {
    if (!this.#parts || !this.#sources?.isSettled) return;
    await sweep({
      parts: this.#parts,
      workers: this.#workers,
      containerGarbage: this.#containerGarbage,
      imageGarbage: this.#imageGarbage,
      board: this.options.nodeName,
    });
  }
}

/** Waits until one more may be written. */
function paceOf(rate: Rate): () => Promise<void> {
  const bucket = new TokenBucket(rate);
  return async () => {
    const wait_ms = bucket.reserve_ms();
    if (wait_ms > 0) await pause(systemClock, wait_ms);
  };
}
