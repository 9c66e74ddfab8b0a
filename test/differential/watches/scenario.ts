/** Writes, reads and watches in an order, the same to upstream's server and to ours. */
import type { Body } from "../wire/request.ts";

interface Step {
  /** Unique within its scenario. Paths of later steps may name it: `{after:LABEL}` is the newest revision when the step was
   *  done, `{of:LABEL}` the one in its answer, `{continue:LABEL}` where its list goes on. */
  readonly label: string;
}

export interface Request extends Step {
  readonly method: string;
  readonly path: string;
  readonly body?: Body;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Changes something. Its answer is compared by its code alone. */
export interface Write extends Request {
  readonly do: "write";
  /** Sent again until it is answered so: what follows from a definition comes a moment later. */
  readonly until?: number;
  /** Nothing is written. */
  readonly isIdle?: boolean;
}

/** Its answer is compared as a whole. */
export interface Read extends Request {
  readonly do: "read";
}

/** Begun before the next step is taken; every event up to the end of the scenario counts. */
export interface Watch extends Step {
  readonly do: "watch";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The server ends it. */
  readonly ends?: boolean;
}

/** The store forgets its history. */
export interface Compaction extends Step {
  readonly do: "compact";
}

/** The server is started anew over the same store: its caches begin with the present. */
export interface Restart extends Step {
  readonly do: "restart";
}

export type AnyStep = Write | Read | Watch | Compaction | Restart;

export interface Scenario {
  readonly name: string;
  readonly steps: readonly AnyStep[];
}

/** What is compared of a step. */
export interface Observed {
  readonly code: number;
  readonly type?: string;
  /** Seconds. */
  readonly retryAfter?: string;
  readonly body?: unknown;
  /** Of a watch. */
  readonly events?: readonly unknown[];
  readonly ended?: boolean;
}
