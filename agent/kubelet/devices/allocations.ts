import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Log } from "#shared/client/log.ts";
import { errnoOf } from "#shared/files/if-present.ts";
import { ContainerAllocateResponse } from "./device-messages.ts";

/** Devices of one resource that a container has. */
export interface Allocation {
  readonly podUid: string;
  readonly container: string;
  readonly resource: string;
  readonly deviceIds: readonly string[];
  readonly response: ContainerAllocateResponse;
}

/** As upstream's kubelet keeps it, which tools of vendors read. "-1" is the NUMA node of devices that tell none. */
interface CheckpointFile {
  readonly Data: {
    readonly PodDeviceEntries: readonly {
      readonly PodUID: string;
      readonly ContainerName: string;
      readonly ResourceName: string;
      readonly DeviceIDs: Readonly<Record<string, readonly string[]>>;
      readonly AllocResp: string;
    }[];
    readonly RegisteredDevices: Readonly<Record<string, readonly string[]>>;
  };
}

/** Who has which device, on disk as it changes: containers that go on over an agent's end keep theirs. */
export class Allocations {
  #all: Allocation[] = [];
  #written: Promise<void> = Promise.resolve();

  constructor(
    readonly path: string,
    readonly log: Log,
  ) {}

  /** Reads what was written; gives the resources that were known then. A damaged file counts as none. */
  async load(): Promise<readonly string[]> {
    try {
      const { Data } = JSON.parse(await readFile(this.path, "utf8")) as CheckpointFile;
      this.#all = Data.PodDeviceEntries.map((entry) => ({
        podUid: entry.PodUID,
        container: entry.ContainerName,
        resource: entry.ResourceName,
        deviceIds: Object.values(entry.DeviceIDs).flat(),
        response: ContainerAllocateResponse.decode(Buffer.from(entry.AllocResp, "base64")),
      }));
      return Object.keys(Data.RegisteredDevices);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT")
        this.log.warn("the record of allocated devices is damaged: it begins anew", { path: this.path, error });
      return [];
    }
  }

  of(podUid: string, container?: string): readonly Allocation[] {
    return this.#all.filter(
      (each) => each.podUid === podUid && (container === undefined || each.container === container),
    );
  }

  all(): readonly Allocation[] {
    return this.#all;
  }

  inUse(resource: string): ReadonlySet<string> {
    return new Set(this.#all.filter((each) => each.resource === resource).flatMap(({ deviceIds }) => deviceIds));
  }

  add(allocation: Allocation): void {
    this.#all.push(allocation);
  }

  /** True when the pod had any. */
  remove(podUid: string): boolean {
    const kept = this.#all.filter((each) => each.podUid !== podUid);
    const changed = kept.length !== this.#all.length;
    this.#all = kept;
    return changed;
  }

  /** Resolves when what is known now is on disk. */
  save(registered: ReadonlyMap<string, readonly string[]>): Promise<void> {
    const file: CheckpointFile = {
      Data: {
        PodDeviceEntries: this.#all.map(({ podUid, container, resource, deviceIds, response }) => ({
          PodUID: podUid,
          ContainerName: container,
          ResourceName: resource,
          DeviceIDs: { "-1": deviceIds },
          AllocResp: ContainerAllocateResponse.encode(response).toString("base64"),
        })),
        RegisteredDevices: Object.fromEntries(registered),
      },
    };
    const write = async (): Promise<void> => {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o750 });
      await writeFile(`${this.path}.new`, JSON.stringify(file), { mode: 0o600, flush: true });
      await rename(`${this.path}.new`, this.path);
    };
    this.#written = this.#written.then(write, write);
    return this.#written;
  }
}
