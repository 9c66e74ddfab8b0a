import { mkdir } from "node:fs/promises";
import { HostError } from "#agent/host/host.ts";
import { linkAddressIn, sendFrames } from "#agent/host/packet-socket.ts";
import { announcementFrames } from "#agent/network/announcement.ts";
import type { Isolation } from "#agent/network-policy/policed-network.ts";
import type { KeptDetails } from "../kept-details.ts";
import { RuntimeError, type SandboxConfig, type SandboxStatus } from "../runtime.ts";
import { type CriClient, createReplacing, longCall_ms } from "./client.ts";
import { required, type SandboxDetails, sandboxDetails } from "./details.ts";
import * as wire from "./messages.ts";
import { label, podSelector, sandboxRequest, sandboxStatus } from "./requests.ts";

export interface CriSandboxOptions {
  /** Puts a pod's network policies in force before its first container starts. */
  readonly isolation?: Isolation | undefined;
  /** Where logs go: /var/log/pods. */
  readonly logRoot: string;
  /** Gets what an operator should read. */
  readonly warn: (message: string) => void;
}

/** The interface that CRI runtimes have a pod's network on. */
const interfaceName = "eth0";

/** Pods' sandboxes by CRI's RuntimeService, as ContainerRuntime has them. All methods reject with RuntimeError. */
export class CriSandboxes {
  readonly details: KeptDetails<SandboxDetails>;
  readonly #client: CriClient;
  readonly #options: CriSandboxOptions;
  readonly #onStop: () => void;

  /** @param onStop a sandbox was stopped, and its containers with it. */
  constructor(client: CriClient, options: CriSandboxOptions, onStop: () => void) {
    this.details = sandboxDetails(client);
    this.#client = client;
    this.#options = options;
    this.#onStop = onStop;
  }

  async create(config: SandboxConfig): Promise<string> {
    const request = sandboxRequest(config, this.#options.logRoot);
    await mkdir(request.logDirectory, { recursive: true, mode: 0o755 });
    const { uid, namespace, name } = config.pod;
    const types = [wire.RunSandboxRequest, wire.SandboxId] as const;
    const given = { config: request, runtimeHandler: config.runtimeHandler ?? "" };
    const call = { what: `create sandbox of pod ${namespace}/${name}` };
    const create = async () => (await this.#client.runtime("RunPodSandbox", types, given, call)).id;
    const id = await createReplacing(create, async () => {
      const found = (await this.list({ podUid: uid })).find(({ attempt }) => attempt === config.attempt);
      return found && { remove: () => this.remove(found.id) };
    });
    if (config.network === "pod") await this.#isolate(id, config);
    if (config.network === "pod") await this.#announce(id);
    return id;
  }

  /** The plug-ins that the runtime calls do not: who talked to a pod that had an address before would go on sending there for a while.
   *  Without it a pod whose addresses nobody had has its network all the same. */
  async #announce(id: string): Promise<void> {
    const { status, pid } = await required(this.details, "sandbox", id);
    const { ips } = sandboxStatus(status, pid);
    if (pid === 0 || ips.length === 0) return;
    const namespace = `/proc/${pid}/ns/net`;
    try {
      const link = linkAddressIn(namespace, interfaceName);
      sendFrames(namespace, interfaceName, announcementFrames(link, ips));
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      this.#options.warn(`a pod's addresses could not be announced: ${error.message}`);
    }
  }

  async stop(id: string): Promise<void> {
    await this.#client.runtimeIfFound(
      "StopPodSandbox",
      [wire.SandboxId, wire.Empty],
      { id },
      { what: `stop sandbox ${id}`, timeout_ms: longCall_ms },
    );
    this.#options.isolation?.release(id);
    this.details.forget(id);
    this.#onStop();
  }

  async remove(id: string): Promise<void> {
    await this.stop(id);
    await this.#client.runtimeIfFound(
      "RemovePodSandbox",
      [wire.SandboxId, wire.Empty],
      { id },
      { what: `remove sandbox ${id}` },
    );
    this.details.forget(id);
  }

  async list(filter?: { readonly podUid?: string | undefined }): Promise<SandboxStatus[]> {
    const { items } = await this.#client.runtime(
      "ListPodSandbox",
      [wire.ListSandboxesRequest, wire.ListSandboxesResponse],
      { filter: { id: "", labelSelector: podSelector(filter?.podUid) } },
      { what: "list sandboxes" },
    );
    if (filter?.podUid === undefined) this.details.retain(new Set(items.map(({ id }) => id)));
    const known = items.filter(({ labels }) => label.podUid in labels);
    const details = await Promise.all(known.map(({ id, state }) => this.details.of(id, state)));
    return details.flatMap((each) => (each ? [sandboxStatus(each.status, each.pid)] : []));
  }

  /** A pod that cannot be kept apart as its policies say does not run. */
  async #isolate(id: string, { pod, labels }: SandboxConfig): Promise<void> {
    const { isolation } = this.#options;
    if (!isolation) return;
    try {
      const { status, pid } = await required(this.details, "sandbox", id);
      const { ips } = sandboxStatus(status, pid);
      await isolation.isolate({ sandboxId: id, labels, ips, ...pod });
    } catch (error) {
      await this.remove(id);
      throw new RuntimeError("network", `network policies: ${(error as Error).message}`, { cause: error });
    }
  }
}
