import { filesystemOn, makeFilesystem, repairFilesystem } from "#agent/host/filesystem-programs.ts";
import type { Host } from "#agent/host/host.ts";
import type { Log } from "#shared/client/log.ts";
import { mountByProgram } from "./mount-words.ts";

/** The device holds another file system than the one that was asked for. */
export class FilesystemMismatch extends Error {
  override readonly name = "FilesystemMismatch";
}

export interface DeviceMount {
  readonly device: string;
  readonly target: string;
  readonly fsType: string;
  /** Of mount(8). */
  readonly options: readonly string[];
}

/**
 * Mounts a block device, and makes the file system first where there is nothing on it; what is there is checked, and never
 * written over. Rejects with Error in the words of upstream's mount-utils (formatAndMountSensitive).
 */
export async function formatAndMount(host: Host, mount: DeviceMount, log: Log): Promise<void> {
  const { device, target, fsType, options } = mount;
  const isReadOnly = options.includes("ro");
  const existing = await filesystemOn(device).catch((error: Error) => {
    throw new Error(`failed to get disk format of disk ${device}: ${error.message}`, { cause: error });
  });
  const all = [...options, "defaults"];
  if (existing === "") {
    if (isReadOnly)
      throw new Error(`cannot mount unformatted disk ${device} as we are manipulating it in read-only mode`);
    log.info("a disk without a file system is given one", { device, fsType });
    await makeFilesystem(fsType, device).catch((error: Error) => {
      const about = `type:("${fsType}") target:("${target}") options:("${all.join(",")}")`;
      throw new Error(`format of disk "${device}" failed: ${about} ${error.message}`, { cause: error });
    });
  } else if (!isReadOnly) {
    await repairFilesystem(device, (message, output) => log.warn(message, { device, output }));
  }
  try {
    await mountByProgram(host, { type: fsType, source: device, target, options: all });
  } catch (error) {
    if (existing === "" || existing === fsType) throw error;
    throw new FilesystemMismatch((error as Error).message, { cause: error });
  }
}
