/** Numbers and times as people read them. */

export function ageOf(time: string | undefined, now_ms = Date.now()): string {
  const then_ms = Date.parse(time ?? "");
  return Number.isNaN(then_ms) ? "–" : spanOf(Math.max(0, now_ms - then_ms) / 1000);
}

/** `5s`, `12m`, `3h`, `4d`. */
function spanOf(seconds: number): string {
  if (seconds < 120) return `${Math.floor(seconds)}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** The hour of a moment, as the reader's country writes it. */
export const timeOf = (at_ms: number): string => new Date(at_ms).toLocaleTimeString();

export const minuteOf = (at_ms: number): string =>
  new Date(at_ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytesOf(amount: number): string {
  let value = amount;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || Number.isInteger(value) || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `0.35 cores`, `12 m`. */
export function coresOf(cores: number): string {
  if (cores === 0) return "0";
  return cores < 0.1 ? `${Math.round(cores * 1000)} m` : `${cores.toFixed(2)}`;
}

export const percentOf = (part: number): string => `${Math.round(part * 100)}%`;

export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
