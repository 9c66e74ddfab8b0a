import type { ClockSaves } from "./clock-saves.ts";
import type { DockerDaemonFacts } from "./docker-daemon.ts";
import type { JournalFacts } from "./journal.ts";

/** What was seen of a machine; the probes fill it in, the judgement reads it. Undefined: it could not be found out. */
export interface MachineFacts {
  readonly isRoot: boolean;
  readonly processor: string;
  /** Kernel release, as `uname -r` says it. */
  readonly kernel: string;
  readonly pageSize_bytes: number | undefined;
  readonly hostName: string;
  readonly memory_bytes: number;
  /** Swap areas, zram left out, which wears no card. */
  readonly swap: readonly string[];
  /** There is swap in compressed memory. */
  readonly hasZram: boolean;
  readonly hasDefaultRoute: boolean;
  readonly kernelFeatures: readonly KernelFeature[];
  readonly cgroups: CgroupFacts;
  readonly runtime: RuntimeFacts;
  /** Undefined where Docker does not answer or something else runs containers. */
  readonly docker: DockerDaemonFacts | undefined;
  readonly journal: JournalFacts | undefined;
  readonly clockSaves: ClockSaves | undefined;
  readonly settings: SettingsFacts;
  readonly missingPrograms: readonly MissingProgram[];
  readonly cni: { readonly folders: readonly string[]; readonly missingPlugins: readonly string[] };
  readonly ports: readonly PortFacts[];
  readonly disk: DiskFacts;
  readonly folders: readonly FolderFacts[];
  /** Undefined also where no containerd runs. */
  readonly probeFiles: ProbeFileFacts | undefined;
  readonly clock: { readonly now_ms: number; readonly builtAt_ms: number };
  /** The supply is too weak now, or was since the board started. */
  readonly undervoltage: { readonly now: boolean | undefined; readonly sinceBoot: boolean | undefined };
}

export interface KernelFeature {
  readonly name: string;
  /** `needed`: pods or Services do not work without it. `useful`: only what `purpose` says is missing. */
  readonly weight: "needed" | "useful";
  readonly purpose: string;
  /** The module that brings it, where it is one. */
  readonly module: string | undefined;
  readonly state: "present" | "absent" | "unknown";
  /** What the kernel or tool said. */
  readonly detail: string;
}

export interface CgroupFacts {
  readonly version: 1 | 2;
  /** Controllers that pods can be limited by. */
  readonly controllers: readonly string[];
  /** Groups can be made. */
  readonly isWritable: boolean;
  /** Where this machine's boot arguments are kept, if it boots as a Raspberry Pi does. */
  readonly bootArgumentsFile: string | undefined;
  /** That file switches the memory controller on, from the next boot on if it is off. */
  readonly isAskedFor: boolean;
}

export interface SettingsFacts {
  /** What a person has to mend in them. */
  readonly problem?: string;
  /** Undefined where there is a problem. */
  readonly networks?: NetworkFacts;
}

export interface NetworkFacts {
  readonly pods: readonly string[];
  readonly services: readonly string[];
  /** Of the board's own links; empty where it is of a cluster already. */
  readonly board: readonly { readonly name: string; readonly cidr: string }[];
}

export interface RuntimeFacts {
  readonly socket: string;
  /** containerd or CRI-O by its own interface, else Docker's. */
  readonly isCri: boolean;
  readonly version: string | undefined;
  /** Why no version came. */
  readonly problem: string | undefined;
}

export interface MissingProgram {
  readonly program: string;
  readonly debianPackage: string;
  readonly purpose: string;
}

export interface PortFacts {
  readonly port: number;
  readonly purpose: string;
  /** Who listens there, as `name (PID n)`. Undefined: nobody. */
  readonly holder: string | undefined;
}

/** A folder that Bramble writes to. */
export interface FolderFacts {
  readonly path: string;
  /** The setting that moves it. */
  readonly setting: string;
  readonly purpose: string;
  readonly isWritable: boolean;
}

export interface DiskFacts {
  readonly path: string;
  readonly free_bytes: number;
  /** Undefined for file systems that have no fixed number. */
  readonly freeInodes: number | undefined;
  readonly isWritable: boolean;
}

/** Where containerd keeps the files by which it hands over execs, so also exec probes. */
export interface ProbeFileFacts {
  readonly folder: string;
  readonly isInMemory: boolean;
}
