import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { ContainerRuntime, ContainerStatus } from "#agent/runtime/runtime.ts";
import type { Pod, PodStatus } from "#shared/api/types/core-v1.generated.ts";
import { errnoOf } from "#shared/files/if-present.ts";
import { mostMessage_bytes, terminationLogPath } from "./container/written-files.ts";
import { findContainer } from "./pod-containers.ts";

const mostLog_bytes = 2048;
const mostLog_lines = 80;
/** Holds as many bytes of text, however short the lines are: each has its time and stream before it. */
const mostRead_bytes = 64 * 1024;

/**
 * Last words of the pod's ended containers, by container id: what they wrote to their termination log, or the end of
 * their output where the spec asks for that and they failed. Read once a container.
 */
export class TerminationMessages {
  readonly #messages = new Map<string, string>();

  constructor(
    readonly runtime: ContainerRuntime,
    /** The pod's folder in memory. */
    readonly podFolder: string,
  ) {}

  /** Reads what is new. */
  async collect(pod: Pod, containers: readonly ContainerStatus[]): Promise<void> {
    for (const status of containers) {
      if (status.state !== "exited" || this.#messages.has(status.id)) continue;
      this.#messages.set(status.id, await this.#read(pod, status));
    }
    const present = new Set(containers.map(({ id }) => id));
    for (const id of this.#messages.keys()) if (!present.has(id)) this.#messages.delete(id);
  }

  /** The message of a container; after a reboot, when its file is gone, the one published before. */
  of(status: ContainerStatus, published: PodStatus): string {
    const read = this.#messages.get(status.id);
    if (read) return read;
    const statuses = [
      ...(published.initContainerStatuses ?? []),
      ...(published.containerStatuses ?? []),
      ...(published.ephemeralContainerStatuses ?? []),
    ];
    const states = statuses.flatMap(({ state, lastState }) => [state?.terminated, lastState?.terminated]);
    const before = states.find((state) => state?.containerID?.endsWith(status.id))?.message ?? "";
    return status.error && before.startsWith(status.error) ? before.slice(status.error.length + 2) : before;
  }

  async #read(pod: Pod, status: ContainerStatus): Promise<string> {
    const container = findContainer(pod.spec, status.name)?.container;
    const file = readEnd(terminationLogPath(this.podFolder, status.name, status.attempt));
    if (file) return file;
    if (container?.terminationMessagePolicy !== "FallbackToLogsOnError") return "";
    return status.exitCode === 0 && !status.oomKilled ? "" : this.#logEnd(status.id);
  }

  async #logEnd(id: string): Promise<string> {
    try {
      const options = { follow: false, timestamps: false, tailLines: mostLog_lines, tail_bytes: mostRead_bytes };
      let text = Buffer.alloc(0);
      for await (const chunk of await this.runtime.logs(id, options)) {
        text = Buffer.concat([text, chunk as Buffer]).subarray(-mostLog_bytes);
      }
      return text.toString("utf8");
    } catch (error) {
      return `Error on reading termination message from logs: ${(error as Error).message}`;
    }
  }
}

function readEnd(path: string): string {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    return errnoOf(error) === "ENOENT" ? "" : `Error on reading termination log ${path}: ${(error as Error).message}`;
  }
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, mostMessage_bytes));
    readSync(file, buffer, 0, buffer.length, Math.max(0, size - mostMessage_bytes));
    return buffer.toString("utf8");
  } finally {
    closeSync(file);
  }
}
