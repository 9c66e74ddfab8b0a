import type { Level, Log, LogFields } from "../client/log.ts";

/** A log that notes the lines that a journal would get, `LEVEL message`, without those of the level debug; and their fields. */
export function notedLog(): { readonly log: Log; readonly lines: string[]; readonly fields: LogFields[] } {
  const lines: string[] = [];
  const fields: LogFields[] = [];
  const note =
    (level: Level) =>
    (message: string, more: LogFields = {}): void => {
      lines.push(`${level} ${message}`);
      fields.push(more);
    };
  const log: Log = {
    debug: () => undefined,
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
    named: () => log,
  };
  return { log, lines, fields };
}
