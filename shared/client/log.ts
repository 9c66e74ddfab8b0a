/** Where the machinery reports what nobody waits for. One line an entry; fields are for whoever searches logs. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with a component's name put before each message. */
  named(name: string): Log;
}

export type LogFields = Readonly<Record<string, unknown>>;
export type Level = "debug" | "info" | "warn" | "error";
const rank: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Writes `LEVEL component: message key=value` lines to stderr, where systemd adds the time. */
export function stderrLog(least: Level = "info", name = ""): Log {
  const write = (level: Level, message: string, fields: LogFields = {}): void => {
    if (rank[level] < rank[least]) return;
    const tail = Object.entries(fields).map(([key, value]) => ` ${key}=${render(value)}`);
    process.stderr.write(`${level.toUpperCase()} ${name ? `${name}: ` : ""}${message}${tail.join("")}\n`);
  };
  return {
    debug: (message, fields) => write("debug", message, fields),
    info: (message, fields) => write("info", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    error: (message, fields) => write("error", message, fields),
    named: (child) => stderrLog(least, name ? `${name}/${child}` : child),
  };
}

/** Rejects once nobody takes the log any more: then this process says no word of what it does. */
export async function checkLog(): Promise<void> {
  const { destroyed, errored } = process.stderr;
  if (destroyed || errored) throw new Error("the log is closed", { cause: errored });
}

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  named: () => silentLog,
};

function render(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  if (typeof value === "string") return /^[\w./:@-]*$/.test(value) && value !== "" ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? "undefined";
}
