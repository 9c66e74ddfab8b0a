import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errnoOf } from "#shared/files/if-present.ts";
import type { KeptDetails } from "../kept-details.ts";
import { ensureMountSource } from "../mount-source.ts";
import { type Counted, placeOf, usageAt } from "../process-usage.ts";
import {
  type ContainerConfig,
  type ContainerResources,
  type ContainerStats,
  type ContainerStatus,
  defaultLogBounds,
  type ImageStatus,
  type LogBounds,
  RuntimeError,
  type StatsOptions,
} from "../runtime.ts";
import { readSeccompProfile } from "../seccomp-profile.ts";
import { type CriClient, createReplacing, patience_ms } from "./client.ts";
import { type ContainerDetails, containerDetails, required, type SandboxDetails } from "./details.ts";
import { LogKeeper } from "./log-keeper.ts";
import * as wire from "./messages.ts";
import {
  containerRequest,
  containerStatus,
  label,
  logFolder,
  podSelector,
  resources,
  sandboxAgain,
} from "./requests.ts";

export interface CriContainerOptions {
  /** Where logs go: /var/log/pods. */
  readonly logRoot: string;
  /** Kubernetes' own defaults when absent. */
  readonly logBounds?: LogBounds | undefined;
  /** How often logs are looked at; every ten seconds when absent. */
  readonly logLook_ms?: number | undefined;
  /** Gets what an operator should read. */
  readonly warn: (message: string) => void;
}

/** What containers are made of. */
export interface ContainerMaterials {
  readonly sandboxes: KeptDetails<SandboxDetails>;
  imageStatus(image: string): Promise<ImageStatus | undefined>;
}

const lookForEnd_ms = 100;

/** Containers by CRI's RuntimeService, as ContainerRuntime has them, and their logs kept small. All methods reject with
 *  RuntimeError. */
export class CriContainers {
  readonly details: KeptDetails<ContainerDetails>;
  readonly #client: CriClient;
  readonly #sandboxes: KeptDetails<SandboxDetails>;
  readonly #imageStatus: ContainerMaterials["imageStatus"];
  readonly #logRoot: string;
  readonly #logs: LogKeeper;

  constructor(client: CriClient, options: CriContainerOptions, { sandboxes, imageStatus }: ContainerMaterials) {
    this.details = containerDetails(client);
    this.#client = client;
    this.#sandboxes = sandboxes;
    this.#imageStatus = imageStatus;
    this.#logRoot = options.logRoot;
    const { logBounds = defaultLogBounds, logLook_ms: look_ms, warn } = options;
    const reopen = (id: string) =>
      client.runtime(
        "ReopenContainerLog",
        [wire.ContainerId, wire.Empty],
        { id },
        { what: `rotate the log of container ${id}` },
      );
    this.#logs = new LogKeeper(logBounds, { reopen, warn, look_ms, look: () => this.list() });
  }

  close(): void {
    this.#logs.close();
  }

  async create(sandboxId: string, config: ContainerConfig): Promise<string> {
    const sandbox = await required(this.#sandboxes, "sandbox", sandboxId);
    const { seccomp } = config.security;
    await Promise.all([
      ...config.mounts.map(({ hostPath }) => ensureMountSource(hostPath)),
      mkdir(join(logFolder(this.#logRoot, config.pod), config.name), { recursive: true, mode: 0o755 }),
      // Told in the same words whichever runtime it is, and before something is made.
      seccomp?.startsWith("/") && readSeccompProfile(seccomp),
    ]);
    const sandboxConfig = sandboxAgain(sandbox.status, this.#logRoot);
    const namespaces = sandboxConfig.linux?.securityContext?.namespaceOptions;
    const request = containerRequest(config, namespaces ?? { network: 0, pid: 1, ipc: 0, targetId: "" });
    const types = [wire.CreateContainerRequest, wire.ContainerId] as const;
    const given = { sandboxId, config: request, sandboxConfig };
    const call = { what: `create container ${config.name}` };
    const create = async () => {
      try {
        return (await this.#client.runtime("CreateContainer", types, given, call)).id;
      } catch (error) {
        if ((await this.#imageStatus(config.image)) !== undefined) throw error;
        throw new RuntimeError("image-not-found", (error as Error).message, { cause: error });
      }
    };
    return await createReplacing(create, async () => {
      const all = await this.list({ podUid: config.pod.uid });
      const found = all.find(({ name, attempt }) => name === config.name && attempt === config.attempt);
      return found && { remove: () => this.remove(found.id) };
    });
  }

  async start(id: string): Promise<void> {
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
      this.details.forget(id);
    }
    this.#logs.containerStarted();
  }

  async stop(id: string, grace_s: number, signal?: string): Promise<void> {
    const until_ms = performance.now() + Math.max(0, grace_s) * 1000;
    const isSignalled =
      signal !== undefined &&
      grace_s > 0 &&
      (await signalAndWait(await this.details.fresh(id), signal, grace_s * 1000));
    const ask = async (): Promise<void> => {
      const timeout = isSignalled ? 0 : Math.max(0, Math.ceil((until_ms - performance.now()) / 1000));
      await this.#client.runtimeIfFound(
        "StopContainer",
        [wire.StopContainerRequest, wire.Empty],
        { id, timeout },
        { what: `stop container ${id}`, timeout_ms: timeout * 1000 + patience_ms },
      );
    };
    try {
      await ask();
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.kind !== "other") throw error;
      // containerd's shim ends with its container, also while it is still being asked to end that: there is nothing left to stop.
      await ask();
    } finally {
      this.details.forget(id);
    }
  }

  async remove(id: string): Promise<void> {
    await this.#client.runtimeIfFound(
      "RemoveContainer",
      [wire.ContainerId, wire.Empty],
      { id },
      { what: `remove container ${id}` },
    );
    this.details.forget(id);
  }

  async list(filter?: { readonly podUid?: string | undefined }): Promise<ContainerStatus[]> {
    const { containers } = await this.#client.runtime(
      "ListContainers",
      [wire.ListContainersRequest, wire.ListContainersResponse],
      { filter: { labelSelector: podSelector(filter?.podUid) } },
      { what: "list containers" },
    );
    const known = containers.filter(({ labels }) => label.podUid in labels);
    const found = await Promise.all(
      known.map(async (listed) => {
        const details = await this.details.of(listed.id, listed.state);
        return containerStatus(listed, details?.status, details?.pid ?? 0);
      }),
    );
    if (filter?.podUid === undefined) {
      this.details.retain(new Set(containers.map(({ id }) => id)));
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

  async checkpoint(id: string, archive: string, timeout_s: number): Promise<void> {
    await this.#client.runtime(
      "CheckpointContainer",
      [wire.CheckpointRequest, wire.Empty],
      { id, location: archive, timeout: timeout_s },
      { what: `checkpoint container ${id}` },
    );
  }

  async stats(id: string, { layerSize = "measured" }: StatsOptions = {}): Promise<ContainerStats> {
    const timestamp_ms = Date.now();
    const details = await this.details.known(id);
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
    if (!usage.isComplete) this.details.forget(id);
    const fsUsed_bytes = asked?.writableLayer?.usedBytes?.value;
    return { timestamp_ms, ...usage.counted, ...usage.network, fsUsed_bytes };
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

function countedOf(stats: wire.ContainerStats | undefined): Counted {
  return {
    cpuUsage_ns: stats?.cpu?.usage?.value ?? 0,
    memoryUsage_bytes: stats?.memory?.usage?.value ?? 0,
    memoryWorkingSet_bytes: stats?.memory?.workingSet?.value ?? 0,
    memoryRss_bytes: stats?.memory?.rss?.value ?? 0,
  };
}
