/** A container runtime in memory: all that it is asked to start runs at once, and it counts what it is asked for. */
import { Readable } from "node:stream";
import {
  type ContainerConfig,
  type ContainerRuntime,
  type ContainerStats,
  type ContainerStatus,
  type ImageStatus,
  RuntimeError,
  type RuntimeEvent,
  type RuntimeVersion,
  type SandboxConfig,
  type SandboxStatus,
} from "#agent/runtime/runtime.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class MemoryRuntime implements ContainerRuntime {
  readonly sandboxes = new Map<string, Mutable<SandboxStatus>>();
  readonly containers = new Map<string, Mutable<ContainerStatus>>();
  /** Sandboxes that were made, by the UID of their pod. */
  readonly made = new Map<string, number>();
  #count = 0;

  async version(): Promise<RuntimeVersion> {
    return {
      name: "memory",
      version: "1.0.0",
      apiVersion: "1.0",
      cgroupDriver: "cgroupfs",
      cgroupVersion: 2,
      rootDirectory: "/",
      handlers: [{ name: "", recursiveReadOnlyMounts: false, userNamespaces: false }],
      supplementalGroupsPolicy: false,
    };
  }

  async createSandbox({ pod, attempt, labels, annotations }: SandboxConfig): Promise<string> {
    const id = `s${++this.#count}`;
    this.made.set(pod.uid, (this.made.get(pod.uid) ?? 0) + 1);
    const ips = ["10.42.0.9"];
    const createdAt_ms = Date.now();
    this.sandboxes.set(id, { id, pod, attempt, state: "ready", createdAt_ms, ips, pid: 1, labels, annotations });
    return id;
  }

  async stopSandbox(id: string): Promise<void> {
    for (const container of this.containers.values()) if (container.sandboxId === id) end(container);
    const sandbox = this.sandboxes.get(id);
    if (sandbox) sandbox.state = "not-ready";
  }

  async removeSandbox(id: string): Promise<void> {
    this.sandboxes.delete(id);
  }

  async listSandboxes(filter?: { readonly podUid?: string | undefined }): Promise<SandboxStatus[]> {
    return [...this.sandboxes.values()].filter(({ pod }) => filter?.podUid === undefined || pod.uid === filter.podUid);
  }

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    const { pod, name, attempt, image, labels, annotations } = config;
    const isTaken = [...this.containers.values()].some(
      (each) => each.pod.uid === pod.uid && each.name === name && each.attempt === attempt,
    );
    if (isTaken) throw new RuntimeError("other", `the name ${name} is taken`);
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) throw new RuntimeError("other", `invalid container name ${name}`);
    const id = `c${++this.#count}`;
    this.containers.set(id, {
      id,
      sandboxId,
      pod,
      name,
      attempt,
      state: "created",
      createdAt_ms: Date.now(),
      oomKilled: false,
      image,
      imageId: "sha256:1",
      pid: 0,
      labels,
      annotations,
    });
    return id;
  }

  async startContainer(id: string): Promise<void> {
    Object.assign(this.#container(id), { state: "running", startedAt_ms: Date.now() });
  }

  async stopContainer(id: string): Promise<void> {
    end(this.#container(id));
  }

  async removeContainer(id: string): Promise<void> {
    this.containers.delete(id);
  }

  async listContainers(filter?: { readonly podUid?: string | undefined }): Promise<ContainerStatus[]> {
    const all = [...this.containers.values()].map((each) => ({ ...each }));
    return all
      .filter(({ pod }) => filter?.podUid === undefined || pod.uid === filter.podUid)
      .sort((a, b) => b.attempt - a.attempt);
  }

  updateResources(): Promise<void> {
    return Promise.resolve();
  }

  async execSync(): ReturnType<ContainerRuntime["execSync"]> {
    return { exitCode: 0, stdout: "", stderr: "", timedOut: false };
  }

  exec(): never {
    throw new RuntimeError("other", "there is no process");
  }

  attach(): never {
    throw new RuntimeError("other", "there is no process");
  }

  async logs(): Promise<Readable> {
    return Readable.from([]);
  }

  portForward(): never {
    throw new RuntimeError("other", "there is no network");
  }

  async imageStatus(image: string): Promise<ImageStatus | undefined> {
    return image === "" ? undefined : imageOf(image);
  }

  async pullImage(image: string): Promise<string> {
    if (!/^[a-z0-9./:@_-]+$/.test(image)) throw new RuntimeError("other", `invalid reference format: ${image}`);
    return imageOf(image).id;
  }

  async listImages(): Promise<ImageStatus[]> {
    return [];
  }

  removeImage(): Promise<void> {
    return Promise.resolve();
  }

  mountImage(): Promise<void> {
    return Promise.resolve();
  }

  releaseImages(): Promise<void> {
    return Promise.resolve();
  }

  async loadImage(): Promise<string[]> {
    return [];
  }

  async stats(): Promise<ContainerStats> {
    return {
      timestamp_ms: Date.now(),
      cpuUsage_ns: 0,
      memoryWorkingSet_bytes: 0,
      memoryUsage_bytes: 0,
      memoryRss_bytes: 0,
      networkRx_bytes: 0,
      networkTx_bytes: 0,
      fsUsed_bytes: 0,
    };
  }

  async *events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    await new Promise<void>((done) => signal.addEventListener("abort", () => done(), { once: true }));
  }

  #container(id: string): Mutable<ContainerStatus> {
    const found = this.containers.get(id);
    if (!found) throw new RuntimeError("not-found", `no such container: ${id}`);
    return found;
  }
}

function end(container: Mutable<ContainerStatus>): void {
  if (container.state === "exited") return;
  Object.assign(container, { state: "exited", finishedAt_ms: Date.now(), exitCode: 0 });
}

const imageOf = (image: string): ImageStatus => ({
  id: "sha256:1",
  tags: [image],
  digests: [],
  size_bytes: 1,
  platform: "linux/amd64",
  pinned: false,
  volumes: [],
});
