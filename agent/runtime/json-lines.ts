import { StringDecoder } from "node:string_decoder";

const longestLine_characters = 1024 * 1024;

/**
 * The JSON objects of a stream that has one a line, as Docker's progress and events come. Ends when the stream does;
 * rejects when it breaks or `signal` aborts. Lines that are not objects are left out; one of more than a million
 * characters is a RangeError.
 */
export async function* jsonLines(
  stream: NodeJS.ReadableStream,
  signal?: AbortSignal,
): AsyncGenerator<Record<string, unknown>> {
  const decoder = new StringDecoder("utf8");
  const abort = () => {
    if ("destroy" in stream && typeof stream.destroy === "function") stream.destroy(signal?.reason);
  };
  signal?.throwIfAborted();
  signal?.addEventListener("abort", abort, { once: true });
  let pending = "";
  try {
    for await (const chunk of stream) {
      pending += typeof chunk === "string" ? chunk : decoder.write(chunk);
      const lines = pending.split("\n");
      pending = lines.pop() ?? "";
      if (pending.length > longestLine_characters) throw new RangeError("a line of the stream is too long");
      for (const line of lines) yield* parseLine(line);
    }
    yield* parseLine(pending);
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

function* parseLine(line: string): Generator<Record<string, unknown>> {
  if (line.trim() === "") return;
  const value: unknown = JSON.parse(line);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) yield value as Record<string, unknown>;
}
