import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type Docker from "dockerode";
import { messageOf } from "#shared/api/joined-errors.ts";
import { type CreateContext, type SandboxTraits, sandboxCreateOptions, sandboxTraits } from "./docker-create.ts";
import { dockerMessage } from "./docker-errors.ts";
import { DockerLifecycle } from "./docker-lifecycle.ts";
import { label, sandboxType } from "./docker-names.ts";
import { sandboxStatus } from "./docker-status.ts";
import { RuntimeError, type SandboxConfig, type SandboxStatus } from "./runtime.ts";
import type { SandboxNetwork } from "./sandbox-network.ts";

/** How runc says that it could not lower the value: newer ones name the file, 1.1 only that its first process ended. */
const mayBeOomScoreAdj = /oom_score_adj|can't get final child's PID/;
/** pause ends on SIGTERM at once; this is for a board that is busy. */
const pauseGrace_s = 10;

/** What of a container's creation only its sandbox can say. */
export interface SandboxForContainer extends SandboxTraits {
  readonly negativeOomScoreAdj: boolean;
  /** The resolver file to mount, where the daemon does not do it by itself. */
  readonly resolvConfPath: string | undefined;
}

export interface SandboxOptions {
  readonly network: SandboxNetwork;
  readonly resolvConfDirectory: string;
  readonly warn: (message: string) => void;
}

/** Pause containers, each with its network by CNI. All methods reject with RuntimeError. */
export class DockerSandboxes {
  readonly #lifecycle: DockerLifecycle;
  readonly #network: SandboxNetwork;
  readonly #resolvConfDirectory: string;
  readonly #warn: (message: string) => void;
  #negativeOomScoreAdj = true;

  constructor(docker: Docker, options: SandboxOptions) {
    this.#lifecycle = new DockerLifecycle(docker, sandboxType);
    this.#network = options.network;
    this.#resolvConfDirectory = options.resolvConfDirectory;
    this.#warn = options.warn;
  }

  get lifecycle(): DockerLifecycle {
    return this.#lifecycle;
  }

  /** The pause image must be there. Leaves nothing behind when it rejects. */
  async create(config: SandboxConfig, context: Omit<CreateContext, "negativeOomScoreAdj">): Promise<string> {
    const id = await this.#start(config, context);
    try {
      const { State, ResolvConfPath } = await this.#lifecycle.inspect(id);
      if (config.dns !== undefined) await this.#writeResolvConf(id, ResolvConfPath, resolvConf(config.dns));
      if (config.network === "pod") {
        await this.#network.attach({
          sandboxId: id,
          namespacePath: `/proc/${State.Pid}/ns/net`,
          pod: config.pod,
          portMappings: config.portMappings,
          annotations: config.annotations,
          labels: config.labels,
          dns: config.dns,
        });
      }
      return id;
    } catch (error) {
      await this.#lifecycle.remove(id);
      throw networkError(id, error);
    }
  }

  async stop(id: string): Promise<void> {
    await this.#detach(id);
    await this.#lifecycle.stop(id, pauseGrace_s);
  }

  async remove(id: string): Promise<void> {
    await this.#detach(id);
    await this.#lifecycle.remove(id);
    await rm(this.#ownResolvConf(id), { force: true });
  }

  async list(podUid: string | undefined): Promise<SandboxStatus[]> {
    const attached = this.#network.attached();
    const listed = await this.#lifecycle.list(podUid === undefined ? undefined : `${label.podUid}=${podUid}`);
    if (podUid === undefined) {
      // One that was removed behind our back (`docker rm`) still holds its address. Only what was attached before.
      const existing = new Set(listed.map(({ Id }) => Id));
      await Promise.all(attached.filter((id) => !existing.has(id)).map((id) => this.#detach(id)));
    }
    const details = await this.#lifecycle.inspections.ofAll(listed);
    return listed.map((sandbox) =>
      sandboxStatus(sandbox, details.get(sandbox.Id), this.#network.addresses(sandbox.Id)),
    );
  }

  async forContainer(id: string): Promise<SandboxForContainer> {
    const { HostConfig, Config, ResolvConfPath } = await this.#lifecycle.configuration(id);
    const own = this.#ownResolvConf(id);
    const traits = sandboxTraits(id, HostConfig, Config.Labels);
    const ofDaemon = traits.hostNetwork ? ResolvConfPath : "";
    return {
      resolvConfPath: ofDaemon || (ResolvConfPath === "" && existsSync(own) ? own : undefined),
      ...traits,
      // The sandbox was made with the lowest value that this daemon may set.
      negativeOomScoreAdj: (HostConfig.OomScoreAdj ?? 0) < 0,
    };
  }

  /**
   * Docker's file is by itself that of every container that joins the sandbox's network, and nobody joins the board's. Podman
   * makes none for a sandbox that begins without a network.
   */
  async #writeResolvConf(id: string, daemonsPath: string, text: string): Promise<void> {
    if (daemonsPath === "") await mkdir(this.#resolvConfDirectory, { recursive: true, mode: 0o755 });
    await writeFile(daemonsPath || this.#ownResolvConf(id), text);
  }

  #ownResolvConf(id: string): string {
    return join(this.#resolvConfDirectory, id);
  }

  async #start(config: SandboxConfig, context: Omit<CreateContext, "negativeOomScoreAdj">): Promise<string> {
    if (this.#negativeOomScoreAdj) {
      try {
        return await this.#tryStart(config, { ...context, negativeOomScoreAdj: true });
      } catch (error) {
        if (!mayBeOomScoreAdj.test(dockerMessage(error))) throw error;
      }
    }
    const id = await this.#tryStart(config, { ...context, negativeOomScoreAdj: false });
    if (this.#negativeOomScoreAdj) {
      this.#negativeOomScoreAdj = false;
      this.#warn(
        "Docker may not lower oom_score_adj here (it lacks CAP_SYS_RESOURCE): pods run without protection from the OOM killer",
      );
    }
    return id;
  }

  async #tryStart(config: SandboxConfig, context: CreateContext): Promise<string> {
    const id = await this.#lifecycle.create(sandboxCreateOptions(config, context));
    try {
      await this.#lifecycle.start(id);
      return id;
    } catch (error) {
      await this.#lifecycle.remove(id);
      throw error;
    }
  }

  async #detach(id: string): Promise<void> {
    try {
      await this.#network.detach(id);
    } catch (error) {
      throw networkError(id, error);
    }
  }
}

function networkError(sandboxId: string, error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const message = `network of sandbox ${sandboxId}: ${messageOf(error)}`;
  return new RuntimeError("network", message, { cause: error });
}

function resolvConf(dns: NonNullable<SandboxConfig["dns"]>): string {
  const lines = dns.servers.map((server) => `nameserver ${server}`);
  if (dns.searches.length > 0) lines.push(`search ${dns.searches.join(" ")}`);
  if (dns.options.length > 0) lines.push(`options ${dns.options.join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}
