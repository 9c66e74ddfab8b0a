/** When the board is short of something, in upstream's terms: thresholds of signals, read as its flags and files write them. */
import type { Headroom, Pressures, Room } from "#agent/telemetry/pressure.ts";
import { goDurationFault, parseGoDuration_ms } from "#shared/api/go-duration.ts";
import { QuantityError, wholeValue } from "#shared/api/quantity.ts";
import { evictionOptions } from "#shared/config/eviction-options.ts";
import { ConfigError, type ValuesOf } from "#shared/config/option.ts";

/** What a signal's shortage does: the condition that tells of it, and what is reclaimed. */
interface SignalFacts {
  readonly pressure: keyof Pressures;
  readonly resource: ReclaimedResource;
  /** Undefined: nothing measures it here now. */
  readonly room: (headroom: Headroom) => Room | undefined;
}

/** Under the names that events and messages use. */
export type ReclaimedResource = "memory" | "ephemeral-storage" | "inodes" | "pids";

const signals = {
  "memory.available": { pressure: "memory", resource: "memory", room: ({ memory }) => memory },
  "nodefs.available": { pressure: "disk", resource: "ephemeral-storage", room: ({ disk }) => disk?.bytes },
  "nodefs.inodesFree": { pressure: "disk", resource: "inodes", room: ({ disk }) => disk?.inodes },
  "imagefs.available": { pressure: "disk", resource: "ephemeral-storage", room: ({ imageDisk }) => imageDisk?.bytes },
  "imagefs.inodesFree": { pressure: "disk", resource: "inodes", room: ({ imageDisk }) => imageDisk?.inodes },
  "pid.available": { pressure: "pids", resource: "pids", room: ({ processes }) => processes },
} as const satisfies Readonly<Record<string, SignalFacts>>;

export type BoardSignal = keyof typeof signals;

export const factsOfSignal = (signal: BoardSignal): SignalFacts => signals[signal];

/** Upstream knows these, and judges by those of nodefs and imagefs whatever they say. */
const derivedSignals = ["allocatableMemory.available", "containerfs.available", "containerfs.inodesFree"];

export type Amount =
  | { readonly kind: "absolute"; readonly value: number }
  | { readonly kind: "fraction"; readonly of1: number };

export const amountIn = (amount: Amount, capacity: number): number =>
  amount.kind === "absolute" ? amount.value : Math.trunc(capacity * amount.of1);

export interface Threshold {
  readonly signal: BoardSignal;
  readonly least: Amount;
  /** How long it may be passed before pods go for it; 0: a hard one. */
  readonly grace_ms: number;
  /** How much more must come free before it counts as left behind. */
  readonly reclaim?: Amount | undefined;
}

export const isHard = ({ grace_ms }: Threshold): boolean => grace_ms === 0;

export interface EvictionRules {
  readonly thresholds: readonly Threshold[];
  /** The longest grace period of a pod that goes for a soft threshold. */
  readonly longestGrace_s: number;
  /** A pressure that has gone counts until it has stayed away for this long. */
  readonly transition_ms: number;
}

export type EvictionSettings = ValuesOf<typeof evictionOptions>;

/** Throws ConfigError, in upstream's words. */
export function evictionRulesOf(options: EvictionSettings): EvictionRules {
  const hard = pairs("eviction-hard", options.evictionHard, "<");
  if (options.mergeDefaultEvictionSettings) {
    for (const [signal, value] of pairs("eviction-hard", evictionOptions.evictionHard.fallback, "<"))
      if (!hard.has(signal)) hard.set(signal, value);
  }
  const graces = read("eviction-soft-grace-period", options.evictionSoftGracePeriod, "=", gracePeriod_ms);
  const reclaims = read("eviction-minimum-reclaim", options.evictionMinimumReclaim, "=", minimumReclaim);
  const soft = valuesOf("eviction-soft", pairs("eviction-soft", options.evictionSoft, "<"), leastOf);
  const found: Omit<Threshold, "reclaim">[] = [];
  for (const [signal, least] of valuesOf("eviction-hard", hard, leastOf))
    if (least && isBoardSignal(signal)) found.push({ signal, least, grace_ms: 0 });
  for (const [signal, least] of soft) {
    const grace_ms = graces.get(signal);
    if (least && grace_ms === undefined)
      throw new ConfigError(`eviction-soft: grace period must be specified for the soft eviction threshold ${signal}`);
    if (least && isBoardSignal(signal)) found.push({ signal, least, grace_ms: grace_ms ?? 0 });
  }
  return {
    thresholds: found.map((threshold) => ({ ...threshold, reclaim: reclaims.get(threshold.signal) })),
    longestGrace_s: options.evictionMaxPodGracePeriod,
    transition_ms: options.evictionPressureTransitionPeriod,
  };
}

/** What a board goes by that was told nothing else. */
export const defaultEvictionRules: EvictionRules = evictionRulesOf({
  evictionHard: evictionOptions.evictionHard.fallback,
  evictionSoft: evictionOptions.evictionSoft.fallback,
  evictionSoftGracePeriod: evictionOptions.evictionSoftGracePeriod.fallback,
  evictionMinimumReclaim: evictionOptions.evictionMinimumReclaim.fallback,
  evictionMaxPodGracePeriod: evictionOptions.evictionMaxPodGracePeriod.fallback,
  evictionPressureTransitionPeriod: evictionOptions.evictionPressureTransitionPeriod.fallback,
  mergeDefaultEvictionSettings: evictionOptions.mergeDefaultEvictionSettings.fallback,
});

/** What hard thresholds keep from pods. */
export function evictionReserve(
  { thresholds }: EvictionRules,
  board: { readonly memory_bytes: number; readonly storage_bytes: number },
): { readonly memory_bytes: number; readonly storage_bytes: number } {
  const kept = (signal: BoardSignal, capacity: number): number => {
    const threshold = thresholds.find((each) => each.signal === signal && isHard(each));
    return threshold ? amountIn(threshold.least, capacity) : 0;
  };
  return {
    memory_bytes: kept("memory.available", board.memory_bytes),
    storage_bytes: kept("nodefs.available", board.storage_bytes),
  };
}

function isBoardSignal(signal: string): signal is BoardSignal {
  return Object.hasOwn(signals, signal);
}

function pairs(option: string, texts: readonly string[], separator: "<" | "="): Map<string, string> {
  return new Map(
    texts.map((text) => {
      const at = text.indexOf(separator);
      if (at < 0) throw new ConfigError(`${option}: malformed pair, expect string${separator}string: ${text}`);
      return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
    }),
  );
}

type Reader<V> = (signal: string, text: string) => V;

function read<V>(option: string, texts: readonly string[], separator: "=", reader: Reader<V>): Map<string, V> {
  return valuesOf(option, pairs(option, texts, separator), reader);
}

function valuesOf<V>(option: string, found: ReadonlyMap<string, string>, reader: Reader<V>): Map<string, V> {
  const values = new Map<string, V>();
  for (const [signal, text] of found) {
    if (!isBoardSignal(signal) && !derivedSignals.includes(signal))
      throw new ConfigError(`${option}: unsupported eviction signal ${signal}`);
    try {
      values.set(signal, reader(signal, text));
    } catch (error) {
      if (!(error instanceof QuantityError || error instanceof RangeError)) throw error;
      throw new ConfigError(`${option}: ${error.message}`);
    }
  }
  return values;
}

/** Undefined for 0% and 100%, which say that there is no threshold. */
function leastOf(signal: string, text: string): Amount | undefined {
  if (text === "0%" || text === "100%") return undefined;
  if (text.endsWith("%")) {
    const of1 = fraction(text);
    if (of1 < 0) throw new RangeError(`eviction percentage threshold ${signal} must be >= 0%: ${text}`);
    if (of1 > 1) throw new RangeError(`eviction percentage threshold ${signal} must be <= 100%: ${text}`);
    return { kind: "fraction", of1 };
  }
  const value = wholeValue(text);
  if (value <= 0) throw new RangeError(`eviction threshold ${signal} must be positive: ${text}`);
  return { kind: "absolute", value };
}

function gracePeriod_ms(_: string, text: string): number {
  const grace_ms = parseGoDuration_ms(text);
  if (grace_ms === undefined) throw new RangeError(goDurationFault(text));
  if (grace_ms < 0) throw new RangeError(`invalid eviction grace period specified: ${text}, must be a positive value`);
  return grace_ms;
}

function minimumReclaim(signal: string, text: string): Amount {
  if (text.endsWith("%")) {
    const of1 = fraction(text);
    if (of1 <= 0) throw new RangeError(`eviction percentage minimum reclaim ${signal} must be positive: ${text}`);
    return { kind: "fraction", of1 };
  }
  const value = wholeValue(text);
  if (value < 0) throw new RangeError(`negative eviction minimum reclaim specified for ${signal}`);
  return { kind: "absolute", value };
}

function fraction(text: string): number {
  const digits = text.replace(/%+$/, "");
  const percent = Number(digits);
  if (digits.trim() === "" || Number.isNaN(percent))
    throw new RangeError(`strconv.ParseFloat: parsing ${JSON.stringify(digits)}: invalid syntax`);
  return percent / 100;
}
