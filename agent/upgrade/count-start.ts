import { ConfigError } from "#shared/config/option.ts";
import { version } from "#shared/version.ts";
import { InstalledProgram } from "./program.ts";
import { judgeStart, UpgradeFile } from "./upgrade-state.ts";

/** The program before is in place again. This one ends in good order, so that what keeps the agent running starts that at once. */
class TakenBack extends ConfigError {
  readonly exitStatus = 0;
}

/**
 * Counts a start of this board's agent, before anything of the agent is loaded: a program on trial that has had its
 * chances puts the one before back. Rejects then, so that what keeps the agent running starts that one, with the status 0.
 */
export async function countStart(dataDir: string): Promise<void> {
  const file = new UpgradeFile(dataDir);
  const verdict = judgeStart(await file.read(), version);
  switch (verdict.kind) {
    case "usual":
      return;
    case "trial":
    case "settled":
      return file.write(verdict.next);
    case "revert":
      await new InstalledProgram().restore();
      await file.write(verdict.next);
      throw new TakenBack(`${version} ${verdict.next.failure?.message ?? "failed"}: the program before is back`);
    default:
      verdict satisfies never;
  }
}
