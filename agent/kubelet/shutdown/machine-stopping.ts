import { execFile } from "node:child_process";
import { existsSync } from "node:fs";

const answer_ms = 5_000;

/** Is the whole machine going down, by what its init says: systemd, OpenRC or System V's? False where nobody knows. */
export async function isMachineStopping(root = "/"): Promise<boolean> {
  if (existsSync(`${root}run/systemd/system`)) return (await said("systemctl", "is-system-running")) === "stopping";
  if (existsSync(`${root}run/openrc/rc.stopping`)) return true;
  // The former run level and the one that is being entered: 0 is off, 6 a reboot.
  return /^\S+ [06]$/.test(await said("runlevel"));
}

/** Empty where there is no such program. It may end with a failure and have said all the same. */
function said(command: string, ...args: string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: answer_ms }, (_, stdout) => resolve(stdout.trim()));
  });
}
