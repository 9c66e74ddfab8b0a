import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { podQosClass, type QosClass } from "../pod-qos.ts";

/** How a container runtime names control groups: folders, or slices of systemd. */
export type CgroupDriver = "cgroupfs" | "systemd";

/** A control group by the names of all above it, `["kubepods", "burstable", "pod1234"]`, whatever the driver. */
export type CgroupName = readonly string[];

/** Where the groups of pods stand, under upstream's names. Guaranteed pods stand beside the other two classes. */
export class PodCgroupNames {
  readonly kubepods: CgroupName;
  readonly burstable: CgroupName;
  readonly bestEffort: CgroupName;

  /** @param root the group that holds all of them, "/" for the topmost. */
  constructor(root: string) {
    this.kubepods = [...root.split("/").filter((part) => part !== ""), "kubepods"];
    this.burstable = [...this.kubepods, "burstable"];
    this.bestEffort = [...this.kubepods, "besteffort"];
  }

  get classes(): readonly CgroupName[] {
    return [this.kubepods, this.burstable, this.bestEffort];
  }

  pod(pod: Pod, uid: string): CgroupName {
    return [...this.#class(podQosClass(pod)), `pod${uid}`];
  }

  /** All the places that a pod's group may have, for one whose class is not known any more. */
  places(uid: string): CgroupName[] {
    return this.classes.map((name) => [...name, `pod${uid}`]);
  }

  #class(qos: QosClass): CgroupName {
    if (qos === "Guaranteed") return this.kubepods;
    return qos === "Burstable" ? this.burstable : this.bestEffort;
  }
}

/** The group's path below the mount of its hierarchy. */
export function cgroupPath(name: CgroupName, driver: CgroupDriver): string {
  if (driver === "cgroupfs") return `/${name.join("/")}`;
  return `/${name.map((_, index) => sliceName(name.slice(0, index + 1))).join("/")}`;
}

/** Systemd tells by the dashes which slice a slice is in, so those of a name become something else. */
function sliceName(name: CgroupName): string {
  return name.length === 0 ? "-.slice" : `${name.map((part) => part.replaceAll("-", "_")).join("-")}.slice`;
}

/** The pod's UID in the name of a folder; undefined where it is no pod's. */
export function podUidOfFolder(folder: string, driver: CgroupDriver): string | undefined {
  if (driver === "cgroupfs") return /^pod(.+)$/.exec(folder)?.[1];
  return /-pod([^-]+)\.slice$/.exec(folder)?.[1]?.replaceAll("_", "-");
}
