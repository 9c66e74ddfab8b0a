import type { Level, Log } from "../client/log.ts";

/** A log that notes the lines that a journal would get, `LEVEL message`, without those of the level debug. */
export function notedLog(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const note =
    (level: Level) =>
    (message: string): unknown =>
      lines.push(`${level} ${message}`);
  const log: Log = {
    debug: () => undefined,
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
    named: () => log,
  };
  return { log, lines };
}
