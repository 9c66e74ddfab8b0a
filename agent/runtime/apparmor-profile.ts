import { readFile } from "node:fs/promises";
import { RuntimeError } from "./runtime.ts";

const loadedProfiles = "/sys/kernel/security/apparmor/profiles";
const localPrefix = "localhost/";

/**
 * Rejects with RuntimeError (cannot-start), in containerd's words, for a profile of the board (`localhost/NAME`) that the kernel has not
 * loaded. Docker hands any name to the kernel, for which `unconfined`, alone or stacked (`a//&b`), is one too: a pod would be rid of
 * all profiles by naming one.
 */
export async function assertProfileLoaded(apparmor: string | undefined, file: string = loadedProfiles): Promise<void> {
  if (!apparmor?.startsWith(localPrefix)) return;
  const name = apparmor.slice(localPrefix.length);
  const loaded = await readFile(file, "utf8").catch((error: unknown) => {
    throw new RuntimeError("cannot-start", `apparmor profile not found ${name}`, { cause: error });
  });
  // Lines of a name and a mode: `docker-default (enforce)`.
  if (!loaded.split("\n").some((line) => line.endsWith(")") && line.replace(/ \(\w+\)$/, "") === name))
    throw new RuntimeError("cannot-start", `apparmor profile not found ${name}`);
}
