import { readFile } from "node:fs/promises";
import { errnoOf } from "#shared/files/if-present.ts";

/** How long tasks have waited for a resource (the kernel's pressure stall information, PSI). */
export interface Stall {
  readonly total_us: number;
  /** Per cent of the last 10, 60 and 300 seconds. */
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
}

/** `some`: at least one task waited; `full`: none could go on. */
export interface Stalls {
  readonly some: Stall;
  readonly full: Stall;
}

/** Of the whole board, or of one control group; a resource that the kernel does not watch is absent. */
export interface ResourceStalls {
  readonly cpu?: Stalls | undefined;
  readonly memory?: Stalls | undefined;
  readonly io?: Stalls | undefined;
}

const none: Stall = { total_us: 0, avg10: 0, avg60: 0, avg300: 0 };

/** Reads the kernel's text; older kernels have no line `full` for the CPU (pure). */
function parseStalls(text: string): Stalls {
  const of = (kind: string): Stall => {
    const match = new RegExp(`^${kind} avg10=(\\S+) avg60=(\\S+) avg300=(\\S+) total=(\\d+)`, "m").exec(text);
    if (!match) return none;
    const [avg10 = 0, avg60 = 0, avg300 = 0, total_us = 0] = match.slice(1).map(Number);
    return { total_us, avg10, avg60, avg300 };
  };
  return { some: of("some"), full: of("full") };
}

/** @param file names the file of a resource: `/proc/pressure/cpu`, or a control group's `cpu.pressure`. */
export async function readStalls(file: (resource: "cpu" | "memory" | "io") => string): Promise<ResourceStalls> {
  const read = async (resource: "cpu" | "memory" | "io"): Promise<Stalls | undefined> => {
    try {
      return parseStalls(await readFile(file(resource), "utf8"));
    } catch (error) {
      // Built without it, or switched off at boot: some kernels then show the file and refuse to read it.
      const code = errnoOf(error);
      if (code === "ENOENT" || code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "ENODEV") return undefined;
      throw error;
    }
  };
  const [cpu, memory, io] = await Promise.all([read("cpu"), read("memory"), read("io")]);
  return { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}), ...(io ? { io } : {}) };
}
