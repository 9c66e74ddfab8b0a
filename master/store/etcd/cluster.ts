/** The members of one etcd cluster: calls go to one of them until it fails, then to the next. */
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";
import type { Log } from "#shared/client/log.ts";
import { type ChannelCredentials, GrpcChannel, type GrpcStream } from "#shared/grpc/channel.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";

export interface EtcdClusterOptions {
  /** A function is asked again whenever a member fails: members may have come and gone. */
  readonly endpoints: readonly string[] | (() => readonly string[]);
  readonly credentials: () => ChannelCredentials;
  readonly log: Log;
}

/** A member without a leader says so at once, rather than wait for one: such a call has certainly not been applied. */
const requireLeader = { metadata: { hasleader: "true" } } as const;
/** A message's length prefix beyond this is no message of etcd's. */
const longestMessage_bytes = 512 * 1024 * 1024;

const readFor_ms = 6_000;
const attempt_ms = 2_000;
const longestPause_ms = 400;

export class EtcdCluster {
  readonly #options: EtcdClusterOptions;
  #channels: readonly GrpcChannel[] = [];
  readonly #log: Log;
  #current: number;
  #failing = false;

  constructor(options: EtcdClusterOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#useEndpoints();
    // Several masters spread over the members.
    this.#current = Math.floor(Math.random() * this.#channels.length);
  }

  /** Keeps the connections to members that are still there. */
  #useEndpoints(): void {
    const { endpoints, credentials } = this.#options;
    const before = this.#channels;
    const wanted = (typeof endpoints === "function" ? endpoints() : endpoints).map((each) => new URL(each));
    // Those of before are better than none.
    if (wanted.length === 0 && before.length > 0) return;
    this.#channels = wanted.map(
      (endpoint) =>
        before.find((channel) => channel.endpoint === endpoint.origin) ??
        new GrpcChannel({ endpoint, credentials, longestMessage_bytes, pings: true }),
    );
    for (const channel of before) if (!this.#channels.includes(channel)) channel.close();
  }

  /** Asks member after member, for at most `within_ms`. Rejects with the GrpcError that says most of why. */
  async read(path: string, message: Uint8Array, within_ms = readFor_ms): Promise<Buffer> {
    const deadline_ms = performance.now() + within_ms;
    let why: unknown;
    for (let attempt = 0; ; attempt += 1) {
      const left_ms = deadline_ms - performance.now();
      try {
        return await this.attempt(path, message, Math.max(1, Math.min(left_ms, attempt_ms)));
      } catch (error) {
        why = moreTelling(why, error);
        const pause_ms = pauseAfter(attempt);
        if (!isPassing(error) || performance.now() + pause_ms >= deadline_ms) throw why;
        await Bun.sleep(pause_ms);
      }
    }
  }

  /** Asks the present member once; after a failure that another member may not have, the next call goes to the next. */
  async attempt(path: string, message: Uint8Array, timeout_ms: number): Promise<Buffer> {
    const channel = this.#member();
    try {
      const answer = await channel.unary(path, message, timeout_ms, requireLeader);
      if (this.#failing) this.#log.info("etcd answers again", { member: channel.endpoint });
      this.#failing = false;
      return answer;
    } catch (error) {
      this.#leave(channel, error);
      throw error;
    }
  }

  /** Opens a call that stays. What goes wrong on it later is for `leave`. */
  async stream(path: string): Promise<GrpcStream & { leave(error: unknown): void }> {
    const channel = this.#member();
    try {
      const stream = await channel.stream(path, requireLeader);
      return { ...stream, leave: (error) => this.#leave(channel, error) };
    } catch (error) {
      this.#leave(channel, error);
      throw error;
    }
  }

  #member(): GrpcChannel {
    const channel = this.#channels[this.#current];
    if (!channel) throw new Error("no etcd endpoint is named");
    return channel;
  }

  #leave(channel: GrpcChannel, error: unknown): void {
    if (!isPassing(error) || channel !== this.#member()) return;
    this.#useEndpoints();
    this.#current = (Math.max(0, this.#channels.indexOf(channel)) + 1) % this.#channels.length;
    if (!this.#failing)
      this.#log.warn("an etcd member does not serve; asking the next", { member: channel.endpoint, error });
    this.#failing = true;
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
  }
}

/** Doubles, with jitter, from 25 ms. */
export function pauseAfter(attempt: number): number {
  return exponentialDelay_ms(attempt, 25, longestPause_ms) * (0.75 + Math.random() / 2);
}

/** Of two failures the later one, unless that only ran out of time, for which the last attempt may have had little left (pure). */
export function moreTelling(before: unknown, after: unknown): unknown {
  const isLate = after instanceof GrpcError && after.code === GrpcCode.DeadlineExceeded;
  return isLate && before !== undefined ? before : after;
}

/** True for what another member, or the same one a moment later, may do well. */
export function isPassing(error: unknown): error is GrpcError {
  if (!(error instanceof GrpcError)) return false;
  const { Unavailable, DeadlineExceeded, Cancelled, Internal, Unknown } = GrpcCode;
  return ([Unavailable, DeadlineExceeded, Cancelled, Internal, Unknown] as number[]).includes(error.code);
}

/** etcd's refusals that are given before anything was proposed to the other members. */
const notProposed = ["etcdserver: no leader", "etcdserver: too many requests", "raft proposal dropped"];

/** True when a write that failed so may be in force all the same, now or later. */
export function isDoubtful(error: unknown): boolean {
  if (!isPassing(error)) return false;
  return error.mayHaveArrived && !notProposed.some((text) => error.message.includes(text));
}
