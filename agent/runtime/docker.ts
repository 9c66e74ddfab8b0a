import { release } from "node:os";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { orAborted } from "#shared/client/or-aborted.ts";
import type { Host } from "../host/host.ts";
import { assertProfileLoaded } from "./apparmor-profile.ts";
import { writeCgroupLimits, writeUnified } from "./cgroup-limits.ts";
import { attachTo, openAttachment } from "./docker-attach.ts";
import { openDocker, usualRequest_ms } from "./docker-client.ts";
import { type CreateContext, containerCreateOptions, resourceSettings } from "./docker-create.ts";
import { EarlyOutput } from "./docker-early-output.ts";
import { asRuntime, statusCodeOf, toRuntimeError } from "./docker-errors.ts";
import { watchEvents } from "./docker-events.ts";
import { startExec } from "./docker-exec.ts";
import { execSync } from "./docker-exec-sync.ts";
import { DockerImageVolumes } from "./docker-image-volumes.ts";
import { DockerImages } from "./docker-images.ts";
import { DockerLifecycle } from "./docker-lifecycle.ts";
import { readLogs } from "./docker-logs.ts";
import { containerType, label } from "./docker-names.ts";
import { DockerSandboxes } from "./docker-sandboxes.ts";
import { DockerStats } from "./docker-stats.ts";
import { containerStatus } from "./docker-status.ts";
import { ensureMountSource } from "./mount-source.ts";
import { portForwardFault } from "./port-forward-fault.ts";
import type { RegistryMirrors } from "./registries/registry-mirrors.ts";
import {
  type AttachOptions,
  type ContainerConfig,
  type ContainerResources,
  type ContainerRuntime,
  type ContainerStats,
  type ContainerStatus,
  defaultLogBounds,
  type ExecOptions,
  type ExecResult,
  type ExecSession,
  type ImageAuth,
  type ImageStatus,
  type LogBounds,
  type LogOptions,
  type Mount,
  type PodIdentity,
  RuntimeError,
  type RuntimeEvent,
  type RuntimeHandler,
  type RuntimeVersion,
  type SandboxConfig,
  type SandboxStatus,
  type StatsOptions,
} from "./runtime.ts";
import type { SandboxNetwork } from "./sandbox-network.ts";
import { readSeccompProfile } from "./seccomp-profile.ts";

export interface DockerRuntimeOptions {
  /** The daemon's socket. */
  readonly socketPath: string;
  readonly network: SandboxNetwork;
  readonly host: Host;
  /** Kubernetes' own defaults when absent. */
  readonly logBounds?: LogBounds | undefined;
  /** Resolver files of sandboxes, where the daemon makes none (Podman); may be forgotten by a reboot. */
  readonly resolvConfDirectory: string;
  /** How long the daemon has to answer a request that is not for something long; 2 minutes when absent. */
  readonly request_ms?: number | undefined;
  /** Where images of some registries are pulled from instead. */
  readonly mirrors?: RegistryMirrors | undefined;
  /** Folders with descriptions of devices by CDI, for a daemon that reads none; the usual ones when absent. */
  readonly cdiFolders?: readonly string[] | undefined;
  /** Gets what an operator should read once. */
  readonly warn: (message: string) => void;
}

interface DaemonTraits extends Pick<CreateContext, "cgroupDriver" | "isPodman"> {
  /** From Docker 25 on, where it is switched on; Docker lists the folders that it reads then. */
  readonly knowsCdi: boolean;
}

const defaultExecOutput_bytes = 10 * 1024;
const settlePauses_ms = [0, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000];
const portForwardConnect_ms = 10_000;

/** ContainerRuntime on a Docker daemon (20.10 and later, cgroup v1 and v2), with CNI for the pods' network. */
export class DockerRuntime implements ContainerRuntime {
  readonly #docker: Docker;
  readonly #host: Host;
  readonly #options: DockerRuntimeOptions;
  readonly #request_ms: number;
  readonly #sandboxes: DockerSandboxes;
  readonly #containers: DockerLifecycle;
  readonly #earlyOutput: EarlyOutput;
  readonly #images: DockerImages;
  readonly #imageVolumes: DockerImageVolumes;
  readonly #stats: DockerStats;
  #traits: DaemonTraits | undefined;
  /** What containers that are not started yet get of their control groups: Docker takes no such thing. */
  readonly #unified = new Map<string, Readonly<Record<string, string>>>();

  constructor(options: DockerRuntimeOptions) {
    this.#options = options;
    this.#host = options.host;
    this.#request_ms = options.request_ms ?? usualRequest_ms;
    this.#docker = openDocker(options.socketPath, this.#request_ms);
    this.#sandboxes = new DockerSandboxes(this.#docker, options);
    this.#containers = new DockerLifecycle(this.#docker, containerType, this.#request_ms);
    this.#earlyOutput = new EarlyOutput((id) =>
      asRuntime(`attach to container ${id}`, () =>
        openAttachment(this.#docker, id, { stdin: false, stdout: true, stderr: true }),
      ),
    );
    this.#images = new DockerImages(this.#docker, options.mirrors);
    this.#imageVolumes = new DockerImageVolumes(this.#docker, options.host);
    this.#stats = new DockerStats(this.#docker);
  }

  async version(): Promise<RuntimeVersion> {
    return await asRuntime("ask Docker's version", async () => {
      const [version, info] = await Promise.all([this.#docker.version(), this.#docker.info()]);
      return {
        name: isPodman(version) ? "podman" : "docker",
        version: version.Version,
        apiVersion: version.ApiVersion,
        cgroupDriver: String(info.CgroupDriver),
        cgroupVersion: info.CgroupVersion === "2" ? 2 : 1,
        rootDirectory: String(info.DockerRootDir),
        handlers: handlersOf(Object.keys(info.Runtimes ?? {}), version.ApiVersion),
        supplementalGroupsPolicy: false,
      };
    });
  }

  // Sandboxes

  async createSandbox(config: SandboxConfig): Promise<string> {
    await this.#images.ensurePause();
    return await this.#sandboxes.create(config, await this.#context());
  }

  async stopSandbox(id: string): Promise<void> {
    const members = await this.#containers.list(`${label.sandboxId}=${id}`);
    await Promise.all(members.filter((m) => m.State === "running").map((m) => this.#containers.stop(m.Id, 0)));
    await this.#sandboxes.stop(id);
  }

  async removeSandbox(id: string): Promise<void> {
    const members = await this.#containers.list(`${label.sandboxId}=${id}`);
    await Promise.all(members.map((member) => this.#containers.remove(member.Id)));
    await this.#sandboxes.remove(id);
  }

  async listSandboxes(filter?: { readonly podUid?: string | undefined }): Promise<SandboxStatus[]> {
    return await this.#sandboxes.list(filter?.podUid);
  }

  // Containers

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    const sandbox = await this.#sandboxes.forContainer(sandboxId);
    // Docker refuses to mount what does not exist; as with other runtimes, a directory is made.
    await Promise.all(config.mounts.map(({ hostPath }) => ensureMountSource(hostPath)));
    const common = await this.#context();
    const context = { ...common, negativeOomScoreAdj: sandbox.negativeOomScoreAdj };
    await assertProfileLoaded(config.security.apparmor);
    const profile = await seccompProfile(config.security.seccomp, common.isPodman);
    const security = { ...config.security, seccomp: profile };
    const mounts = sandbox.resolvConfPath ? [...config.mounts, resolvConfMount(sandbox.resolvConfPath)] : config.mounts;
    // Only digests can have another name; the question costs a request.
    const image = config.image.includes("@") ? await this.#images.daemonName(config.image) : config.image;
    const whole = await this.#withDevices({ ...config, image, security, mounts }, common.knowsCdi);
    const options = containerCreateOptions(whole, sandbox, context);
    const id = await this.#containers.create(options, "image-not-found");
    if (config.stdin) this.#earlyOutput.expect(id);
    if (config.resources.unified) this.#unified.set(id, config.resources.unified);
    return id;
  }

  async startContainer(id: string): Promise<void> {
    await this.#earlyOutput.hold(id);
    try {
      await this.#containers.start(id);
    } catch (error) {
      this.#earlyOutput.drop(id);
      throw error;
    }
    const unified = this.#unified.get(id);
    this.#unified.delete(id);
    if (unified) await this.#writeUnified(id, unified);
  }

  async stopContainer(id: string, grace_s: number, signal?: string): Promise<void> {
    await this.#containers.stop(id, grace_s, signal);
  }

  async removeContainer(id: string): Promise<void> {
    this.#earlyOutput.drop(id);
    this.#unified.delete(id);
    await this.#containers.remove(id);
  }

  async listContainers(filter?: { readonly podUid?: string | undefined }): Promise<ContainerStatus[]> {
    const uid = filter?.podUid;
    const listed = await this.#containers.list(uid === undefined ? undefined : `${label.podUid}=${uid}`);
    if (uid === undefined) this.#stats.retain(new Set(listed.map(({ Id }) => Id)));
    const details = await this.#containers.inspections.ofAll(listed);
    return await Promise.all(
      listed.map(async (container) => {
        const status = containerStatus(
          container,
          details.get(container.Id),
          await this.#images.imageIdFor(container.ImageID),
        );
        const error = status.error ?? (status.state === "created" ? this.#containers.startError(status.id) : undefined);
        return { ...status, image: this.#images.shownName(status.image), error };
      }),
    );
  }

  async updateResources(id: string, resources: ContainerResources): Promise<void> {
    const what = `update container ${id}`;
    try {
      await this.#docker.getContainer(id).update(resourceSettings(resources));
    } catch (error) {
      const details = statusCodeOf(error) === 404 ? await this.#containers.inspections.fresh(id) : undefined;
      if (!details?.State.Running) throw toRuntimeError(what, error);
      // It is there: Podman before 4.5 has no such request.
      await asRuntime(what, () => writeCgroupLimits(details.State.Pid, resources));
    }
    this.#containers.inspections.forget(id);
    // Docker's own change of the memory took that of the swap with it.
    if (resources.unified) await this.#writeUnified(id, resources.unified);
  }

  // Streams

  async execSync(
    id: string,
    command: readonly string[],
    timeout_ms: number,
    maxOutput_bytes = defaultExecOutput_bytes,
  ): Promise<ExecResult> {
    return await execSync(this.#options.socketPath, id, command, timeout_ms, maxOutput_bytes, this.#request_ms);
  }

  async exec(id: string, options: ExecOptions): Promise<ExecSession> {
    return await startExec(this.#docker, id, options);
  }

  async attach(id: string, options: AttachOptions): Promise<ExecSession> {
    return await attachTo(this.#docker, await this.#containers.inspect(id), options, this.#earlyOutput);
  }

  async logs(id: string, options: LogOptions): Promise<Readable> {
    const { Config } = await this.#containers.configuration(id);
    return await readLogs(this.#docker, id, Config.Tty, options);
  }

  async portForward(sandboxId: string, port: number): Promise<Duplex> {
    const { State } = await this.#sandboxes.lifecycle.inspect(sandboxId);
    if (!State.Running) throw new RuntimeError("not-found", `sandbox ${sandboxId} is not running`);
    try {
      return await this.#host.connectInNetworkNamespace(`/proc/${State.Pid}/ns/net`, port, portForwardConnect_ms);
    } catch (error) {
      throw portForwardFault(sandboxId, port, error as Error);
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

  async mountImage(image: string, target: string, pod: PodIdentity): Promise<void> {
    await this.#imageVolumes.mount(await this.#images.daemonName(image), target, pod);
  }

  releaseImages(podUid: string): Promise<void> {
    return this.#imageVolumes.release(podUid);
  }

  // Watching

  stats(id: string, options?: StatsOptions): Promise<ContainerStats> {
    return this.#stats.of(id, options);
  }

  async *events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const inspections = [this.#sandboxes.lifecycle.inspections, this.#containers.inspections];
    // What happened while nobody watched was not seen.
    const opened = () => {
      for (const each of inspections) each.forgetAll();
    };
    try {
      for await (const event of watchEvents(this.#docker, signal, opened)) {
        for (const each of inspections) each.forget(event.containerId);
        // Who ends does not wait for a daemon that hangs.
        if (event.kind === "died") await orAborted(signal, this.#settled(event.containerId));
        yield event;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Podman tells of an end before it has noted it; who looks because of that must see it. */
  async #settled(id: string): Promise<void> {
    for (const pause_ms of settlePauses_ms) {
      await delay(pause_ms);
      const { inspections } = this.#containers;
      inspections.forget(id);
      if ((await inspections.fresh(id))?.State.Status !== "running") return;
    }
  }

  async #writeUnified(id: string, files: Readonly<Record<string, string>>): Promise<void> {
    const { State } = await this.#containers.inspect(id);
    if (!State.Running) return;
    await writeUnified(State.Pid, files).catch((error: NodeJS.ErrnoException) => {
      // It has ended meanwhile.
      if (!["ENOENT", "ESRCH", "ENODEV"].includes(error.code ?? "")) throw error;
    });
  }

  /** A daemon without CDI gets what devices by CDI come to. */
  async #withDevices(config: ContainerConfig, knowsCdi: boolean): Promise<ContainerConfig> {
    if (!config.cdiDevices?.length || knowsCdi) return config;
    const [{ withCdiResolved }, { cdiFolders }] = await Promise.all([
      import("./cdi/apply-cdi.ts"),
      import("./cdi/cdi-spec.ts"),
    ]);
    return await withCdiResolved(config, this.#options.cdiFolders ?? cdiFolders, this.#options.warn);
  }

  async #context(): Promise<Omit<CreateContext, "negativeOomScoreAdj"> & DaemonTraits> {
    this.#traits ??= await this.#askTraits();
    return { ...this.#traits, logBounds: this.#options.logBounds ?? defaultLogBounds };
  }

  async #askTraits(): Promise<DaemonTraits> {
    const [version, info] = await asRuntime("ask about Docker", () =>
      Promise.all([this.#docker.version(), this.#docker.info()]),
    );
    const { CDISpecDirs = [] } = info as { readonly CDISpecDirs?: readonly string[] | null };
    const knowsCdi = (CDISpecDirs ?? []).length > 0;
    return { cgroupDriver: String(info.CgroupDriver), isPodman: isPodman(version), knowsCdi };
  }
}

const isPodman = ({ Components = [] }: Docker.DockerVersion): boolean =>
  Components.some(({ Name }) => Name === "Podman Engine");

const resolvConfMount = (hostPath: string): Mount => ({
  hostPath,
  containerPath: "/etc/resolv.conf",
  readOnly: false,
  propagation: "private",
});

/** From Docker 25 on (API 1.44) read-only mounts can be recursive, on Linux 5.12 and later. */
function handlersOf(runtimes: readonly string[], apiVersion: string): RuntimeHandler[] {
  const [major = 0, minor = 0] = apiVersion.split(".").map(Number);
  const [kernel = 0, patch = 0] = release().split(".").map(Number);
  const recursiveReadOnlyMounts =
    (major > 1 || (major === 1 && minor >= 44)) && (kernel > 5 || (kernel === 5 && patch >= 12));
  // Docker lists its own default again under containerd's name.
  const named = runtimes.filter((name) => !name.startsWith("io.containerd."));
  return ["", ...named].map((name) => ({ name, recursiveReadOnlyMounts, userNamespaces: false }));
}

/** Docker's API wants a profile's text where its command line takes a path; Podman's wants the path. */
async function seccompProfile(profile: string | undefined, asPath: boolean): Promise<string | undefined> {
  if (!profile?.startsWith("/")) return profile;
  const text = await readSeccompProfile(profile);
  return asPath ? profile : text;
}
