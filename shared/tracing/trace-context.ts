/** Which trace a request belongs to (W3C Trace Context), and whether its spans are recorded. */

export interface TraceContext {
  /** 16 bytes. */
  readonly traceId: Buffer;
  /** 8 bytes: the span that another one is a part of. */
  readonly spanId: Buffer;
  readonly isSampled: boolean;
  /** What tracing systems on the way noted, as it came. */
  readonly state: string;
}

const ZEROS = /^0+$/;
const SAMPLED = 1;
/** Of version 0, as OpenTelemetry's library for Go has it. */
const MOST_FLAGS = 2;
const parentPattern = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** What a request's headers say; undefined where that is nothing, or not right. */
export function remoteContextOf(parent: string | undefined, state = ""): TraceContext | undefined {
  const [, version, trace = "", span = "", flagText = "", more] = parentPattern.exec(parent ?? "") ?? [];
  if (version === undefined || ZEROS.test(trace) || ZEROS.test(span)) return undefined;
  const flags = Number.parseInt(flagText, 16);
  if (version === "00" && (more !== undefined || flags > MOST_FLAGS)) return undefined;
  return {
    traceId: Buffer.from(trace, "hex"),
    spanId: Buffer.from(span, "hex"),
    isSampled: (flags & SAMPLED) !== 0,
    state,
  };
}

export const traceHeaderNames = ["traceparent", "tracestate"] as const;

/** By which a server that is asked learns which trace it is a part of, and by which span. */
export function traceHeaders({ traceId, spanId, isSampled, state }: TraceContext): Readonly<Record<string, string>> {
  const parent = `00-${traceId.toString("hex")}-${spanId.toString("hex")}-${isSampled ? "01" : "00"}`;
  return { traceparent: parent, ...(state === "" ? {} : { tracestate: state }) };
}

const MILLION = 1_000_000;
const HALF_RANGE = 2 ** 63;

/** Whether a trace that begins here is recorded: so many of a million, by its ID, so that all who see it agree. */
export function isSampledByRatio(traceId: Buffer, ratePerMillion: number): boolean {
  if (ratePerMillion >= MILLION) return true;
  const bound = BigInt(Math.floor((ratePerMillion / MILLION) * HALF_RANGE));
  return traceId.readBigUInt64BE(8) >> 1n < bound;
}
