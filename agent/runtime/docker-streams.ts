import { type Duplex, PassThrough } from "node:stream";
import { FrameParser } from "./docker-frames.ts";
import type { ExecSession } from "./runtime.ts";

export interface SessionOptions {
  readonly stdin: boolean;
  readonly tty: boolean;
  /** Asked once the output has ended. */
  readonly exitCode: () => Promise<number>;
  readonly resize: (columns: number, rows: number) => Promise<void>;
}

/**
 * A session over a hijacked connection to Docker. Output that nobody reads pauses the connection: nothing is gathered.
 * With a TTY the bytes are plain, else in frames.
 */
export function openSession(connection: Duplex, options: SessionOptions): ExecSession {
  const stdout = new PassThrough();
  const stderr = options.tty ? undefined : new PassThrough();
  const { promise: exited, resolve, reject } = Promise.withResolvers<number>();
  // Who only copies streams need not look at `exited`.
  exited.catch(() => undefined);

  const parser = new FrameParser();
  const write = (target: PassThrough, data: Buffer): void => {
    if (target.destroyed || target.writableEnded) return;
    if (!target.write(data)) {
      connection.pause();
      target.once("drain", () => connection.resume());
    }
  };
  connection.on("data", (chunk: Buffer) => {
    if (stderr === undefined) return write(stdout, chunk);
    try {
      for (const { stream, data } of parser.push(chunk)) write(stream === "stdout" ? stdout : stderr, data);
    } catch (error) {
      connection.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  });

  let over = false;
  const finish = (error?: Error): void => {
    if (over) return;
    over = true;
    stdout.end();
    stderr?.end();
    if (error !== undefined) reject(error);
    else options.exitCode().then(resolve, reject);
  };
  connection.once("end", () => finish());
  connection.once("close", () => finish());
  connection.once("error", finish);

  return {
    stdin: options.stdin ? connection : undefined,
    stdout,
    stderr,
    exited,
    resize: options.resize,
    close: () => {
      connection.destroy();
      // A paused PassThrough that nobody reads would hold its buffer.
      stdout.resume();
      stderr?.resume();
    },
  };
}
