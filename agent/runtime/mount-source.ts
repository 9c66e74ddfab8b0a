import { mkdir } from "node:fs/promises";
import { errnoOf } from "#shared/files/if-present.ts";
import { RuntimeError } from "./runtime.ts";

/** Makes a directory where there is nothing to mount; what exists stays as it is. Rejects with RuntimeError. */
export async function ensureMountSource(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    // It exists and is a file, a socket or a device: that is mounted too.
    if (errnoOf(error) !== "EEXIST") {
      throw new RuntimeError("other", `mount source ${path}: ${(error as Error).message}`, { cause: error });
    }
  }
}
