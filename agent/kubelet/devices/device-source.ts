import type { ContainerAllocateResponse } from "./device-messages.ts";

/** What provides the devices of one resource: a plug-in, or the board itself. Every call rejects with Error. */
export interface DeviceSource {
  /** What the runtime is to give a container for these devices. */
  allocate(deviceIds: readonly string[]): Promise<Partial<ContainerAllocateResponse>>;
  /** The source's own choice among what is free; undefined where it has none. */
  prefer?(
    available: readonly string[],
    mustInclude: readonly string[],
    size: number,
  ): Promise<readonly string[] | undefined>;
  /** Called before each start of a container that has devices of it. */
  preStart?(deviceIds: readonly string[]): Promise<void>;
  /** Asked at each start where what allocate gave may be out of date by then; takes its place. */
  atStart?(deviceIds: readonly string[]): Promise<Partial<ContainerAllocateResponse>>;
}

export const healthy = "Healthy";
