import { type FilesystemMount, type Host, HostError } from "#agent/host/host.ts";

/** A board's disk or a server answers within this, or never. */
const mount_timeout_ms = 120_000;

/** Mounts by mount(8). Rejects with Error in the words of upstream's kubelet, which people search for. */
export async function mountByProgram(host: Host, mount: Omit<FilesystemMount, "timeout_ms">): Promise<void> {
  try {
    await host.mountFilesystem({ ...mount, timeout_ms: mount_timeout_ms });
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const { type, source, target, options } = mount;
    const given = ["-t", type, ...(options.length > 0 ? ["-o", options.join(",")] : []), source, target];
    const end = error.exitStatus === undefined ? error.code : `exit status ${error.exitStatus}`;
    const lines = [`mount failed: ${end}`, "Mounting command: mount", `Mounting arguments: ${given.join(" ")}`];
    throw new Error(`${lines.join("\n")}\nOutput: ${error.detail}\n`, { cause: error });
  }
}

/** Options of mount(8), each once, in the order that upstream puts them. */
export const joinedOptions = (...options: readonly string[]): string[] => [...new Set(options)].filter(Boolean).sort();
