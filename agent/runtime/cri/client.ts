import { messageOf } from "#shared/api/joined-errors.ts";
import { GrpcChannel } from "#shared/grpc/channel.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import type { MessageType } from "#shared/grpc/message.ts";
import { RuntimeError, type RuntimeErrorKind } from "../runtime.ts";
import * as wire from "./messages.ts";

/** Upstream's runtimeRequestTimeout. */
const usualCall_ms = 2 * 60_000;
/** Ending a sandbox or a pull takes what it takes. */
export const longCall_ms = 30 * 60_000;
/** What a runtime gets beyond a grace period or a time limit of its own. */
export const patience_ms = 30_000;

/** A call's request and answer. */
export type CallTypes<Q, A> = readonly [MessageType<Q>, MessageType<A>];

export interface CriCall {
  /** What it is for, in errors. */
  readonly what: string;
  readonly timeout_ms?: number | undefined;
  /** What "not found" means here. */
  readonly notFound?: RuntimeErrorKind | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Calls to a container runtime's CRI socket. All reject with RuntimeError, whose cause is the GrpcError. */
export class CriClient {
  readonly #channel: GrpcChannel;

  /** @param call_ms how long a request has that says nothing else */
  constructor(
    socketPath: string,
    private readonly call_ms = usualCall_ms,
  ) {
    this.#channel = new GrpcChannel({ endpoint: new URL(`unix://${socketPath}`) });
  }

  /** A call of CRI's RuntimeService. */
  runtime<Q, A>(method: string, types: CallTypes<Q, A>, value: Partial<Q>, call: CriCall): Promise<A> {
    return this.#call(wire.runtimeService + method, types, value, call);
  }

  /** The same, of something that may be gone already: then all is as wanted. */
  async runtimeIfFound<Q, A>(
    method: string,
    types: CallTypes<Q, A>,
    value: Partial<Q>,
    call: CriCall,
  ): Promise<A | undefined> {
    return await ifFound(this.runtime(method, types, value, call));
  }

  /** A call of CRI's ImageService. */
  image<Q, A>(method: string, types: CallTypes<Q, A>, value: Partial<Q>, call: CriCall): Promise<A> {
    return this.#call(wire.imageService + method, types, value, call);
  }

  async #call<Q, A>(
    path: string,
    [request, answer]: CallTypes<Q, A>,
    value: Partial<Q>,
    { what, timeout_ms = this.call_ms, notFound, signal }: CriCall,
  ): Promise<A> {
    try {
      return answer.decode(await this.#channel.unary(path, request.encode(value), timeout_ms, { signal }));
    } catch (error) {
      throw toRuntimeError(what, error, notFound);
    }
  }

  async *stream<Q, A>(
    path: string,
    [request, answer]: CallTypes<Q, A>,
    value: Partial<Q>,
    { what, signal }: CriCall,
  ): AsyncGenerator<A, void, undefined> {
    try {
      for await (const each of this.#channel.serverStream(path, request.encode(value), { signal })) {
        yield answer.decode(each);
      }
    } catch (error) {
      throw toRuntimeError(what, error);
    }
  }

  close(): void {
    this.#channel.close();
  }
}

export const codeOf = (error: unknown): number | undefined => {
  const cause = error instanceof RuntimeError ? error.cause : error;
  return cause instanceof GrpcError ? cause.code : undefined;
};

/** undefined where the runtime says that there is no such thing. */
export async function ifFound<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (codeOf(error) === GrpcCode.NotFound) return undefined;
    throw error;
  }
}

function toRuntimeError(what: string, error: unknown, notFound: RuntimeErrorKind = "not-found"): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const message = `${what}: ${messageOf(error)}`;
  const code = codeOf(error);
  const away = code === GrpcCode.Unavailable || code === GrpcCode.Cancelled;
  const kind = code === GrpcCode.NotFound ? notFound : away ? "unavailable" : "other";
  return new RuntimeError(kind, message, { cause: error });
}

/**
 * Creates what has a name. A name that is still taken belongs to a try that was cut short: that is removed, once.
 * @param leftover what has the name, and how it is removed; undefined when it is not to be found.
 */
export async function createReplacing(
  create: () => Promise<string>,
  leftover: () => Promise<{ remove(): Promise<void> } | undefined>,
): Promise<string> {
  try {
    return await create();
  } catch (error) {
    if (!(error instanceof RuntimeError) || !/is reserved/.test(error.message)) throw error;
    const found = await leftover();
    if (found === undefined) throw error;
    await found.remove();
    return await create();
  }
}
