/** How often systemd-timesyncd notes the time in a file (timesyncd.conf(5)): each note is a commit of the card's file system. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { systemdSettings } from "./systemd-settings.ts";
import type { Verdict } from "./verdict.ts";

/** As it is written; empty: each minute, its own default. */
export type ClockSaves = string;

/** undefined where it does not run. @param root another tree than this machine's. */
export async function probeClockSaves(root = "/"): Promise<ClockSaves | undefined> {
  if (!existsSync(join(root, "run/systemd/timesync"))) return undefined;
  return (await systemdSettings(root, "timesyncd.conf")).get("SaveIntervalSec") ?? "";
}

/** Pure. */
export function judgeClockSaves(saves: ClockSaves): Verdict {
  const subject = "clock file";
  if (saves !== "") return { level: "ok", subject, finding: `systemd-timesyncd notes the time each ${saves}` };
  return {
    level: "note",
    subject,
    finding: "systemd-timesyncd notes the time on the card each minute",
    mend: "install.sh with INSTALL_BRAMBLE_CLOCK_SAVE=1h; Bramble begins at the newest time that its own files show anyway",
  };
}
