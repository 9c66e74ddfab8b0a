import type { DialOptions, RequestCallback } from "docker-modem";
import Docker from "dockerode";
import { longestTimer_ms } from "#shared/client/clock.ts";

/** Upstream's runtimeRequestTimeout. */
export const usualRequest_ms = 2 * 60_000;
/** What takes what it takes: the end of a process, an image's files. */
export const longRequest_ms = 30 * 60_000;

/**
 * A client of a Docker daemon at its socket. A daemon that hangs takes requests and never answers: each is given up, with an
 * error that says so, unless the answer has begun within `request_ms`, or all of it is there where it is no stream. A request
 * that brings a signal of its own has the time that this one gives it (`within`).
 */
export function openDocker(socketPath: string, request_ms = usualRequest_ms): Docker {
  const docker = new Docker({ socketPath });
  const modem: Docker["modem"] = docker.modem;
  // All of the library's requests go through here.
  const dial: (options: DialOptions, callback: RequestCallback) => void = modem.dial.bind(modem);
  modem.dial = (options: DialOptions, callback: RequestCallback): void => {
    if (options.abortSignal) {
      dial(options, callback);
      return;
    }
    const limit = new TimeLimit(request_ms);
    dial({ ...options, abortSignal: limit.signal }, (error, answer) => {
      limit.end();
      callback(error && limit.explains(error), answer);
    });
  };
  return docker;
}

/** A request with a time limit of its own, which is to be handed on as its `abortSignal`. */
export async function within<T>(limit_ms: number, request: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
  const limit = new TimeLimit(limit_ms);
  try {
    return await request(limit.signal);
  } catch (error) {
    throw limit.explains(error as Error);
  } finally {
    limit.end();
  }
}

class TimeLimit {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(limit_ms: number) {
    const giveUp = (): void => this.#controller.abort(new Error(`Docker has not answered for ${limit_ms / 1000} s`));
    this.#timer = setTimeout(giveUp, Math.min(limit_ms, longestTimer_ms));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  /** The library only says that a request was aborted. */
  explains(error: Error): Error {
    return this.signal.aborted ? (this.signal.reason as Error) : error;
  }
}
