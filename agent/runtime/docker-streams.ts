import { PassThrough, type Readable, type Writable } from "node:stream";
import { FrameParser } from "./docker-frames.ts";
import type { ExecSession } from "./runtime.ts";

export interface SessionOptions {
  readonly stdin: Writable | undefined;
  readonly tty: boolean;
  /** Asked once the output has ended. */
  readonly exitCode: () => Promise<number>;
  readonly resize: (columns: number, rows: number) => Promise<void>;
}

/**
 * A session over hijacked connections to Docker, of which one is both where there is one. Output that nobody reads pauses
 * its connection: nothing is gathered. With a TTY the bytes are plain, else in frames.
 */
export function openSession(output: Readable, options: SessionOptions): ExecSession {
  const stdout = new PassThrough();
  const stderr = options.tty ? undefined : new PassThrough();
  const { promise: exited, resolve, reject } = Promise.withResolvers<number>();
  // Who only copies streams need not look at `exited`.
  exited.catch(() => undefined);

  const parser = new FrameParser();
  const write = (target: PassThrough, data: Buffer): void => {
    if (target.destroyed || target.writableEnded) return;
    if (!target.write(data)) {
      output.pause();
      target.once("drain", () => output.resume());
    }
  };
  output.on("data", (chunk: Buffer) => {
    if (stderr === undefined) return write(stdout, chunk);
    try {
      for (const { stream, data } of parser.push(chunk)) write(stream === "stdout" ? stdout : stderr, data);
    } catch (error) {
      output.destroy(error instanceof Error ? error : new Error(String(error)));
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
  output.once("end", () => finish());
  output.once("close", () => finish());
  output.once("error", finish);

  return {
    stdin: options.stdin,
    stdout,
    stderr,
    exited,
    resize: options.resize,
    close: () => {
      output.destroy();
      options.stdin?.destroy();
      // A paused PassThrough that nobody reads would hold its buffer.
      stdout.resume();
      stderr?.resume();
    },
  };
}
