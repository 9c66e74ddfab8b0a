/** Of what a program that failed had printed before. */
const shownLines = 20;

/** Runs programs for the local cluster and says clearly which one failed. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  constructor(
    readonly command: readonly string[],
    readonly exitCode: number,
    readonly stderr: string,
    stdout = "",
  ) {
    const last = stdout.trimEnd().split("\n").slice(-shownLines).join("\n");
    super([`${command.join(" ")} failed with ${exitCode}: ${stderr.trim()}`, last].join("\n").trim());
  }
}

export function run(command: readonly string[]): string {
  const result = Bun.spawnSync({ cmd: [...command], stdin: "ignore" });
  if (result.exitCode !== 0)
    throw new CommandError(command, result.exitCode ?? -1, result.stderr.toString(), result.stdout.toString());
  return result.stdout.toString();
}

/** For steps that undo what may not be there. */
export function attempt(command: readonly string[]): boolean {
  return Bun.spawnSync({ cmd: [...command], stdin: "ignore" }).exitCode === 0;
}

/** Polls until `ready` gives something, or throws with what was waited for. */
export async function waitFor<T>(
  what: string,
  seconds: number,
  ready: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    // Looked at once more after the time is over: this process itself may have been kept busy meanwhile.
    const isLast = performance.now() > end;
    const value = await ready();
    if (value !== undefined) return value;
    if (isLast) throw new Error(`${what}: not within ${seconds} s`);
    await Bun.sleep(100);
  }
}
