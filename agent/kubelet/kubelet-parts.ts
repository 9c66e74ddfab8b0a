import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RuntimeHandler } from "#agent/runtime/runtime.ts";
import type { BoardFacts } from "#agent/telemetry/board.ts";
import { nodes, runtimeClasses } from "#shared/api/resources.ts";
import type { Pod, Service } from "#shared/api/types/core-v1.generated.ts";
import { mainOfEachFamily } from "#shared/board/addresses.ts";
import type { Client } from "#shared/client/client.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { Log } from "#shared/client/log.ts";
import { BackOff } from "./back-off.ts";
import { type PodCgroupSettings, PodCgroups } from "./cgroups/pod-cgroups.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { readHostDns } from "./container/host-dns.ts";
import type { CpuManager } from "./cpus/cpu-manager.ts";
import type { ImageFolder } from "./images/image-folder.ts";
import { ImagePuller } from "./images/image-puller.ts";
import type { PullRecords } from "./images/pull-records.ts";
import type { KubeletOptions } from "./kubelet-options.ts";
import { defaultTuning, type KubeletTuning } from "./kubelet-tuning.ts";
import { Limiter } from "./limiter.ts";
import { hasAppArmor } from "./node/app-armor.ts";
import { defaultEvictionRules } from "./node/eviction-rules.ts";
import type { NodeRegistrar, NodeRegistrarOptions } from "./node/node-registrar.ts";
import { nothingReserved } from "./node/node-status.ts";
import { ObjectCache } from "./object-cache.ts";
import type { BoardPlugins } from "./plugins/board-plugins.ts";
import { PodAdmitter } from "./pod-admitter.ts";
import type { KubeletParts } from "./pod-context.ts";
import type { PodCounts } from "./pod-counts.ts";
import { PodLogs } from "./pod-logs.ts";
import { PodWorkTimes } from "./pod-work-times.ts";
import type { PodWorkers } from "./pod-workers.ts";
import { ProbeManager } from "./probes/probe-manager.ts";
import type { NodeShutdown } from "./shutdown/node-shutdown.ts";
import { StatusWriter } from "./status/status-writer.ts";
import { BoundVolumes } from "./volumes/bound-volumes.ts";
import type { ServiceAccountTokens } from "./volumes/service-account-token.ts";
import { VolumeManager } from "./volumes/volume-manager.ts";
import { VolumeStatsReader } from "./volumes/volume-stats.ts";

/** What is created at once on one board. */
const parallelCreations = 4;

export interface PartsInput {
  readonly options: KubeletOptions;
  readonly board: BoardFacts;
  readonly volatileFolder: string;
  readonly pullRecords: PullRecords;
  readonly cpus: CpuManager | undefined;
  readonly recorder: EventRecorder;
  readonly log: Log;
  readonly checkpoint: Checkpoint;
  readonly workers: PodWorkers;
  readonly counts: PodCounts;
  readonly registrar: NodeRegistrar;
  readonly tokens: ServiceAccountTokens;
  readonly plugins: BoardPlugins | undefined;
  readonly shutdown: Pick<NodeShutdown, "refuse">;
  services(): readonly Service[] | undefined;
}

/** Puts together what the pod workers of a board share. */
export function kubeletParts(input: PartsInput): KubeletParts {
  const { options, board, recorder, log, workers, registrar } = input;
  const { client, runtime, host, tuning = defaultTuning } = options;
  const startedAt_ms = Date.now();
  const objects = new ObjectCache(client, input.checkpoint, (uids) => {
    for (const uid of uids) workers.get(uid)?.refreshVolumes();
  });
  const volumes = volumeManager(input, objects);
  return {
    runtime,
    get runtimeName() {
      return registrar.runtimeName;
    },
    host,
    objects,
    volumes,
    volumeStats: volumeStats(volumes, input, tuning),
    cgroups: options.cgroups && podCgroups(options.cgroups, input),
    devices: input.plugins?.devices,
    cpus: input.cpus,
    claims: input.plugins,
    logs: new PodLogs(options.logFolder, log),
    images: new ImagePuller(runtime, options.credentialProviders, input.pullRecords, { pulls: tuning.pulls }),
    workTimes: new PodWorkTimes(),
    counts: input.counts,
    probes: new ProbeManager(runtime, recorder, (uid) => workers.get(uid)?.probed(), startedAt_ms),
    statuses: new StatusWriter(client, log, options.onPodStatus),
    recorder,
    backOff: BackOff.upTo(tuning.longestCrashBackOff_ms),
    creations: new Limiter(parallelCreations),
    log,
    clusterDns: { servers: options.clusterDns, domain: options.clusterDomain },
    seccompRoot: join(options.dataDir, "seccomp"),
    seccompDefault: tuning.seccompDefault,
    startedAt_ms,
    hostIPs: () => mainOfEachFamily(options.nodeIPs()),
    allocatable: () => registrar.status?.allocatable ?? {},
    resourceRules: {
      memoryCapacity_bytes: board.memory_bytes,
      swapCapacity_bytes: board.swap_bytes,
      cpuQuota: tuning.cpuQuota,
      memoryEnd: tuning.memoryEnd,
    },
    services: () => input.services(),
    hostDns: () => readHostDns(options.resolvConf),
    networkTrouble: () => options.troubles?.()[0],
    now_ms: () => Date.now(),
    runtimeHandler: (pod) => runtimeHandler(pod, client, registrar),
    recursiveReadOnly: () => registrar.handlers.find(({ name }) => name === "")?.recursiveReadOnlyMounts ?? false,
    admitter: podAdmitter(input),
    onFreed: (uid) => workers.reconsiderResizes(uid),
    onGone: (uid) => workers.drop(uid),
  };
}

function volumeStats(
  volumes: VolumeManager,
  { options: { host }, recorder: events, log }: PartsInput,
  { volumeStatsAge_ms: age_ms }: KubeletTuning,
): VolumeStatsReader {
  return new VolumeStatsReader({ host, volumes, events, log, age_ms, now_ms: () => performance.now() });
}

function volumeManager({ options, checkpoint, ...input }: PartsInput, objects: ObjectCache): VolumeManager {
  const { client, host, runtime, dataDir, nodeName } = options;
  return new VolumeManager({
    host,
    client,
    nodeName,
    events: input.recorder,
    root: options.pluginDir ?? dataDir,
    node: () => input.registrar.reported,
    bound: new BoundVolumes(client, checkpoint),
    objects,
    tokens: input.tokens,
    podsFolder: join(dataDir, "pods"),
    volatileFolder: input.volatileFolder,
    csi: input.plugins,
    log: input.log,
    releaseImages: (uid) => runtime.releaseImages(uid),
  });
}

function podAdmitter({ options, workers, registrar, ...input }: PartsInput): PodAdmitter {
  return new PodAdmitter({
    holders: (pod) => workers.holders(pod),
    node: () => registrar.reported,
    readNode: () => options.client.get(nodes, { name: options.nodeName }),
    refuseAll: () => input.shutdown.refuse(),
    devices: input.plugins?.devices,
    cpus: input.cpus,
    fixed: options.placement?.fixed ?? { cpu: false, memory: false },
    memoryEnd: (options.tuning ?? defaultTuning).memoryEnd,
    hasAppArmor: hasAppArmor(options.hardwareRoot),
    allowedSysctls: (options.tuning ?? defaultTuning).allowedSysctls,
    counts: input.counts,
    log: input.log,
  });
}

/** The handler that the pod's RuntimeClass names, with what it can do. Rejects when it cannot do what the pod asks for. */
async function runtimeHandler(
  { spec: { runtimeClassName, hostUsers } }: Pod,
  client: Client,
  registrar: NodeRegistrar,
): Promise<RuntimeHandler> {
  const name = runtimeClassName ? (await client.get(runtimeClasses, { name: runtimeClassName })).handler : "";
  const handler = registrar.handlers.find((each) => each.name === name);
  if (hostUsers === false && handler?.userNamespaces !== true) {
    const who = name ? `RuntimeClass handler ${JSON.stringify(name)}` : "runtime";
    throw new Error(`can't set \`spec.hostUsers: false\`, ${who} does not support user namespaces`);
  }
  return handler ?? { name, recursiveReadOnlyMounts: false, userNamespaces: false };
}

function podCgroups(
  settings: PodCgroupSettings,
  { options, board, log, recorder, workers, cpus }: PartsInput,
): PodCgroups {
  return new PodCgroups({
    ...settings,
    runtime: options.runtime,
    nodeName: options.nodeName,
    recorder,
    board,
    reserved: options.reserved ?? nothingReserved,
    hasOwnCpus: (uid) => cpus?.hasOwn(uid) ?? false,
    cpuQuota: (options.tuning ?? defaultTuning).cpuQuota,
    log: log.named("cgroups"),
    pods: () =>
      workers
        .all()
        .filter(({ active }) => active)
        .map(({ granted }) => granted),
  });
}

/** Begins to read the archives of images; pods that need nothing of them do not wait. Gives undefined where there is no such folder. */
export async function readImageFolder(
  { imagesFolder: folder, dataDir }: KubeletOptions,
  { runtime, images }: Pick<KubeletParts, "runtime" | "images">,
  log: Log,
  signal: AbortSignal,
): Promise<ImageFolder | undefined> {
  if (folder === undefined || !existsSync(folder)) return undefined;
  const { ImageFolder } = await import("./images/image-folder.ts");
  const noteFile = join(dataDir, "loaded-images.json");
  const imageFolder = new ImageFolder({ folder, noteFile, runtime, log, signal });
  images.reading = imageFolder.load().then(() => {
    images.reading = undefined;
  });
  return imageFolder;
}

/** What plug-ins take straight from the options. */
export function pluginOptions({ hardwareRoot, nodeName, sliceGrace_ms, host, client }: KubeletOptions) {
  return { hardwareRoot, nodeName, sliceGrace_ms, host, client };
}

/** What the registrar takes straight from the options. */
export function registrarOptions(
  options: KubeletOptions,
  board: BoardFacts,
  shutdown: Pick<NodeShutdown, "trouble">,
): Omit<NodeRegistrarOptions, "recorder" | "log" | "history" | "onLook" | "onRuntimeRecovered" | "plugins"> {
  const { tuning = defaultTuning, maxPods = 110 } = options;
  const { podsPerCore, look_ms, report_ms, mostImages, providerId, countsLocalStorage } = tuning;
  return {
    maxPods: podsPerCore > 0 ? Math.min(maxPods, podsPerCore * board.cpus) : maxPods,
    look_ms,
    report_ms,
    mostImages,
    providerId,
    countsLocalStorage,
    client: options.client,
    runtime: options.runtime,
    host: options.host,
    board,
    name: options.nodeName,
    labels: options.nodeLabels ?? {},
    taints: options.nodeTaints ?? [],
    kubeletPort: options.kubeletPort ?? 10_250,
    reserved: options.reserved ?? nothingReserved,
    eviction: options.eviction ?? defaultEvictionRules,
    dataFolder: options.dataDir,
    hardwareRoot: options.hardwareRoot,
    runtimePatience_ms: options.runtimePatience_ms,
    addresses: () => options.nodeIPs(),
    troubles: () => [...(options.troubles?.() ?? []), ...(shutdown.trouble === undefined ? [] : [shutdown.trouble])],
  };
}
