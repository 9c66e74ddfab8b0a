/** The system's journal: where it is kept and how large it may become (journald.conf(5)). */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { systemdSettings } from "./systemd-settings.ts";
import type { Verdict } from "./verdict.ts";

export interface JournalFacts {
  readonly storage: string;
  /** Its bound on the card, as it is written; undefined: a tenth of the file system, at most 4 GiB. */
  readonly systemMaxUse: string | undefined;
  /** With Storage=auto, what makes it last. */
  readonly hasFolder: boolean;
}

/** install.sh writes it too, by INSTALL_BRAMBLE_JOURNAL, and bramble-uninstall.sh removes it. */
const ownFile = "/etc/systemd/journald.conf.d/50-bramble.conf";
const bound = "SystemMaxUse=64M";

/** undefined where no journald runs. @param root another tree than this machine's. */
export async function probeJournal(root = "/"): Promise<JournalFacts | undefined> {
  if (!existsSync(join(root, "run/systemd/journal"))) return undefined;
  const settings = await systemdSettings(root, "journald.conf");
  return {
    storage: settings.get("Storage") ?? "auto",
    systemMaxUse: settings.get("SystemMaxUse"),
    hasFolder: existsSync(join(root, "var/log/journal")),
  };
}

/** Whether it lasts on the card with journald's own bound. */
export const isUnbounded = ({ storage, systemMaxUse, hasFolder }: JournalFacts): boolean =>
  (storage === "persistent" || (storage === "auto" && hasFolder)) && (systemMaxUse ?? "") === "";

/** Pure. */
export function judgeJournal(facts: JournalFacts): Verdict {
  const subject = "journal";
  if (isUnbounded(facts))
    return {
      level: "note",
      subject,
      finding: "it is kept on the card, and may take a tenth of it (at most 4 GiB)",
      mend: `${bound} below [Journal] in ${ownFile}, then sudo systemctl restart systemd-journald; or Storage=volatile: in memory alone`,
    };
  if (facts.storage === "none")
    return { level: "note", subject, finding: "Storage=none: nothing is kept of what happens" };
  const isKept = facts.storage === "persistent" || (facts.storage === "auto" && facts.hasFolder);
  return { level: "ok", subject, finding: isKept ? `at most ${facts.systemMaxUse} on the card` : "in memory" };
}

export async function boundJournal(): Promise<string> {
  await writeSecureFile(
    ownFile,
    `# bramble-uninstall.sh removes this file.\n[Journal]\n${bound}\nRuntimeMaxUse=32M\n`,
    0o644,
  );
  return ownFile;
}
