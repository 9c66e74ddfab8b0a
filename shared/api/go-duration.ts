/** Durations as Go writes and reads them (time.ParseDuration, Duration.String): `1h2m3.5s`. In nanoseconds. */

const longestText = 1024;
const longest_ns = 2n ** 63n - 1n;

const units_ns: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const part = /(\d+)?(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)(?![^\d.])/gy;

/** undefined for what is none, or longer than Go can count; `goDurationFault` says why. */
export function parseGoDuration(text: string): bigint | undefined {
  const unsigned = text.replace(/^[-+]/, "");
  if (unsigned === "0") return 0n;
  const { total_ns, end } = readParts(unsigned);
  if (unsigned === "" || end !== unsigned.length || total_ns > longest_ns) return undefined;
  return text.startsWith("-") ? -total_ns : total_ns;
}

/** The same in milliseconds, with their fraction. */
export function parseGoDuration_ms(text: string): number | undefined {
  const parsed_ns = parseGoDuration(text);
  return parsed_ns === undefined ? undefined : Number(parsed_ns) / 1e6;
}

function readParts(text: string): { readonly total_ns: bigint; readonly end: number } {
  let total_ns = 0n;
  let end = 0;
  if (text.length > longestText) return { total_ns, end };
  for (const [all, whole = "", fraction = "", unit = ""] of text.matchAll(part)) {
    if (whole === "" && fraction === "") break;
    const unit_ns = units_ns[unit] ?? 0n;
    total_ns += BigInt(whole || "0") * unit_ns;
    if (fraction !== "") total_ns += (BigInt(fraction) * unit_ns) / 10n ** BigInt(fraction.length);
    end += all.length;
  }
  return { total_ns, end };
}

/** What Go says of a text that is no duration. */
export function goDurationFault(text: string): string {
  const unsigned = text.replace(/^[-+]/, "");
  if (unsigned.length > longestText) return "time: invalid duration: it is too long";
  const [, unit] = /^(?:\d+\.?\d*|\.\d+)([^\d.]*)/.exec(unsigned.slice(readParts(unsigned).end)) ?? [];
  if (unit === undefined) return `time: invalid duration ${JSON.stringify(text)}`;
  const fault = unit === "" ? "missing unit" : `unknown unit ${JSON.stringify(unit)}`;
  return `time: ${fault} in duration ${JSON.stringify(text)}`;
}

/** `1h0m0.5s`, `1.5ms`, `0s`. */
export function formatGoDuration(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return "0s";
  const sign = nanoseconds < 0n ? "-" : "";
  const value = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  if (value < 1_000n) return `${sign}${value}ns`;
  if (value < 1_000_000n) return `${sign}${decimal(value, 3)}µs`;
  if (value < 1_000_000_000n) return `${sign}${decimal(value, 6)}ms`;
  const minutes = value / 60_000_000_000n;
  const seconds = `${decimal(value % 60_000_000_000n, 9)}s`;
  if (minutes === 0n) return sign + seconds;
  if (minutes < 60n) return `${sign}${minutes}m${seconds}`;
  return `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`;
}

/** The same of milliseconds, to the microsecond. */
export const formatGoDuration_ms = (duration_ms: number): string =>
  formatGoDuration(BigInt(Math.round(duration_ms * 1e3)) * 1_000n);

function decimal(value: bigint, places: number): string {
  const digits = value.toString().padStart(places + 1, "0");
  const fraction = digits.slice(-places).replace(/0+$/, "");
  return digits.slice(0, -places) + (fraction === "" ? "" : `.${fraction}`);
}
