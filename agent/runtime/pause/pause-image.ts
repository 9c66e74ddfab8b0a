import { scratchImageArchive } from "../scratch-image.ts";
import { pauseBinaries } from "./binaries.generated.ts";

/** The version counts changes of the program, so that a board that has an older image loads the new one. */
export const pauseImageReference = "bramble.local/pause:1";

/** The pause image for a GOARCH, as a tar for `docker load`. RangeError for an architecture without a program. */
export function pauseImageArchive(architecture: string): Uint8Array<ArrayBuffer> {
  const binary = { amd64: pauseBinaries.x64, arm64: pauseBinaries.arm64 }[architecture];
  if (binary === undefined) throw new RangeError(`no pause program for ${architecture}`);
  return scratchImageArchive({
    reference: pauseImageReference,
    architecture,
    entries: [{ path: "pause", mode: 0o755, content: Buffer.from(binary, "base64") }],
    config: { Entrypoint: ["/pause"] },
  });
}
