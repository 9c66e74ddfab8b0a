import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { readIfPresent } from "../files/if-present.ts";
import { writeSecureFile } from "../files/secure-file.ts";

/** Where hardware says its serial: the Pi's firmware, then what servers have. */
const hardwareFiles = [
  "/proc/device-tree/serial-number",
  "/sys/firmware/devicetree/base/serial-number",
  "/sys/class/dmi/id/product_uuid",
] as const;

/** What blank hardware answers. */
const empty = /^(0+|f+|unknown|none|to be filled.*|default string|not specified)?$/;

/**
 * What names this board and not its card: the hardware's serial, lower case. Hardware without one gets an identity in
 * `<dataDir>/board-id` on its first start; two boards started from copies of such a card cannot be told apart.
 */
export async function boardSerial(dataDir: string, files: readonly string[] = hardwareFiles): Promise<string> {
  for (const file of files) {
    const text = await readHardware(file);
    if (text !== undefined) return text;
  }
  const path = join(dataDir, "board-id");
  const known = (await readIfPresent(path))?.trim();
  if (known) return known;
  const made = randomUUID().replaceAll("-", "");
  await writeSecureFile(path, `${made}\n`);
  return made;
}

async function readHardware(file: string): Promise<string | undefined> {
  let text: string | undefined;
  try {
    text = await readIfPresent(file);
  } catch {
    // Not readable for whatever reason is as good as not there: the next source is asked.
    return undefined;
  }
  // Device tree strings end with a NUL.
  const serial = text?.replace(/\0/g, "").trim().toLowerCase();
  return serial && !empty.test(serial.replace(/-/g, "")) ? serial : undefined;
}
