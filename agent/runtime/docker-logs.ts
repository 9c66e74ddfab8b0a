import { PassThrough, pipeline, Readable } from "node:stream";
import type Docker from "dockerode";
import { asRuntime } from "./docker-errors.ts";
import { LogText, needsStamps } from "./docker-log-text.ts";
import type { LogOptions } from "./runtime.ts";

/**
 * A container's log as text; destroying the stream ends the request to Docker. Rotated files are read too, as Docker's
 * json-file driver does.
 */
export async function readLogs(docker: Docker, id: string, tty: boolean, options: LogOptions): Promise<Readable> {
  const stream = options.stream ?? "all";
  const query = {
    follow: options.follow,
    stdout: stream !== "stderr",
    stderr: stream !== "stdout",
    // A terminal's log has no frames that tell where a line begins.
    timestamps: tty ? options.timestamps : needsStamps(options),
    tail: options.tailLines === undefined ? "all" : String(options.tailLines),
    ...(options.since_ms === undefined ? {} : { since: (options.since_ms / 1000).toFixed(3) }),
  };
  const source = await asRuntime(`logs of container ${id}`, () => openLogs(docker, id, query));
  const { timestamps, follow, limit_bytes } = options;
  if (tty && limit_bytes === undefined) return source;
  const text = tty ? new PassThrough() : new LogText({ stream, timestamps, follow });
  pipe(source, text);
  // bun-types' Transform is not assignable to its Readable under exactOptionalPropertyTypes; by nature it is one.
  const readable = text as unknown as Readable;
  return limit_bytes === undefined ? readable : limited(readable, limit_bytes);
}

/** dockerode gathers a log that is not followed in memory, so this request is made as a stream. */
function openLogs(docker: Docker, id: string, query: object): Promise<Readable> {
  const { promise, resolve, reject } = Promise.withResolvers<Readable>();
  docker.modem.dial(
    {
      path: `/containers/${id}/logs?`,
      method: "GET",
      isStream: true,
      statusCodes: { 200: true, 404: "no such container", 500: "server error" },
      options: query,
    },
    (error: Error | null, stream: unknown) => {
      if (error !== null) reject(error);
      else if (stream instanceof Readable) resolve(stream);
      else reject(new Error("Docker's answer is no stream"));
    },
  );
  return promise;
}

function pipe(source: Readable, target: PassThrough | LogText): void {
  pipeline(source, target, (error) => {
    // A reader that has gone is how following ends; anything else the reader sees as the stream's error.
    if (error && !target.destroyed) target.destroy(error);
  });
}

function limited(source: Readable, limit_bytes: number): Readable {
  async function* take(): AsyncGenerator<Buffer> {
    let left_bytes = limit_bytes;
    for await (const chunk of source) {
      if (left_bytes <= 0) return;
      const part: Buffer = chunk.subarray(0, left_bytes);
      left_bytes -= part.length;
      if (part.length > 0) yield part;
      if (left_bytes <= 0) return;
    }
  }
  return Readable.from(take(), { objectMode: false });
}
