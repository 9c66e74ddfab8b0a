import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import {
  type ContainerConfig,
  type ContainerRuntime,
  type ContainerStatus,
  RuntimeError,
  type SandboxConfig,
} from "../runtime.ts";
import { containerConfig, sandboxConfig } from "./configs.ts";

/** A runtime under test, with an image of a busybox whose `/bin` is in PATH. */
export interface RuntimeUnderTest {
  readonly runtime: ContainerRuntime;
  readonly image: string;
  /** Whether who gives input to a process that only just began gets what it said before. */
  readonly attachesFromTheStart: boolean;
  close(): Promise<void>;
}

/** What the tests of the contract have in common: the runtime under test once it is open, and what is done with it everywhere. */
export class RuntimeBench {
  readonly #open: () => Promise<RuntimeUnderTest>;
  #opened: RuntimeUnderTest | undefined;
  #scratch: string | undefined;

  constructor(open: () => Promise<RuntimeUnderTest>) {
    this.#open = open;
  }

  async open(): Promise<void> {
    this.#scratch = mkdtempSync(join(tmpdir(), "brt-files-"));
    this.#opened = await this.#open();
  }

  async close(): Promise<void> {
    await this.#opened?.close();
    if (this.#scratch) rmSync(this.#scratch, { recursive: true, force: true });
  }

  get #subject(): RuntimeUnderTest {
    if (!this.#opened) throw new Error("the runtime under test is not open");
    return this.#opened;
  }

  /** A folder of the board, for mounts. */
  get scratch(): string {
    if (!this.#scratch) throw new Error("the runtime under test is not open");
    return this.#scratch;
  }

  get runtime(): ContainerRuntime {
    return this.#subject.runtime;
  }

  get image(): string {
    return this.#subject.image;
  }

  get attachesFromTheStart(): boolean {
    return this.#subject.attachesFromTheStart;
  }

  /** A sandbox for as long as `use` takes. */
  async withSandbox(
    overrides: Partial<SandboxConfig>,
    use: (id: string, config: SandboxConfig) => Promise<void>,
  ): Promise<void> {
    const config = sandboxConfig(overrides);
    const id = await this.runtime.createSandbox(config);
    try {
      await use(id, config);
    } finally {
      // A process that ends at that very moment fails containerd's stop; kubelets ask again.
      await eventually(() => this.runtime.stopSandbox(id));
      await this.runtime.removeSandbox(id);
    }
  }

  /** Creates a container and starts it. */
  async start(sandboxId: string, sandbox: SandboxConfig, overrides: Partial<ContainerConfig>): Promise<string> {
    const id = await this.runtime.createContainer(sandboxId, containerConfig(sandbox, this.image, overrides));
    await this.runtime.startContainer(id);
    return id;
  }

  /** Waits for the container's end. */
  async ended(id: string, podUid: string): Promise<ContainerStatus> {
    for (;;) {
      const status = (await this.runtime.listContainers({ podUid })).find((container) => container.id === id);
      if (status === undefined) throw new Error("the container is gone");
      if (status.state === "exited") return status;
      await delay(20);
    }
  }

  /** All that it has said. */
  async output(id: string): Promise<string> {
    return text(await this.runtime.logs(id, { follow: false, timestamps: false }));
  }

  /** Until the script has said so: its traps are set by then. */
  async isReady(id: string): Promise<void> {
    await eventually(async () => {
      if (!(await this.output(id)).includes("ready")) throw new Error("not ready yet");
    });
  }
}

export const shell = (script: string): Partial<ContainerConfig> => ({ command: ["sh", "-c", script] });
/** Ends with 7 when it is told to. */
export const sleeper = shell("trap 'exit 7' TERM; echo ready; sleep 1000 & wait");

/** All of a stream. */
export async function text(stream: Readable | NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

/** Of which kind the failure is. */
export async function kindOf(outcome: Promise<unknown>): Promise<string> {
  try {
    await outcome;
    return "no error";
  } catch (error) {
    return error instanceof RuntimeError ? error.kind : `not a RuntimeError: ${error}`;
  }
}

/** For what becomes true soon after a process starts; the suite's own time limit is the bound. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch {
      await delay(50);
    }
  }
}
