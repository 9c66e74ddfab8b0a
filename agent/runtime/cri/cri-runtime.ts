import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { orAborted } from "#shared/client/or-aborted.ts";
import { GrpcCode } from "#shared/grpc/grpc-error.ts";
import type { Host } from "../../host/host.ts";
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
import { CriClient, codeOf } from "./client.ts";
import { type CriContainerOptions, CriContainers } from "./containers.ts";
import { type SeenEvent, watchEvents } from "./events.ts";
import { importImages } from "./image-import.ts";
import { CriImages } from "./images.ts";
import * as wire from "./messages.ts";
import { podOf } from "./requests.ts";
import { CriSandboxes, type CriSandboxOptions } from "./sandboxes.ts";
import type { Dial } from "./streaming.ts";
import { CriStreams } from "./streams.ts";
import { parseVerboseStatus, versionOf } from "./verbose.ts";

export interface CriRuntimeOptions extends CriSandboxOptions, CriContainerOptions {
  /** containerd's or CRI-O's socket. */
  readonly socketPath: string;
  readonly host: Host;
  /** How long the runtime has for a request that does not take long by its nature; two minutes when absent. */
  readonly call_ms?: number | undefined;
  /** How the runtime's streaming server is reached, where not by TCP from here. */
  readonly dial?: Dial | undefined;
}

const settlePauses_ms = [0, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000];

/**
 * ContainerRuntime on a runtime that speaks CRI (runtime.v1): containerd 1.6 and later, CRI-O. The runtime itself calls CNI
 * and writes the logs, which are rotated from here.
 */
export class CriRuntime implements ContainerRuntime {
  readonly #options: CriRuntimeOptions;
  readonly #client: CriClient;
  readonly #images: CriImages;
  readonly #containers: CriContainers;
  readonly #sandboxes: CriSandboxes;
  readonly #streams: CriStreams;

  constructor(options: CriRuntimeOptions) {
    this.#options = options;
    this.#client = new CriClient(options.socketPath, options.call_ms);
    this.#images = new CriImages(this.#client, async () => parseVerboseStatus(await this.#status()).pauseImage);
    this.#sandboxes = new CriSandboxes(this.#client, options, () => this.#containers.details.forgetAll());
    this.#containers = new CriContainers(this.#client, options, {
      sandboxes: this.#sandboxes.details,
      imageStatus: (image) => this.#images.status(image),
    });
    this.#streams = new CriStreams(this.#client, this.#containers.details, this.#sandboxes.details, options);
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
    this.#containers.close();
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

  createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    return this.#containers.create(sandboxId, config);
  }

  startContainer(id: string): Promise<void> {
    return this.#containers.start(id);
  }

  stopContainer(id: string, grace_s: number, signal?: string): Promise<void> {
    return this.#containers.stop(id, grace_s, signal);
  }

  removeContainer(id: string): Promise<void> {
    return this.#containers.remove(id);
  }

  listContainers(filter?: { readonly podUid?: string | undefined }): Promise<ContainerStatus[]> {
    return this.#containers.list(filter);
  }

  updateResources(id: string, given: ContainerResources): Promise<void> {
    return this.#containers.updateResources(id, given);
  }

  checkpointContainer(id: string, archive: string, timeout_s: number): Promise<void> {
    return this.#containers.checkpoint(id, archive, timeout_s);
  }

  stats(id: string, options?: StatsOptions): Promise<ContainerStats> {
    return this.#containers.stats(id, options);
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

  async *events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    // What happened while nobody watched was not seen.
    this.#containers.details.forgetAll();
    this.#sandboxes.details.forgetAll();
    try {
      // Who ends does not wait for a runtime that hangs.
      for await (const event of watchEvents(this.#client, signal)) yield await orAborted(signal, this.#told(event));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #told({ kind, containerId, podUid: uid, isEarly }: SeenEvent): Promise<RuntimeEvent> {
    const labels = (this.#containers.details.seen(containerId) ?? this.#sandboxes.details.seen(containerId))?.status
      .labels;
    this.#containers.details.forget(containerId);
    this.#sandboxes.details.forget(containerId);
    const podUid = uid ?? (labels ? podOf(labels).uid : await this.#podUidOf(containerId));
    if (isEarly) await this.#settled(containerId);
    return { kind, containerId, podUid };
  }

  /** Waits until what CRI says of a container or sandbox is what has happened: that it has ended. */
  async #settled(id: string): Promise<void> {
    for (const pause_ms of settlePauses_ms) {
      await delay(pause_ms);
      const container = await this.#containers.details.fresh(id);
      const runs = container
        ? container.status.state === wire.containerState.running
        : (await this.#sandboxes.details.fresh(id))?.status.state === wire.sandboxReady;
      if (!runs) return;
    }
  }

  /** Whose container it is, when it has not been seen before; undefined for one that is gone. */
  async #podUidOf(id: string): Promise<string | undefined> {
    const found = (await this.#containers.details.known(id)) ?? (await this.#sandboxes.details.known(id));
    return found && podOf(found.status.labels).uid;
  }

  async #status(): Promise<wire.StatusResponse> {
    const types = [wire.StatusRequest, wire.StatusResponse] as const;
    return await this.#client.runtime("Status", types, { verbose: true }, { what: "ask the runtime's status" });
  }
}

function ignoreUnimplemented(error: unknown): undefined {
  if (codeOf(error) !== GrpcCode.Unimplemented) throw error;
}
