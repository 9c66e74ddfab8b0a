import { mkdir, readFile, writeFile } from "node:fs/promises";
import type { Duplex, Readable } from "node:stream";
import Docker from "dockerode";
import type { Host } from "../host/host.ts";
import type { SandboxNetwork } from "../network/sandbox-network.ts";
import {
  type CreateContext,
  containerCreateOptions,
  resourceSettings,
  type SandboxTraits,
  sandboxCreateOptions,
  sandboxTraits,
} from "./docker-create.ts";
import { asRuntime, dockerMessage, statusCodeOf, toRuntimeError, unless } from "./docker-errors.ts";
import { execSync, startExec } from "./docker-exec.ts";
import { DockerImages } from "./docker-images.ts";
import { Inspections } from "./docker-inspection.ts";
import { readLogs } from "./docker-logs.ts";
import { containerType, label, sandboxType } from "./docker-names.ts";
import { DockerStats } from "./docker-stats.ts";
import { containerStatus, sandboxStatus } from "./docker-status.ts";
import { openSession } from "./docker-streams.ts";
import { jsonLines } from "./json-lines.ts";
import {
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
} from "./runtime.ts";

export interface DockerRuntimeOptions {
  /** The daemon's socket. */
  readonly socketPath: string;
  readonly network: SandboxNetwork;
  readonly host: Host;
  /** One file of a container's log, and how many are kept. Kubernetes' own defaults when absent: 10 MiB, 5. */
  readonly logMaxSize_bytes?: number | undefined;
  readonly logMaxFiles?: number | undefined;
  /** Gets what an operator should read once. */
  readonly warn: (message: string) => void;
}

const defaultExecOutput_bytes = 10 * 1024;
const portForwardConnect_ms = 10_000;
const nothingToDo = [304, 404];
/** How runc says that it could not lower the value: newer ones name the file, 1.1 only that its first process ended. */
const mayBeOomScoreAdj = /oom_score_adj|can't get final child's PID/;

/** ContainerRuntime on a Docker daemon (20.10 and later, cgroup v1 and v2), with CNI for the pods' network. */
export class DockerRuntime implements ContainerRuntime {
  readonly #docker: Docker;
  readonly #network: SandboxNetwork;
  readonly #host: Host;
  readonly #options: DockerRuntimeOptions;
  readonly #inspections: Inspections;
  readonly #images: DockerImages;
  readonly #stats: DockerStats;
  #negativeOomScoreAdj = true;
  #cgroupDriver: string | undefined;

  constructor(options: DockerRuntimeOptions) {
    this.#options = options;
    this.#docker = new Docker({ socketPath: options.socketPath });
    this.#network = options.network;
    this.#host = options.host;
    this.#inspections = new Inspections(this.#docker);
    this.#images = new DockerImages(this.#docker);
    this.#stats = new DockerStats(this.#docker);
  }

  async version(): Promise<RuntimeVersion> {
    return await asRuntime("ask Docker's version", async () => {
      const [version, info] = await Promise.all([this.#docker.version(), this.#docker.info()]);
      return {
        name: "docker",
        version: version.Version,
        apiVersion: version.ApiVersion,
        cgroupDriver: String(info.CgroupDriver),
        cgroupVersion: info.CgroupVersion === "2" ? 2 : 1,
        rootDirectory: String(info.DockerRootDir),
      };
    });
  }

  // Sandboxes

  async createSandbox(config: SandboxConfig): Promise<string> {
    await this.#images.ensurePause();
    const id = await this.#startSandbox(config);
    try {
      const { State, ResolvConfPath } = await this.#inspect(id);
      if (config.dns !== undefined) await writeFile(ResolvConfPath, resolvConf(config.dns));
      if (config.network === "pod") {
        await this.#network.attach({
          sandboxId: id,
          namespacePath: `/proc/${State.Pid}/ns/net`,
          pod: config.pod,
          portMappings: config.portMappings,
          annotations: config.annotations,
          dns: config.dns,
        });
      }
      return id;
    } catch (error) {
      await this.#remove(id);
      if (error instanceof RuntimeError) throw error;
      const message = `network of sandbox ${id}: ${error instanceof Error ? error.message : String(error)}`;
      throw new RuntimeError("network", message, { cause: error });
    }
  }

  async stopSandbox(id: string): Promise<void> {
    const members = await this.#list({ label: [`${label.sandboxId}=${id}`] });
    await Promise.all(members.filter((m) => m.State === "running").map((m) => this.stopContainer(m.Id, 0)));
    await this.#detach(id);
    // pause ends on SIGTERM at once; the grace is for a board that is busy.
    await this.stopContainer(id, 10);
  }

  async removeSandbox(id: string): Promise<void> {
    const members = await this.#list({ label: [`${label.sandboxId}=${id}`] });
    await Promise.all(members.map((member) => this.#remove(member.Id)));
    await this.#detach(id);
    await this.#remove(id);
  }

  async listSandboxes(): Promise<SandboxStatus[]> {
    const attached = this.#network.attached();
    const listed = await this.#list({ label: [`${label.type}=${sandboxType}`] });
    const details = await this.#inspections.of(listed);
    // Removed behind our back (`docker rm`): its address would stay taken. Only what was attached before the list.
    const existing = new Set(listed.map(({ Id }) => Id));
    await Promise.all(attached.filter((id) => !existing.has(id)).map((id) => this.#detach(id)));
    return listed.map((sandbox) =>
      sandboxStatus(sandbox, details.get(sandbox.Id), this.#network.addresses(sandbox.Id)),
    );
  }

  // Containers

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    const sandbox = await this.#traits(sandboxId);
    // Docker refuses to mount what does not exist; as with other runtimes, a directory is made.
    await Promise.all(config.mounts.map(({ hostPath }) => ensureDirectory(hostPath)));
    const context = { ...(await this.#context()), negativeOomScoreAdj: sandbox.negativeOomScoreAdj };
    const security = { ...config.security, seccomp: await seccompProfile(config.security.seccomp) };
    const options = containerCreateOptions({ ...config, security }, sandbox, context);
    return await this.#create(options, "image-not-found");
  }

  async startContainer(id: string): Promise<void> {
    try {
      await this.#docker.getContainer(id).start();
    } catch (error) {
      const code = statusCodeOf(error);
      if (code === 304) return;
      if (code === undefined || code === 404) throw toRuntimeError(`start container ${id}`, error);
      throw new RuntimeError("cannot-start", dockerMessage(error), { cause: error });
    } finally {
      this.#inspections.forget(id);
    }
  }

  async stopContainer(id: string, grace_s: number, signal?: string): Promise<void> {
    const container = this.#docker.getContainer(id);
    const t = Math.max(0, Math.ceil(grace_s));
    try {
      if (signal === undefined || t === 0) {
        await unless(nothingToDo, `stop container ${id}`, () => container.stop({ t }));
      } else {
        await this.#signalThenKill(container, signal, t);
      }
    } finally {
      this.#inspections.forget(id);
    }
  }

  async removeContainer(id: string): Promise<void> {
    await this.#remove(id);
  }

  async listContainers(filter?: { readonly podUid?: string | undefined }): Promise<ContainerStatus[]> {
    const uid = filter?.podUid;
    const labels = [`${label.type}=${containerType}`, ...(uid === undefined ? [] : [`${label.podUid}=${uid}`])];
    const listed = await this.#list({ label: labels });
    if (uid === undefined) this.#stats.retain(new Set(listed.map(({ Id }) => Id)));
    const details = await this.#inspections.of(listed);
    return await Promise.all(
      listed.map(async (container) =>
        containerStatus(container, details.get(container.Id), await this.#images.imageIdFor(container.ImageID)),
      ),
    );
  }

  async updateResources(id: string, resources: ContainerResources): Promise<void> {
    await asRuntime(`update container ${id}`, () => this.#docker.getContainer(id).update(resourceSettings(resources)));
    this.#inspections.forget(id);
  }

  // Streams

  async execSync(
    id: string,
    command: readonly string[],
    timeout_ms: number,
    maxOutput_bytes = defaultExecOutput_bytes,
  ): Promise<ExecResult> {
    return await execSync(this.#docker, id, command, timeout_ms, maxOutput_bytes);
  }

  async exec(id: string, options: ExecOptions): Promise<ExecSession> {
    return (await startExec(this.#docker, id, options)).session;
  }

  async attach(
    id: string,
    options: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean },
  ): Promise<ExecSession> {
    const container = this.#docker.getContainer(id);
    const what = `attach to container ${id}`;
    const { Config } = await this.#inspect(id);
    const connection: Duplex = await asRuntime(what, () =>
      // The declared type lacks that it is a socket, which a hijacked connection is.
      container.attach({ stream: true, hijack: true, ...options }).then((stream) => stream as Duplex),
    );
    return openSession(connection, {
      stdin: options.stdin,
      tty: Config.Tty,
      exitCode: async () => (await this.#inspect(id)).State.ExitCode,
      resize: async (columns, rows) => {
        await asRuntime(what, () => container.resize({ w: columns, h: rows }));
      },
    });
  }

  async logs(id: string, options: LogOptions): Promise<Readable> {
    const details = await this.#inspections.configured(id);
    if (details === undefined) throw noSuchContainer(id);
    return await readLogs(this.#docker, id, details.Config.Tty, options);
  }

  async portForward(sandboxId: string, port: number): Promise<Duplex> {
    const { State } = await this.#inspect(sandboxId);
    if (!State.Running) throw new RuntimeError("not-found", `sandbox ${sandboxId} is not running`);
    try {
      return await this.#host.connectInNetworkNamespace(`/proc/${State.Pid}/ns/net`, port, portForwardConnect_ms);
    } catch (error) {
      const message = `connect to port ${port} of sandbox ${sandboxId}: ${error instanceof Error ? error.message : error}`;
      throw new RuntimeError("network", message, { cause: error });
    }
  }

  // Images

  imageStatus(image: string): Promise<ImageStatus | undefined> {
    return this.#images.status(image);
  }

  pullImage(image: string, auth: ImageAuth | undefined, progress?: (line: string) => void): Promise<string> {
    return this.#images.pull(image, auth, progress);
  }

  listImages(): Promise<ImageStatus[]> {
    return this.#images.list();
  }

  removeImage(id: string): Promise<void> {
    return this.#images.remove(id);
  }

  loadImage(archive: Readable): Promise<string[]> {
    return this.#images.load(archive);
  }

  // Watching

  stats(id: string): Promise<ContainerStats> {
    return this.#stats.of(id);
  }

  async *events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const stream = await asRuntime("watch Docker's events", () =>
      this.#docker.getEvents({
        abortSignal: signal,
        filters: { type: ["container"], event: ["start", "die", "oom", "destroy"], label: [label.podUid] },
      }),
    );
    // What happened while nobody watched was not seen.
    this.#inspections.forgetAll();
    try {
      for await (const line of jsonLines(stream, signal)) {
        const event = runtimeEvent(line);
        if (event === undefined) continue;
        this.#inspections.forget(event.containerId);
        yield event;
      }
    } catch (error) {
      if (!signal.aborted) throw toRuntimeError("watch Docker's events", error);
    }
  }

  // Inside

  async #startSandbox(config: SandboxConfig): Promise<string> {
    const context = await this.#context();
    try {
      return await this.#tryStartSandbox(config, context);
    } catch (error) {
      if (!context.negativeOomScoreAdj || !mayBeOomScoreAdj.test(dockerMessage(error))) throw error;
    }
    const id = await this.#tryStartSandbox(config, { ...context, negativeOomScoreAdj: false });
    if (this.#negativeOomScoreAdj) {
      this.#negativeOomScoreAdj = false;
      this.#options.warn(
        "Docker may not lower oom_score_adj here (it lacks CAP_SYS_RESOURCE): pods run without protection from the OOM killer",
      );
    }
    return id;
  }

  async #tryStartSandbox(config: SandboxConfig, context: CreateContext): Promise<string> {
    const id = await this.#create(sandboxCreateOptions(config, context));
    try {
      await this.startContainer(id);
      return id;
    } catch (error) {
      await this.#remove(id);
      throw error;
    }
  }

  /** A name that is still taken belongs to a try that was cut short: it is removed, once. */
  async #create(options: Docker.ContainerCreateOptions, notFound: "image-not-found" | "not-found" = "not-found") {
    const what = `create container ${options.name}`;
    try {
      return (await this.#docker.createContainer(options)).id;
    } catch (error) {
      if (statusCodeOf(error) !== 409 || options.name === undefined) throw toRuntimeError(what, error, notFound);
      await this.#remove(options.name);
      return (await asRuntime(what, () => this.#docker.createContainer(options), notFound)).id;
    }
  }

  async #remove(id: string): Promise<void> {
    // 409: its removal is already under way.
    await unless([404, 409], `remove container ${id}`, () =>
      this.#docker.getContainer(id).remove({ force: true, v: true }),
    );
    this.#inspections.forget(id);
  }

  async #signalThenKill(container: Docker.Container, signal: string, grace_s: number): Promise<void> {
    const what = `stop container ${container.id}`;
    const ended = unless(nothingToDo, what, () => container.wait());
    // Handled below in every case; this keeps an early rejection from counting as unhandled.
    ended.catch(() => undefined);
    // 409: not running (any more).
    await unless([404, 409], what, () => container.kill({ signal }));
    const graceOver = Promise.withResolvers<"grace over">();
    const timer = setTimeout(() => graceOver.resolve("grace over"), grace_s * 1000);
    try {
      if ((await Promise.race([ended, graceOver.promise])) === "grace over") {
        await unless([404, 409], what, () => container.kill({ signal: "SIGKILL" }));
        await ended;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #detach(sandboxId: string): Promise<void> {
    try {
      await this.#network.detach(sandboxId);
    } catch (error) {
      const message = `network of sandbox ${sandboxId}: ${error instanceof Error ? error.message : String(error)}`;
      throw new RuntimeError("network", message, { cause: error });
    }
  }

  async #list(filters: { label: string[] }): Promise<Docker.ContainerInfo[]> {
    return await asRuntime("list containers", () => this.#docker.listContainers({ all: true, filters }));
  }

  async #inspect(id: string): Promise<Docker.ContainerInspectInfo> {
    const details = await this.#inspections.one(id);
    if (details === undefined) throw noSuchContainer(id);
    return details;
  }

  async #traits(sandboxId: string): Promise<SandboxTraits & { negativeOomScoreAdj: boolean }> {
    const details = await this.#inspections.configured(sandboxId);
    if (details === undefined) throw noSuchContainer(sandboxId);
    const { HostConfig, Config } = details;
    return {
      ...sandboxTraits(sandboxId, HostConfig, Config.Labels),
      // The sandbox was made with the lowest that this daemon may set.
      negativeOomScoreAdj: (HostConfig.OomScoreAdj ?? 0) < 0,
    };
  }

  async #context(): Promise<CreateContext> {
    this.#cgroupDriver ??= String((await asRuntime("ask about Docker", () => this.#docker.info())).CgroupDriver);
    return {
      logMaxSize_bytes: this.#options.logMaxSize_bytes ?? 10 * 1024 * 1024,
      logMaxFiles: this.#options.logMaxFiles ?? 5,
      negativeOomScoreAdj: this.#negativeOomScoreAdj,
      cgroupDriver: this.#cgroupDriver,
    };
  }
}

function noSuchContainer(id: string): RuntimeError {
  return new RuntimeError("not-found", `no such container: ${id}`);
}

async function ensureDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    // It exists and is a file, a socket or a device: that is mounted too.
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) {
      throw new RuntimeError("other", `mount source ${path}: ${dockerMessage(error)}`, { cause: error });
    }
  }
}

/** Docker's API wants a profile's text where its command line takes a path. */
async function seccompProfile(profile: string | undefined): Promise<string | undefined> {
  if (!profile?.startsWith("/")) return profile;
  try {
    return await readFile(profile, "utf8");
  } catch (error) {
    throw new RuntimeError("cannot-start", `seccomp profile ${profile}: ${dockerMessage(error)}`, { cause: error });
  }
}

function resolvConf(dns: NonNullable<SandboxConfig["dns"]>): string {
  const lines = dns.servers.map((server) => `nameserver ${server}`);
  if (dns.searches.length > 0) lines.push(`search ${dns.searches.join(" ")}`);
  if (dns.options.length > 0) lines.push(`options ${dns.options.join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}

const eventKinds: Readonly<Record<string, RuntimeEvent["kind"]>> = {
  start: "started",
  die: "died",
  oom: "oom",
  destroy: "removed",
};

/** One line of Docker's event stream (Engine API, GET /events). undefined: not about a container. */
function runtimeEvent(line: Record<string, unknown>): RuntimeEvent | undefined {
  const actor = line["Actor"];
  if (typeof actor !== "object" || actor === null) return undefined;
  const { ID, Attributes } = actor as { ID?: unknown; Attributes?: Record<string, unknown> };
  if (typeof ID !== "string") return undefined;
  const podUid = Attributes?.[label.podUid];
  return {
    kind: eventKinds[String(line["Action"])] ?? "other",
    containerId: ID,
    podUid: typeof podUid === "string" ? podUid : undefined,
  };
}
