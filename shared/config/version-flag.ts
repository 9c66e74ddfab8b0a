/** --version of components that run alone, as upstream's take it (k8s.io/component-base/version/verflag). */
import { type Command, Option as Flag, InvalidArgumentError } from "commander";
import { gitVersion, reportVersion } from "#shared/version.ts";
import { versionInfo } from "#shared/version-info.ts";

/** What of Go's strconv.ParseBool leaves the component running. */
const no = new Set(["0", "f", "F", "false", "FALSE", "False"]);
const yes = new Set(["1", "t", "T", "true", "TRUE", "True"]);

/** Gives a component the flag; where it asks what this is, the process prints that and ends. */
export function withVersionFlag(command: Command): Command {
  return command.addOption(
    new Flag("--version [WHAT]", "print the version and end, with raw all of it; a vX.Y.Z-… is reported instead")
      .preset("true")
      .argParser((asked) => {
        const answer = answerTo(asked);
        if (answer === undefined) return asked;
        process.stdout.write(`${answer}\n`);
        process.exit(0);
      }),
  );
}

/** Undefined where nothing is to be printed. Throws InvalidArgumentError. */
function answerTo(asked: string): string | undefined {
  if (asked === "raw") return inGoSyntax(versionInfo());
  if (yes.has(asked)) return `Kubernetes ${gitVersion()}`;
  if (no.has(asked)) return undefined;
  try {
    reportVersion(asked);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
  return undefined;
}

/** As Go's %#v shows version.Info. */
function inGoSyntax(info: Readonly<Record<string, string>>): string {
  const fields = Object.entries(info).map(
    ([name, value]) => `${name.charAt(0).toUpperCase()}${name.slice(1)}:${JSON.stringify(value)}`,
  );
  return `version.Info{${fields.join(", ")}}`;
}
