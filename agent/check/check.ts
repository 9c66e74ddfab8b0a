import type { MasterSettings } from "#shared/config/settings.ts";
import type { MachineFacts } from "./facts.ts";
import { type Mendable, mendable, mendings } from "./mending.ts";
import { probeMachine } from "./probe.ts";
import { judge, type Role, type Verdict } from "./verdict.ts";

export interface CheckOptions {
  readonly role: Role;
  /** Mend without a question what can be: all of it, or what is named, with commas between. */
  readonly fix?: boolean | string | undefined;
}

/**
 * `bramble check`: looks at this machine and prints a line for each thing that Bramble needs, with the mend for what is
 * missing. Resolves with the exit code: 0, or 1 when something must be mended first. Kernel features are tried in a network
 * namespace of their own. Nothing that lasts is changed but with consent (`fix`, or a yes at a terminal): see mending.ts.
 */
export async function runCheck(settings: MasterSettings, { role, fix = false }: CheckOptions): Promise<number> {
  const wanted = fix === true ? mendable : fix === false ? [] : fix.split(",");
  const unknown = wanted.find((name) => !(mendable as readonly string[]).includes(name));
  if (unknown !== undefined) {
    console.error(`--fix: expected ${mendable.join(", ")}, got ${unknown}`);
    return 2;
  }
  const facts = await probeMachine(settings, role);
  const verdicts = judge(facts, role);
  for (const verdict of verdicts) console.log(renderVerdict(verdict));
  console.log(renderSummary(verdicts, role));
  await mend(facts, wanted as readonly Mendable[]);
  return verdicts.some(({ level }) => level === "FAIL") ? 1 : 0;
}

/** Says what it did and what is to be done then. */
async function mend(facts: MachineFacts, wanted: readonly Mendable[]): Promise<void> {
  for (const { what, path, question, apply } of mendings(facts)) {
    const isAsked = wanted.includes(what);
    if (!facts.isRoot) {
      if (isAsked) console.error(`${path} is root's: sudo bramble check --fix`);
      continue;
    }
    if (!isAsked && !(process.stdin.isTTY && confirm(question))) continue;
    try {
      console.log(await apply());
    } catch (error) {
      console.error(`${path} was left as it is: ${(error as Error).message}`);
    }
  }
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
