import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { errnoOf } from "#shared/files/if-present.ts";
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
import { readSeccompProfile } from "../seccomp-profile.ts";
import { CriClient, codeOf, createReplacing, patience_ms } from "./client.ts";
import { type ContainerDetails, containerDetails, type Details, required } from "./details.ts";
import { watchEvents } from "./events.ts";
import { importImages } from "./image-import.ts";
import { CriImages } from "./images.ts";
import { defaultLogMaxFiles, defaultLogMaxSize_bytes, LogKeeper } from "./log-keeper.ts";
import * as wire from "./messages.ts";
import {
  containerRequest,
  containerStatus,
  label,
  logFolder,
  podOf,
  podSelector,
  resources,
  sandboxAgain,
} from "./requests.ts";
import { CriSandboxes, type CriSandboxOptions } from "./sandboxes.ts";
import type { Dial } from "./streaming.ts";
import { CriStreams } from "./streams.ts";
import { parseVerboseStatus, versionOf } from "./verbose.ts";

export interface CriRuntimeOptions extends CriSandboxOptions {
  /** containerd's or CRI-O's socket. */
  readonly socketPath: string;
  readonly host: Host;
  readonly logMaxSize_bytes?: number | undefined;
  readonly logMaxFiles?: number | undefined;
  /** Gets what an operator should read. */
  readonly warn: (message: string) => void;
  /** How the runtime's streaming server is reached, where not by TCP from here. */
  readonly dial?: Dial | undefined;
}

const settlePauses_ms = [0, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000];
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
  readonly #sandboxes: CriSandboxes;
  readonly #streams: CriStreams;
  readonly #logs: LogKeeper;

  constructor(options: CriRuntimeOptions) {
    this.#options = options;
    this.#client = new CriClient(options.socketPath);
    this.#images = new CriImages(this.#client, async () => parseVerboseStatus(await this.#status()).pauseImage);
    this.#containers = containerDetails(this.#client);
    this.#sandboxes = new CriSandboxes(this.#client, options, () => this.#containers.forgetAll());
    this.#streams = new CriStreams(this.#client, this.#containers, this.#sandboxes.details, options);
    const { logMaxSize_bytes = defaultLogMaxSize_bytes, logMaxFiles = defaultLogMaxFiles, warn } = options;
    const reopen = (id: string) =>
      this.#client.runtime(
        "ReopenContainerLog",
        [wire.ContainerId, wire.Empty],
        { id },
        { what: `rotate the log of container ${id}` },
      );
    this.#logs = new LogKeeper(
      { maxSize_bytes: logMaxSize_bytes, maxFiles: logMaxFiles },
      { reopen, warn, look: () => this.listContainers() },
    );
  }

  async version(): Promise<RuntimeVersion> {
    const [version, status, config, folder] = await Promise.all([
      this.#client.runtime("Version", [wire.Empty, wire.VersionResponse], {}, { what: "ask the runtime's version" }),
      this.#status(),
      this.#client
        .runtime("RuntimeConfig", [wire.Empty, wire.RuntimeConfigResponse], {}, { what: "ask the runtime" })
        .catch(ignoreUnimplemented),
      this.#images.folder(),
    ]);
    return versionOf({ version, status, systemdCgroup: config && config.linux?.cgroupDriver === 0, folder });
  }

  close(): void {
    this.#logs.close();
    this.#client.close();
  }

  /** Why pods get no network; undefined when they do. */
  async networkNotReadyReason(): Promise<string | undefined> {
    const conditions = (await this.#status()).status?.conditions ?? [];
    const network = conditions.find(({ type }) => type === "NetworkReady");
    return network && !network.status ? network.message || network.reason : undefined;
  }

  // Sandboxes

  createSandbox(config: SandboxConfig): Promise<string> {
    return this.#sandboxes.create(config);
  }

  stopSandbox(id: string): Promise<void> {
    return this.#sandboxes.stop(id);
  }

  removeSandbox(id: string): Promise<void> {
    return this.#sandboxes.remove(id);
  }

  listSandboxes(filter?: { readonly podUid?: string | undefined }): Promise<SandboxStatus[]> {
    return this.#sandboxes.list(filter);
  }

  // Containers

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    const sandbox = await required(this.#sandboxes.details, "sandbox", sandboxId);
    const { seccomp } = config.security;
    await Promise.all([
      ...config.mounts.map(({ hostPath }) => ensureMountSource(hostPath)),
      mkdir(join(logFolder(this.#options.logRoot, config.pod), config.name), { recursive: true, mode: 0o755 }),
      // Told in the same words whichever runtime it is, and before something is made.
      seccomp?.startsWith("/") && readSeccompProfile(seccomp),
    ]);
    const sandboxConfig = sandboxAgain(sandbox.status, this.#options.logRoot);
    const namespaces = sandboxConfig.linux?.securityContext?.namespaceOptions;
    const request = containerRequest(config, namespaces ?? { network: 0, pid: 1, ipc: 0, targetId: "" });
    const types = [wire.CreateContainerRequest, wire.ContainerId] as const;
    const given = { sandboxId, config: request, sandboxConfig };
    const call = { what: `create container ${config.name}` };
    const create = async () => {
      try {
        return (await this.#client.runtime("CreateContainer", types, given, call)).id;
      } catch (error) {
        if ((await this.imageStatus(config.image)) !== undefined) throw error;
        throw new RuntimeError("image-not-found", (error as Error).message, { cause: error });
      }
    };
    return await createReplacing(create, async () => {
      const all = await this.listContainers({ podUid: config.pod.uid });
      const found = all.find(({ name, attempt }) => name === config.name && attempt === config.attempt);
      return found && { remove: () => this.removeContainer(found.id) };
    });
  }

  async startContainer(id: string): Promise<void> {
    try {
      await this.#client.runtime(
        "StartContainer",
        [wire.ContainerId, wire.Empty],
        { id },
        { what: `start container ${id}` },
      );
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.kind !== "other") throw error;
      throw new RuntimeError("cannot-start", error.message, { cause: error });
    } finally {
      this.#containers.forget(id);
    }
    this.#logs.containerStarted();
  }

  async stopContainer(id: string, grace_s: number, signal?: string): Promise<void> {
    const grace = Math.max(0, Math.ceil(grace_s));
    const isSignalled =
      signal !== undefined &&
      grace > 0 &&
      (await signalAndWait(await this.#containers.fresh(id), signal, grace * 1000));
    try {
      await this.#client.runtimeIfFound(
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
    await this.#client.runtimeIfFound(
      "RemoveContainer",
      [wire.ContainerId, wire.Empty],
      { id },
      { what: `remove container ${id}` },
    );
    this.#containers.forget(id);
  }

  async listContainers(filter?: { readonly podUid?: string | undefined }): Promise<ContainerStatus[]> {
    const { containers } = await this.#client.runtime(
      "ListContainers",
      [wire.ListContainersRequest, wire.ListContainersResponse],
      { filter: { labelSelector: podSelector(filter?.podUid) } },
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
      await this.#logs.rotate(found);
    }
    return found;
  }

  async updateResources(id: string, given: ContainerResources): Promise<void> {
    await this.#client.runtime(
      "UpdateContainerResources",
      [wire.UpdateResourcesRequest, wire.Empty],
      { id, linux: resources(given) },
      { what: `update container ${id}` },
    );
  }

  async checkpointContainer(id: string, archive: string, timeout_s: number): Promise<void> {
    await this.#client.runtime(
      "CheckpointContainer",
      [wire.CheckpointRequest, wire.Empty],
      { id, location: archive, timeout: timeout_s },
      { what: `checkpoint container ${id}` },
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
        await this.#client.runtime(
          "ContainerStats",
          [wire.ContainerId, wire.ContainerStatsResponse],
          { id },
          { what: `stats of container ${id}` },
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
    this.#sandboxes.details.forgetAll();
    for await (const event of watchEvents(this.#client, signal)) {
      const { containerId } = event;
      const labels = (this.#containers.seen(containerId) ?? this.#sandboxes.details.seen(containerId))?.status.labels;
      this.#containers.forget(containerId);
      this.#sandboxes.details.forget(containerId);
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
        : (await this.#sandboxes.details.fresh(id))?.status.state === wire.sandboxReady;
      if (!runs) return;
    }
  }

  /** Whose container it is, when it has not been seen before; undefined for one that is gone. */
  async #podUidOf(id: string): Promise<string | undefined> {
    const found = (await this.#containers.known(id)) ?? (await this.#sandboxes.details.known(id));
    return found && podOf(found.status.labels).uid;
  }

  async #status(): Promise<wire.StatusResponse> {
    const types = [wire.StatusRequest, wire.StatusResponse] as const;
    return await this.#client.runtime("Status", types, { verbose: true }, { what: "ask the runtime's status" });
  }
}

/** CRI knows no other signal than the image's before 1.33. False: the container's process is not to be found from here. */
async function signalAndWait(
  container: ContainerDetails | undefined,
  signal: string,
  grace_ms: number,
): Promise<boolean> {
  if (!container || container.pid === 0) return false;
  const until_ms = performance.now() + grace_ms;
  try {
    process.kill(container.pid, signal as NodeJS.Signals);
    while (performance.now() < until_ms) {
      process.kill(container.pid, 0);
      await delay(lookForEnd_ms);
    }
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw error;
  }
  return true;
}

function ignoreUnimplemented(error: unknown): undefined {
  if (codeOf(error) !== GrpcCode.Unimplemented) throw error;
}

function countedOf(stats: wire.ContainerStats | undefined): Counted {
  return {
    cpuUsage_ns: stats?.cpu?.usage?.value ?? 0,
    memoryUsage_bytes: stats?.memory?.usage?.value ?? 0,
    memoryWorkingSet_bytes: stats?.memory?.workingSet?.value ?? 0,
    memoryRss_bytes: stats?.memory?.rss?.value ?? 0,
  };
}
