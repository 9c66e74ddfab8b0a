import { loadSettings } from "#shared/config/load.ts";
import { masterOptions, workerOptions } from "#shared/config/settings.ts";
import { probeMachine } from "./probe.ts";
import { judge, type Role, type Verdict } from "./verdict.ts";

const configFile = "/etc/bramble/config.yaml";

/**
 * `bramble check`: looks at this machine and prints a line for each thing that Bramble needs, with the mend for what is
 * missing. Resolves with the exit code: 0, or 1 when something must be mended first. Changes nothing that lasts; kernel
 * features are tried in a network namespace of their own.
 */
export async function runCheck(role: string): Promise<number> {
  if (role !== "master" && role !== "worker") {
    console.error(`--role: expected master or worker, got ${role}`);
    return 2;
  }
  const otherNames = Object.values({ ...masterOptions, ...workerOptions }).map((option) => option.name);
  const settings = loadSettings(masterOptions, {}, { path: configFile, required: false, otherNames });
  const verdicts = judge(await probeMachine(settings, role), role);
  for (const verdict of verdicts) console.log(renderVerdict(verdict));
  console.log(renderSummary(verdicts, role));
  return verdicts.some(({ level }) => level === "FAIL") ? 1 : 0;
}

/** `FAIL  cgroups: …` and, on a line of its own that can be copied, what mends it. */
export function renderVerdict({ level, subject, finding, mend }: Verdict): string {
  const line = `${level.padEnd(5)} ${subject}: ${finding}`;
  return mend === undefined ? line : `${line}\n        mend: ${mend}`;
}

export function renderSummary(verdicts: readonly Verdict[], role: Role): string {
  const fails = verdicts.filter(({ level }) => level === "FAIL").length;
  return fails === 0
    ? `This machine can be a ${role}.`
    : `${fails} ${fails === 1 ? "thing" : "things"} to mend before this machine can be a ${role}.`;
}
