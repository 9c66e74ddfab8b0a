import { isIP } from "node:net";
import { parseGoDuration_ms } from "../api/go-duration.ts";

/** One setting: a flag on the command line and a key of the same name in the config file. */
export interface Option<V> {
  /** Kebab case, as in `--data-dir` and `data-dir:`. */
  readonly name: string;
  /** `DIR`, `SECONDS`; undefined for a switch. */
  readonly placeholder: string | undefined;
  readonly description: string;
  readonly fallback: V;
  /** What it stands under in the help of a command; undefined: among the first. */
  readonly heading?: string | undefined;
  /** Changes nothing: taken because upstream's component has it. Another value than upstream's own is told of. */
  readonly isWithoutEffect?: boolean | undefined;
  /** May the flag be given several times? */
  readonly repeatable: boolean;
  /** May the flag stand without its value? Then it is true. */
  readonly isValueOptional?: boolean | undefined;
  /** From the command line's text or the config file's value. Throws ConfigError with what was expected. */
  parse(value: unknown): V;
  /** As `parse` reads it in the config file, where that is not the value itself. */
  format?(value: V): string;
}

export type Options = Readonly<Record<string, Option<unknown>>>;
export type ValuesOf<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer V> ? V : never };

/** These options, for the help to show together under a heading. */
export function under<O extends Options>(heading: string, options: O): O {
  const headed = Object.entries(options).map(([key, option]) => [key, { ...option, heading }]);
  return Object.fromEntries(headed) as O;
}

/** These options are taken, and change nothing here. */
export function withoutEffect<O extends Options>(options: O): O {
  const marked = Object.entries(options).map(([key, option]) => [key, { ...option, isWithoutEffect: true }]);
  return under("Upstream's, without effect here:", Object.fromEntries(marked) as O);
}

export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

const expected = (name: string, what: string, value: unknown): ConfigError =>
  new ConfigError(`${name}: expected ${what}, got ${JSON.stringify(value)}`);

export function text(name: string, placeholder: string, description: string, fallback: string): Option<string> {
  return {
    name,
    placeholder,
    description,
    fallback,
    repeatable: false,
    parse: (value) => {
      if (typeof value !== "string" && typeof value !== "number") throw expected(name, "text", value);
      return String(value);
    },
  };
}

export function integer(
  name: string,
  placeholder: string,
  description: string,
  fallback: number,
  range: { min: number; max: number },
): Option<number> {
  return {
    name,
    placeholder,
    description,
    fallback,
    repeatable: false,
    parse: (value) => {
      const number = typeof value === "string" && /^-?\d+$/.test(value.trim()) ? Number(value) : value;
      if (!Number.isSafeInteger(number) || (number as number) < range.min || (number as number) > range.max) {
        throw expected(name, `a whole number from ${range.min} to ${range.max}`, value);
      }
      return number as number;
    },
  };
}

/** As `integer`, undefined unless it is given. */
export function optionalInteger(
  name: string,
  placeholder: string,
  description: string,
  range: { min: number; max: number },
): Option<number | undefined> {
  return { ...integer(name, placeholder, description, 0, range), fallback: undefined };
}

const wholeNumber = integer("v", "LEVEL", "", 0, { min: 0, max: 100 });

/** A number that need not be whole. */
export function decimal(
  name: string,
  placeholder: string,
  description: string,
  fallback: number,
  range: { min: number; max: number },
): Option<number> {
  return {
    name,
    placeholder,
    description,
    fallback,
    repeatable: false,
    parse: (value) => {
      const number = typeof value === "string" && /^\d*\.?\d+$/.test(value.trim()) ? Number(value) : value;
      if (typeof number !== "number" || !(number >= range.min && number <= range.max))
        throw expected(name, `a number from ${range.min} to ${range.max}`, value);
      return number;
    },
  };
}

/** A switch that is off unless given. In the config file: true or false. */
export function flag(name: string, description: string): Option<boolean> {
  return {
    name,
    placeholder: undefined,
    description,
    fallback: false,
    repeatable: false,
    parse: (value) => {
      if (value === true || value === "true") return true;
      if (value === false || value === "false") return false;
      throw expected(name, "true or false", value);
    },
  };
}

/** A switch that is on or off by default: `--name`, `--name=false`. */
export function toggle(name: string, description: string, fallback: boolean): Option<boolean> {
  return { ...flag(name, description), placeholder: "true|false", fallback, isValueOptional: true };
}

/** Milliseconds of a duration as Go writes it, `1m30s`; undefined for what is none, and for one with a sign. */
export const parseDuration_ms = (text: string): number | undefined =>
  /^[-+]/.test(text) ? undefined : parseGoDuration_ms(text);

const units_ms = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;

/** A duration as upstream's flags have it, `15s`; its value in milliseconds. */
export function duration(name: string, description: string, fallback: string): Option<number> {
  const parse = (value: unknown): number => {
    const parsed_ms = typeof value === "string" ? parseDuration_ms(value.trim()) : undefined;
    if (parsed_ms === undefined) throw expected(name, "a duration such as 15s or 1m30s", value);
    return parsed_ms;
  };
  const format = (value_ms: number): string => {
    if (value_ms === 0) return "0s";
    const unit = (["h", "m", "s"] as const).find((each) => value_ms % units_ms[each] === 0) ?? "ms";
    return `${value_ms / units_ms[unit]}${unit}`;
  };
  return { name, placeholder: "DURATION", description, fallback: parse(fallback), repeatable: false, parse, format };
}

/** How much is logged, as upstream's flag `-v`; undefined where it is not given. */
export const verbosity: Option<number | undefined> = {
  ...optionalInteger("v", "LEVEL", "upstream's number for that: from 4 on as --log-level debug", { min: 0, max: 100 }),
  // The command line's `-v=4` comes with its sign.
  parse: (value) => wholeNumber.parse(typeof value === "string" ? value.replace(/^=/, "") : value),
};

/** Whole seconds: as a number, or as a duration of Go's. */
export function seconds(
  name: string,
  description: string,
  fallback: number,
  range: { min: number; max: number },
): Option<number> {
  const whole = integer(name, "SECONDS", description, fallback, range);
  const parse = (value: unknown): number => {
    const duration_ms = typeof value === "string" ? parseDuration_ms(value.trim()) : undefined;
    return whole.parse(duration_ms === undefined ? value : duration_ms / 1000);
  };
  return { ...whole, parse };
}

/** As `seconds`, undefined unless it is given. */
export function optionalSeconds(
  name: string,
  description: string,
  range: { min: number; max: number },
): Option<number | undefined> {
  return { ...seconds(name, description, 0, range), fallback: undefined };
}

/** Repeatable, and each may hold several with commas. In the config file: a list, or text with commas. */
export function texts(
  name: string,
  placeholder: string,
  description: string,
  fallback: readonly string[] = [],
): Option<readonly string[]> {
  return {
    name,
    placeholder,
    description,
    fallback,
    repeatable: true,
    parse: (value) => {
      const list = Array.isArray(value) ? value : [value];
      return list.flatMap((item) => {
        if (typeof item !== "string" && typeof item !== "number") throw expected(name, "a list of texts", value);
        return String(item)
          .split(",")
          .map((part) => part.trim())
          .filter((part) => part !== "");
      });
    },
  };
}

const hostName = /^(\*\.)?[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*$/i;

/** As `texts`, of host names and addresses alone, as a certificate may be for. */
export function hosts(name: string, placeholder: string, description: string): Option<readonly string[]> {
  const list = texts(name, placeholder, description);
  const parse = (value: unknown): readonly string[] =>
    list.parse(value).map((host) => {
      if (isIP(host) === 0 && !hostName.test(host)) throw expected(name, "host names or addresses", host);
      return host;
    });
  return { ...list, parse };
}

/** As `texts`, of these alone; they are listed in the description. */
export function choices<const C extends string>(
  name: string,
  placeholder: string,
  description: string,
  known: readonly C[],
): Option<readonly C[]> {
  const list = texts(name, placeholder, `${description}: ${known.join(", ")}`);
  const isKnown = (part: string): part is C => (known as readonly string[]).includes(part);
  const parse = (value: unknown): readonly C[] =>
    list.parse(value).map((part) => {
      if (!isKnown(part)) throw expected(name, `some of ${known.join(", ")}`, part);
      return part;
    });
  return { ...list, fallback: [], parse };
}

export function choice<const C extends string>(
  name: string,
  description: string,
  choices: readonly C[],
  fallback: C,
): Option<C> {
  return {
    name,
    placeholder: choices.join("|"),
    description,
    fallback,
    repeatable: false,
    parse: (value) => {
      if (!choices.includes(value as C)) throw expected(name, `one of ${choices.join(", ")}`, value);
      return value as C;
    },
  };
}
