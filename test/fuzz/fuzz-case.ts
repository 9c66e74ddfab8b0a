/** What one case of the fuzzer is. */
import type { Sample } from "./bodies.ts";
import type { Random } from "./random.ts";

/**
 * What the client does after it has sent all: waits for a whole answer, waits for the beginning of one that may last (and
 * sends the rest then), or goes away, since the server may rightly wait for more.
 */
export type Ending = "answer" | "begin" | "leave";

export interface FuzzCase {
  readonly seed: number;
  readonly shape: string;
  /** HTTP/1.1 by TLS, or HTTP/2; by plain TCP no TLS is spoken. */
  readonly over: "tls" | "h2" | "tcp";
  readonly as: "admin" | "anonymous";
  readonly ending: Ending;
  readonly head: Buffer;
  /** Sent when the answer has begun (upgraded connections), else right after. */
  readonly rest: Buffer;
}

/** What a shape decides of a case. */
export type Sent = Omit<FuzzCase, "seed" | "shape">;

/** @param namespace in which objects are made. */
export type Shape = (random: Random, samples: readonly Sample[], namespace: string) => Sent;
