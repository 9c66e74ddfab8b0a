import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import { podUid } from "../pod-containers.ts";
import { wholeOf } from "../pod-qos.ts";
import type { Allocation, Allocations } from "./allocations.ts";
import { ContainerAllocateResponse, type Device } from "./device-messages.ts";
import { type DeviceSource, healthy } from "./device-source.ts";

/** The pod cannot have the devices that it asks for. Worded as upstream, for the pod's status. */
export class AllocationError extends Error {
  override readonly name = "AllocationError";
}

interface Resource {
  /** Absent: its plug-in has gone. */
  source: DeviceSource | undefined;
  devices: readonly Device[];
  /** When the source went (monotonic). */
  gone_ms: number | undefined;
}

export interface ResourceCounts {
  readonly capacity: Readonly<Record<string, string>>;
  readonly allocatable: Readonly<Record<string, string>>;
}

/** A plug-in that is back within this time, after an update, is not missed: then its resource counts nothing. */
const grace_ms = 300_000;

/** Devices of the board by resource, and which container has which. */
export class DeviceManager {
  readonly #resources = new Map<string, Resource>();
  /** Admissions one after the other: two pods must not be given the same device. */
  #admitting: Promise<unknown> = Promise.resolve();

  constructor(
    readonly allocations: Allocations,
    readonly log: Log,
    /** Called when the Node is to report other numbers. */
    readonly onChange: () => void,
    readonly now_ms: () => number = () => performance.now(),
  ) {}

  /** Takes up what an earlier run has given out. */
  async start(): Promise<void> {
    for (const resource of await this.allocations.load())
      this.#resources.set(resource, { source: undefined, devices: [], gone_ms: this.now_ms() });
  }

  /** The devices of a resource are now these. */
  setDevices(resource: string, source: DeviceSource, devices: readonly Device[]): void {
    const before = this.#resources.get(resource);
    const same = before?.source !== undefined && sameDevices(before.devices, devices);
    this.#resources.set(resource, { source, devices, gone_ms: undefined });
    if (same) return;
    this.onChange();
    void this.#save();
  }

  /** The source is not there any more; what it gave out stays with its containers. */
  sourceGone(resource: string, source: DeviceSource): void {
    const known = this.#resources.get(resource);
    if (known?.source !== source) return;
    const devices = known.devices.map((device) => ({ ...device, health: "Unhealthy" }));
    this.#resources.set(resource, { source: undefined, devices, gone_ms: this.now_ms() });
    this.onChange();
  }

  /** What the Node has of these resources; one whose source has been away for long counts nothing. */
  counts(): ResourceCounts {
    const capacity: Record<string, string> = {};
    const allocatable: Record<string, string> = {};
    for (const [name, { devices, gone_ms }] of this.#resources) {
      const isLost = gone_ms !== undefined && this.now_ms() - gone_ms > grace_ms;
      capacity[name] = String(isLost ? 0 : devices.length);
      allocatable[name] = String(isLost ? 0 : healthyIds(devices).length);
    }
    return { capacity, allocatable };
  }

  devices(): { resource: string; devices: readonly Device[] }[] {
    return [...this.#resources].map(([resource, { devices }]) => ({ resource, devices }));
  }

  /**
   * Gives the pod's containers what their limits ask for; what they have already stays. Rejects with AllocationError,
   * nothing given out then.
   */
  allocate(pod: Pod): Promise<void> {
    const wants = containersOf(pod).some(({ container }) => this.#wanted(container).length > 0);
    if (!wants) return Promise.resolve();
    const run = this.#admitting.then(() => this.#allocatePod(pod));
    this.#admitting = run.catch(() => undefined);
    return run;
  }

  async #allocatePod(pod: Pod): Promise<void> {
    const uid = podUid(pod);
    /** Of init containers that have ended by then, for those that follow. */
    const reusable = new Map<string, Set<string>>();
    try {
      for (const { container, leavesDevices } of containersOf(pod)) {
        for (const { resource, count } of this.#wanted(container)) {
          const given = await this.#allocateContainer(uid, container.name, resource, count, reusable.get(resource));
          const free = reusable.get(resource) ?? new Set();
          for (const id of given) leavesDevices ? free.add(id) : free.delete(id);
          reusable.set(resource, free);
        }
      }
    } catch (error) {
      this.allocations.remove(uid);
      throw error instanceof AllocationError ? error : new AllocationError((error as Error).message, { cause: error });
    }
    await this.#save();
  }

  async #allocateContainer(
    uid: string,
    container: string,
    resource: string,
    count: number,
    reusable: ReadonlySet<string> = new Set(),
  ): Promise<readonly string[]> {
    const present = this.allocations.of(uid, container).find((each) => each.resource === resource);
    if (present) return present.deviceIds;
    const { source, devices } = this.#resources.get(resource) ?? { source: undefined, devices: [] };
    const usable = new Set(healthyIds(devices));
    if (!source || usable.size === 0)
      throw new AllocationError(`no healthy devices present; cannot allocate unhealthy devices ${resource}`);
    const used = this.allocations.inUse(resource);
    const mustInclude = [...reusable].filter((id) => usable.has(id)).slice(0, count);
    const free = [...usable].filter((id) => !used.has(id) && !reusable.has(id)).toSorted();
    const available = [...mustInclude, ...free];
    if (available.length < count) {
      const text = `requested number of devices unavailable for ${resource}. Requested: ${count}, Available: ${available.length}`;
      throw new AllocationError(text);
    }
    const preferred = (await source.prefer?.(available, mustInclude, count)) ?? [];
    const chosen = choose(available, mustInclude, preferred, count);
    const response = whole(await source.allocate(chosen));
    this.allocations.add({ podUid: uid, container, resource, deviceIds: chosen, response });
    return chosen;
  }

  #wanted(container: Container): { resource: string; count: number }[] {
    const { limits = {} } = container.resources ?? {};
    return Object.keys(limits)
      .filter((name) => this.#resources.has(name))
      .toSorted()
      .map((resource) => ({ resource, count: wholeOf(limits, resource) }))
      .filter(({ count }) => count > 0);
  }

  /** What a container has, for its start. Tells the sources of it first. Rejects when one is not ready for it. */
  async forStart(podUid: string, container: string): Promise<readonly Allocation[]> {
    const own = this.allocations.of(podUid, container);
    const current: Allocation[] = [];
    for (const allocation of own) {
      const source = this.#resources.get(allocation.resource)?.source;
      await source?.preStart?.(allocation.deviceIds);
      const renewed = await source?.atStart?.(allocation.deviceIds);
      current.push(renewed ? { ...allocation, response: whole(renewed) } : allocation);
    }
    return current;
  }

  /** The pod has ended. */
  release(podUid: string): void {
    if (this.allocations.remove(podUid)) void this.#save();
  }

  /** Takes back what pods have that this board does not know any more. */
  retain(isKnown: (podUid: string) => boolean): void {
    for (const uid of new Set(this.allocations.all().map(({ podUid }) => podUid))) if (!isKnown(uid)) this.release(uid);
  }

  async #save(): Promise<void> {
    const registered = new Map([...this.#resources].map(([name, { devices }]) => [name, healthyIds(devices)]));
    try {
      await this.allocations.save(registered);
    } catch (error) {
      this.log.error("who has which devices could not be written", { error });
    }
  }
}

/** With what the source left out. */
const whole = (response: Partial<ContainerAllocateResponse>): ContainerAllocateResponse =>
  ContainerAllocateResponse.decode(ContainerAllocateResponse.encode(response));

const healthyIds = (devices: readonly Device[]): string[] =>
  devices.filter(({ health }) => health === healthy).map(({ id }) => id);

const sameDevices = (a: readonly Device[], b: readonly Device[]): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Containers in the order in which they are served; those of an init container serve the next when it has ended. */
function containersOf({ spec }: Pod): { container: Container; leavesDevices: boolean }[] {
  return [
    ...(spec.initContainers ?? []).map((container) => ({
      container,
      leavesDevices: container.restartPolicy !== "Always",
    })),
    ...spec.containers.map((container) => ({ container, leavesDevices: false })),
  ];
}

/** The source's choice, as far as it is one of what is there; filled up in order. */
function choose(
  available: readonly string[],
  mustInclude: readonly string[],
  preferred: readonly string[],
  count: number,
): string[] {
  const there = new Set(available);
  const order = [...mustInclude, ...preferred.filter((id) => there.has(id)), ...available];
  return [...new Set(order)].slice(0, count);
}
