import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { Isolation } from "#agent/network-policy/policed-network.ts";
import { GrpcCode } from "#shared/grpc/grpc-error.ts";
import type { Host } from "../../host/host.ts";
import { ensureMountSource } from "../mount-source.ts";
import { type Counted, placeOf, usageAt } from "../process-usage.ts";
import {
  type AttachOptions,
  type ContainerConfig,
  type ContainerResources,
  type ContainerRuntime,
  type ContainerStats,
  type ContainerStatus,
  type ExecOptions,
  type ExecResult,
  type ExecSession,
  type ImageAuth,
  type ImageStatus,
  type LogOptions,
  RuntimeError,
  type RuntimeEvent,
  type RuntimeVersion,
  type SandboxConfig,
  type SandboxStatus,
  type StatsOptions,
} from "../runtime.ts";
import { type CallTypes, type CriCall, CriClient, codeOf, ifFound, longCall_ms, patience_ms } from "./client.ts";
import {
  type ContainerDetails,
  containerDetails,
  type Details,
  required,
  type SandboxDetails,
  sandboxDetails,
} from "./details.ts";
import { watchEvents } from "./events.ts";
import { importImages } from "./image-import.ts";
import { CriImages } from "./images.ts";
import { rotateLogs } from "./log-rotation.ts";
import * as wire from "./messages.ts";
import {
  containerRequest,
  containerStatus,
  label,
  logFolder,
  podOf,
  resources,
  sandboxAgain,
  sandboxRequest,
  sandboxStatus,
} from "./requests.ts";
import type { Dial } from "./streaming.ts";
import { CriStreams } from "./streams.ts";
import { parseVerboseStatus, versionOf } from "./verbose.ts";

export interface CriRuntimeOptions {
  /** containerd's or CRI-O's socket. */
  readonly socketPath: string;
  readonly host: Host;
  /** Puts a pod's network policies in force before its first container starts. */
  readonly isolation?: Isolation | undefined;
  /** Where logs go: /var/log/pods. */
  readonly logRoot: string;
  readonly logMaxSize_bytes?: number | undefined;
  readonly logMaxFiles?: number | undefined;
  /** Gets what an operator should read. */
  readonly warn: (message: string) => void;
  /** How the runtime's streaming server is reached, where not by TCP from here. */
  readonly dial?: Dial | undefined;
}

const defaultLogMaxSize_bytes = 10 * 1024 * 1024;
const defaultLogMaxFiles = 5;
const settlePauses_ms = [0, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000];
/** How soon logs are looked at again, after one had grown too long and else. */
const busyLogs_ms = 10_000;
const quietLogs_ms = 60_000;
const lookForEnd_ms = 100;

/**
 * ContainerRuntime on a runtime that speaks CRI (runtime.v1): containerd 1.6 and later, CRI-O. The runtime itself calls CNI
 * and writes the logs, which are rotated from here.
 */
export class CriRuntime implements ContainerRuntime {
  readonly #options: CriRuntimeOptions;
  readonly #client: CriClient;
  readonly #images: CriImages;
  readonly #containers: Details<ContainerDetails>;
  readonly #sandboxes: Details<SandboxDetails>;
  readonly #streams: CriStreams;
  #logTimer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: CriRuntimeOptions) {
    this.#options = options;
    this.#client = new CriClient(options.socketPath);
    this.#images = new CriImages(this.#client, async () => parseVerboseStatus(await this.#status()).pauseImage);
    this.#containers = containerDetails(this.#client);
    this.#sandboxes = sandboxDetails(this.#client);
    this.#streams = new CriStreams(this.#client, this.#containers, this.#sandboxes, options);
  }

  async version(): Promise<RuntimeVersion> {
    const [version, status, config, folder] = await Promise.all([
      this.#runtime("Version", [wire.Empty, wire.VersionResponse], {}, { what: "ask the runtime's version" }),
      this.#status(),
      this.#runtime("RuntimeConfig", [wire.Empty, wire.RuntimeConfigResponse], {}, { what: "ask the runtime" }).catch(
        ignoreUnimplemented,
      ),
      this.#images.folder(),
    ]);
    return versionOf({ version, status, systemdCgroup: config && config.linux?.cgroupDriver === 0, folder });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#logTimer);
    this.#client.close();
  }

  /** Why pods get no network; undefined when they do. */
  async networkNotReadyReason(): Promise<string | undefined> {
    const conditions = (await this.#status()).status?.conditions ?? [];
    const network = conditions.find(({ type }) => type === "NetworkReady");
    return network && !network.status ? network.message || network.reason : undefined;
  }

  // Sandboxes

  async createSandbox(config: SandboxConfig): Promise<string> {
    const request = sandboxRequest(config, this.#options.logRoot);
    await mkdir(request.logDirectory, { recursive: true, mode: 0o755 });
    const id = await this.#replacing(
      () => this.listSandboxes({ podUid: config.pod.uid }),
      (found) => found.attempt === config.attempt,
      (found) => this.removeSandbox(found.id),
      async () => {
        const types = [wire.RunSandboxRequest, wire.SandboxId] as const;
        const given = { config: request, runtimeHandler: config.runtimeHandler ?? "" };
        const what = `create sandbox of pod ${config.pod.namespace}/${config.pod.name}`;
        return (await this.#runtime("RunPodSandbox", types, given, { what })).id;
      },
    );
    if (config.network === "pod") await this.#isolate(id, config);
    return id;
  }

  async stopSandbox(id: string): Promise<void> {
    await this.#forgiving(
      "StopPodSandbox",
      [wire.SandboxId, wire.Empty],
      { id },
      {
        what: `stop sandbox ${id}`,
        timeout_ms: longCall_ms,
      },
    );
    this.#options.isolation?.release(id);
    this.#sandboxes.forget(id);
    this.#containers.forgetAll();
  }

  async removeSandbox(id: string): Promise<void> {
    await this.stopSandbox(id);
    await this.#forgiving("RemovePodSandbox", [wire.SandboxId, wire.Empty], { id }, { what: `remove sandbox ${id}` });
    this.#sandboxes.forget(id);
  }

  async listSandboxes(filter?: { readonly podUid?: string | undefined }): Promise<SandboxStatus[]> {
    const { items } = await this.#runtime(
      "ListPodSandbox",
      [wire.ListSandboxesRequest, wire.ListSandboxesResponse],
      { filter: { id: "", labelSelector: selector(filter?.podUid) } },
      { what: "list sandboxes" },
    );
    if (filter?.podUid === undefined) this.#sandboxes.retain(new Set(items.map(({ id }) => id)));
    const known = items.filter(({ labels }) => label.podUid in labels);
    const details = await Promise.all(known.map(({ id, state }) => this.#sandboxes.of(id, state)));
    return details.flatMap((each) => (each ? [sandboxStatus(each.status, each.pid)] : []));
  }

  // Containers

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    const sandbox = await required(this.#sandboxes, "sandbox", sandboxId);
    await Promise.all([
      ...config.mounts.map(({ hostPath }) => ensureMountSource(hostPath)),
      mkdir(join(logFolder(this.#options.logRoot, config.pod), config.name), { recursive: true, mode: 0o755 }),
      checkSeccompProfile(config.security.seccomp),
    ]);
    const sandboxConfig = sandboxAgain(sandbox.status, this.#options.logRoot);
    const namespaces = sandboxConfig.linux?.securityContext?.namespaceOptions;
    const request = containerRequest(config, namespaces ?? { network: 0, pid: 1, ipc: 0, targetId: "" });
    return await this.#replacing(
      () => this.listContainers({ podUid: config.pod.uid }),
      (found) => found.name === config.name && found.attempt === config.attempt,
      (found) => this.removeContainer(found.id),
      async () => {
        const types = [wire.CreateContainerRequest, wire.ContainerId] as const;
        const given = { sandboxId, config: request, sandboxConfig };
        try {
          return (await this.#runtime("CreateContainer", types, given, { what: `create container ${config.name}` })).id;
        } catch (error) {
          if ((await this.imageStatus(config.image)) !== undefined) throw error;
          throw new RuntimeError("image-not-found", (error as Error).message, { cause: error });
        }
      },
    );
  }

  async startContainer(id: string): Promise<void> {
    try {
      await this.#runtime("StartContainer", [wire.ContainerId, wire.Empty], { id }, { what: `start container ${id}` });
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.kind !== "other") throw error;
      throw new RuntimeError("cannot-start", error.message, { cause: error });
    } finally {
      this.#containers.forget(id);
    }
    if (!this.#logTimer) this.#lookAtLogsIn(quietLogs_ms);
  }

  async stopContainer(id: string, grace_s: number, signal?: string): Promise<void> {
    const grace = Math.max(0, Math.ceil(grace_s));
    const isSignalled = signal !== undefined && grace > 0 && (await this.#signalAndWait(id, signal, grace * 1000));
    try {
      await this.#forgiving(
        "StopContainer",
        [wire.StopContainerRequest, wire.Empty],
        { id, timeout: isSignalled ? 0 : grace },
        {
          what: `stop container ${id}`,
          timeout_ms: grace * 1000 + patience_ms,
        },
      );
    } finally {
      this.#containers.forget(id);
    }
  }

  async removeContainer(id: string): Promise<void> {
    await this.#forgiving(
      "RemoveContainer",
      [wire.ContainerId, wire.Empty],
      { id },
      { what: `remove container ${id}` },
    );
    this.#containers.forget(id);
  }

  async listContainers(filter?: { readonly podUid?: string | undefined }): Promise<ContainerStatus[]> {
    const { containers } = await this.#runtime(
      "ListContainers",
      [wire.ListContainersRequest, wire.ListContainersResponse],
      { filter: { labelSelector: selector(filter?.podUid) } },
      { what: "list containers" },
    );
    const known = containers.filter(({ labels }) => label.podUid in labels);
    const found = await Promise.all(
      known.map(async (listed) => {
        const details = await this.#containers.of(listed.id, listed.state);
        return containerStatus(listed, details?.status, details?.pid ?? 0);
      }),
    );
    if (filter?.podUid === undefined) {
      this.#containers.retain(new Set(containers.map(({ id }) => id)));
      await this.#rotate(found);
    }
    return found;
  }

  async updateResources(id: string, given: ContainerResources): Promise<void> {
    await this.#runtime(
      "UpdateContainerResources",
      [wire.UpdateResourcesRequest, wire.Empty],
      { id, linux: resources(given) },
      {
        what: `update container ${id}`,
      },
    );
  }

  // Streams

  execSync(id: string, command: readonly string[], timeout_ms: number, maxOutput_bytes?: number): Promise<ExecResult> {
    return this.#streams.execSync(id, command, timeout_ms, maxOutput_bytes);
  }

  exec(id: string, options: ExecOptions): Promise<ExecSession> {
    return this.#streams.exec(id, options);
  }

  attach(id: string, options: AttachOptions): Promise<ExecSession> {
    return this.#streams.attach(id, options);
  }

  logs(id: string, options: LogOptions): Promise<Readable> {
    return this.#streams.logs(id, options);
  }

  portForward(sandboxId: string, port: number): Promise<Duplex> {
    return this.#streams.portForward(sandboxId, port);
  }

  // Images

  imageStatus(image: string): Promise<ImageStatus | undefined> {
    return this.#images.status(image);
  }

  pullImage(image: string, auth: ImageAuth | undefined): Promise<string> {
    return this.#images.pull(image, auth);
  }

  listImages(): Promise<ImageStatus[]> {
    return this.#images.list();
  }

  removeImage(id: string): Promise<void> {
    return this.#images.remove(id);
  }

  /** CRI has no such call: containerd's own tool does it. */
  loadImage(archive: Readable): Promise<string[]> {
    return importImages(this.#options.socketPath, archive);
  }

  /** CRI can since 1.33, by the container's mounts, and only newer runtimes know it. */
  mountImage(): Promise<void> {
    return Promise.reject(new RuntimeError("other", "image volumes are not supported with this container runtime"));
  }

  releaseImages(): Promise<void> {
    return Promise.resolve();
  }

  // Watching

  async stats(id: string, { layerSize = "measured" }: StatsOptions = {}): Promise<ContainerStats> {
    const timestamp_ms = Date.now();
    const details = await this.#containers.known(id);
    const ask = async () =>
      (
        await this.#runtime(
          "ContainerStats",
          [wire.ContainerId, wire.ContainerStatsResponse],
          { id },
          {
            what: `stats of container ${id}`,
          },
        )
      ).stats;
    const asked = layerSize === "measured" ? await ask() : undefined;
    const place = await placeOf(details?.pid ?? 0);
    const usage = await usageAt(place, async () => countedOf(asked ?? (await ask())));
    // A container that was started again has another process.
    if (!usage.isComplete) this.#containers.forget(id);
    const fsUsed_bytes = asked?.writableLayer?.usedBytes?.value;
    return { timestamp_ms, ...usage.counted, ...usage.network, fsUsed_bytes };
  }

  async *events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    // What happened while nobody watched was not seen.
    this.#containers.forgetAll();
    this.#sandboxes.forgetAll();
    for await (const event of watchEvents(this.#client, signal)) {
      const { containerId } = event;
      const labels = (this.#containers.seen(containerId) ?? this.#sandboxes.seen(containerId))?.status.labels;
      this.#containers.forget(containerId);
      this.#sandboxes.forget(containerId);
      const podUid = event.podUid ?? (labels ? podOf(labels).uid : await this.#podUidOf(containerId));
      if (event.isEarly) await this.#settled(containerId);
      yield { kind: event.kind, containerId, podUid };
    }
  }

  /** Waits until what CRI says of a container or sandbox is what has happened: that it has ended. */
  async #settled(id: string): Promise<void> {
    for (const pause_ms of settlePauses_ms) {
      await delay(pause_ms);
      const container = await this.#containers.fresh(id);
      const runs = container
        ? container.status.state === wire.containerState.running
        : (await this.#sandboxes.fresh(id))?.status.state === wire.sandboxReady;
      if (!runs) return;
    }
  }

  /** Whose container it is, when it has not been seen before; undefined for one that is gone. */
  async #podUidOf(id: string): Promise<string | undefined> {
    const found = (await this.#containers.known(id)) ?? (await this.#sandboxes.known(id));
    return found && podOf(found.status.labels).uid;
  }

  /** A pod that cannot be kept apart as its policies say does not run. */
  async #isolate(id: string, { pod, labels }: SandboxConfig): Promise<void> {
    const { isolation } = this.#options;
    if (!isolation) return;
    try {
      const { status, pid } = await required(this.#sandboxes, "sandbox", id);
      const { ips } = sandboxStatus(status, pid);
      await isolation.isolate({ sandboxId: id, labels, ips, ...pod });
    } catch (error) {
      await this.removeSandbox(id);
      throw new RuntimeError("network", `network policies: ${(error as Error).message}`, { cause: error });
    }
  }

  /** A name that is still taken belongs to a try that was cut short: it is removed, once. */
  async #replacing<T>(
    list: () => Promise<readonly T[]>,
    isSame: (found: T) => boolean,
    remove: (found: T) => Promise<void>,
    create: () => Promise<string>,
  ): Promise<string> {
    try {
      return await create();
    } catch (error) {
      if (!(error instanceof RuntimeError) || !/is reserved/.test(error.message)) throw error;
      const found = (await list()).find(isSame);
      if (found === undefined) throw error;
      await remove(found);
      return await create();
    }
  }

  /** CRI knows no other signal than the image's before 1.33. False: its process is not to be found from here. */
  async #signalAndWait(id: string, signal: string, grace_ms: number): Promise<boolean> {
    const details = await this.#containers.fresh(id);
    if (!details || details.pid === 0) return false;
    const until_ms = performance.now() + grace_ms;
    try {
      process.kill(details.pid, signal as NodeJS.Signals);
      while (performance.now() < until_ms) {
        process.kill(details.pid, 0);
        await delay(lookForEnd_ms);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    return true;
  }

  async #rotate(containers: readonly ContainerStatus[]): Promise<void> {
    const { logMaxSize_bytes = defaultLogMaxSize_bytes, logMaxFiles = defaultLogMaxFiles, warn } = this.#options;
    const types = [wire.ContainerId, wire.Empty] as const;
    const reopen = (id: string) =>
      this.#runtime("ReopenContainerLog", types, { id }, { what: `rotate the log of container ${id}` });
    const limits = { maxSize_bytes: logMaxSize_bytes, maxFiles: logMaxFiles };
    const rotated = await rotateLogs(containers, limits, { reopen, warn });
    if (!containers.some(({ state }) => state === "running")) return;
    this.#lookAtLogsIn(rotated > 0 ? busyLogs_ms : quietLogs_ms);
  }

  /** A board on which nothing runs has no such timer. */
  #lookAtLogsIn(delay_ms: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#logTimer);
    this.#logTimer = setTimeout(() => {
      this.#logTimer = undefined;
      // Lists and rotates; while the runtime is away there is nobody to rotate for.
      this.listContainers().catch(() => this.#lookAtLogsIn(quietLogs_ms));
    }, delay_ms);
    this.#logTimer.unref();
  }

  async #status(): Promise<wire.StatusResponse> {
    const types = [wire.StatusRequest, wire.StatusResponse] as const;
    return await this.#runtime("Status", types, { verbose: true }, { what: "ask the runtime's status" });
  }

  #runtime<Q, A>(method: string, types: CallTypes<Q, A>, value: Partial<Q>, call: CriCall): Promise<A> {
    return this.#client.call(wire.runtimeService + method, types, value, call);
  }

  /** What is gone already is as wanted. */
  async #forgiving<Q, A>(method: string, types: CallTypes<Q, A>, value: Partial<Q>, call: CriCall): Promise<void> {
    await ifFound(this.#runtime(method, types, value, call));
  }
}

function selector(podUid: string | undefined): Record<string, string> {
  return podUid === undefined ? {} : { [label.podUid]: podUid };
}

function ignoreUnimplemented(error: unknown): undefined {
  if (codeOf(error) !== GrpcCode.Unimplemented) throw error;
}

async function checkSeccompProfile(profile: string | undefined): Promise<void> {
  if (!profile?.startsWith("/")) return;
  try {
    await access(profile);
  } catch (error) {
    throw new RuntimeError("cannot-start", `seccomp profile ${profile}: ${(error as Error).message}`, { cause: error });
  }
}

function countedOf(stats: wire.ContainerStats | undefined): Counted {
  return {
    cpuUsage_ns: stats?.cpu?.usage?.value ?? 0,
    memoryUsage_bytes: stats?.memory?.usage?.value ?? 0,
    memoryWorkingSet_bytes: stats?.memory?.workingSet?.value ?? 0,
    memoryRss_bytes: stats?.memory?.rss?.value ?? 0,
  };
}
