import { readdir, readFile } from "node:fs/promises";
import { errnoOf } from "#shared/files/if-present.ts";
import type { ProbeFileFacts } from "./facts.ts";
import { mountOf, parseMounts } from "./mounts.ts";

/**
 * Where the shims of a running containerd, Docker's too, put the file by which they hand each exec to runc: XDG_RUNTIME_DIR
 * of the environment that they have from containerd, else TMPDIR, else /tmp (go-runc, Exec). Undefined where no containerd
 * runs or its environment may not be read.
 * @param proc where the kernel shows processes
 */
export async function probeFilesOf(proc = "/proc"): Promise<ProbeFileFacts | undefined> {
  for (const pid of (await readdir(proc)).filter((name) => /^\d+$/.test(name))) {
    try {
      if ((await readFile(`${proc}/${pid}/comm`, "utf8")) !== "containerd\n") continue;
      const folder = folderIn(await readFile(`${proc}/${pid}/environ`, "utf8"));
      const type = mountOf(folder, parseMounts(await readFile(`${proc}/${pid}/mountinfo`, "utf8")))?.fileSystem;
      return { folder, isInMemory: type === "tmpfs" || type === "ramfs" };
    } catch (error) {
      // It ended meanwhile, or it is another user's.
      if (!["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(errnoOf(error) ?? "")) throw error;
    }
  }
  return undefined;
}

function folderIn(environment: string): string {
  const values = new Map(
    environment
      .split("\0")
      .map((entry) => [entry.split("=", 1)[0] ?? "", entry.slice(entry.indexOf("=") + 1)] as const),
  );
  return values.get("XDG_RUNTIME_DIR") || values.get("TMPDIR") || "/tmp";
}
