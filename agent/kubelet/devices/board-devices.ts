import type { Peripheral } from "#agent/telemetry/peripherals.ts";
import { boardLabelPrefix } from "../node/node-status.ts";
import { findHardware, presentFiles } from "./board-hardware.ts";
import type { DeviceManager } from "./device-manager.ts";
import type { ContainerAllocateResponse } from "./device-messages.ts";
import { type DeviceSource, healthy } from "./device-source.ts";

/** A resource stays on the Node after its last device, counted as none: beyond so many, new ones are not offered. */
const mostResources = 64;

/** What hangs on the board itself, offered as extended resources by the names of its labels. */
export class BoardDevices {
  readonly #offered = new Map<Peripheral, DeviceSource>();
  #fingerprint: string | undefined;
  #updated: Promise<void> = Promise.resolve();

  constructor(
    readonly manager: DeviceManager,
    /** Where /dev and /sys are. */
    readonly root = "/",
  ) {}

  /** Resolves when what is there now is offered; looks only when `fingerprint` is another one than last time. */
  update(fingerprint: string): Promise<void> {
    const run = (): Promise<void> => this.#update(fingerprint);
    this.#updated = this.#updated.then(run, run);
    return this.#updated;
  }

  async #update(fingerprint: string): Promise<void> {
    if (fingerprint === this.#fingerprint) return;
    const found = await findHardware(this.root);
    for (const [name, source] of this.#offered) {
      if (found.has(name)) continue;
      this.#offered.delete(name);
      this.manager.sourceGone(boardLabelPrefix + name, source);
    }
    for (const [name, devices] of found) {
      const resource = boardLabelPrefix + name;
      const known = this.manager.devices();
      if (known.length >= mostResources && known.every((each) => each.resource !== resource)) continue;
      const source = this.#offered.get(name) ?? this.#sourceOf(name);
      this.#offered.set(name, source);
      const offered = devices.map(({ id }) => ({ id, health: healthy, topology: undefined }));
      this.manager.setDevices(resource, source, offered);
    }
    this.#fingerprint = fingerprint;
  }

  #sourceOf(name: Peripheral): DeviceSource {
    const give = (ids: readonly string[]): Promise<Partial<ContainerAllocateResponse>> => this.#give(name, ids);
    // A Coral by USB has another file once its firmware is loaded, and so has whatever was pulled out and put back.
    return { allocate: give, atStart: give };
  }

  async #give(name: Peripheral, ids: readonly string[]): Promise<Partial<ContainerAllocateResponse>> {
    const devices = (await findHardware(this.root)).get(name) ?? [];
    const files = new Set<string>();
    for (const id of ids) {
      const present = await presentFiles(this.root, devices.find((device) => device.id === id)?.files ?? []);
      if (present.length === 0) throw new Error(`the device ${id} of ${boardLabelPrefix}${name} is not there`);
      for (const file of present) files.add(file);
    }
    return {
      devices: [...files].map((file) => ({
        containerPath: `/dev/${file}`,
        hostPath: `${this.root}dev/${file}`,
        permissions: "rw",
      })),
    };
  }
}
