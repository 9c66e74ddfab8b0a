import { longestTimer_ms } from "#shared/client/clock.ts";
import { toRuntimeError } from "./docker-errors.ts";
import { type ExecProcess, exitCodeOf, killExec } from "./docker-exec.ts";
import { FrameParser, type OutputFrame } from "./docker-frames.ts";
import type { ExecResult } from "./runtime.ts";

/** Bytes of one stream, of which only the first are kept. */
class Kept {
  readonly #chunks: Buffer[] = [];
  #room_bytes: number;

  constructor(limit_bytes: number) {
    this.#room_bytes = limit_bytes;
  }

  push(data: Buffer): void {
    const part = data.subarray(0, this.#room_bytes);
    this.#room_bytes -= part.length;
    // Copied: a piece would hold the whole chunk.
    if (part.length > 0) this.#chunks.push(Buffer.from(part));
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString("utf8");
  }
}

/**
 * Runs a command to its end; see ContainerRuntime.execSync. Probes do this all day on a board that is idle otherwise, so it
 * asks Docker by `fetch`, which takes a quarter of the processor time that dockerode takes for the same three requests.
 * `patience_ms` is what Docker itself may take beside the command: a probe that waited for ever would be the last.
 */
export async function execSync(
  socketPath: string,
  id: string,
  command: readonly string[],
  timeout_ms: number,
  maxOutput_bytes: number,
  patience_ms: number,
): Promise<ExecResult> {
  const [stdout, stderr] = [new Kept(maxOutput_bytes), new Kept(maxOutput_bytes)];
  const reading = new AbortController();
  const timeUp = Promise.withResolvers<"time is up">();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let patience: ReturnType<typeof setTimeout> | undefined;
  if (timeout_ms > 0) {
    const giveUp = (): void => reading.abort(new Error(`Docker has not answered for ${patience_ms / 1000} s`));
    patience = setTimeout(giveUp, Math.min(timeout_ms + patience_ms, longestTimer_ms));
  }
  try {
    const create = { Cmd: command, AttachStdout: true, AttachStderr: true };
    const created = await ask(socketPath, "POST", `/containers/${encodeURIComponent(id)}/exec`, create, reading.signal);
    const { Id: execId } = (await created.json()) as { readonly Id: string };
    const inspect = async (): Promise<ExecProcess> =>
      (await (await ask(socketPath, "GET", `/exec/${execId}/json`, undefined, reading.signal)).json()) as ExecProcess;
    const start = { Detach: false, Tty: false };
    const output = await ask(socketPath, "POST", `/exec/${execId}/start`, start, reading.signal);
    if (timeout_ms > 0) timer = setTimeout(() => timeUp.resolve("time is up"), timeout_ms);
    const ended = readFrames(output, ({ stream, data }) => (stream === "stdout" ? stdout : stderr).push(data));
    const timedOut = (await Promise.race([ended, timeUp.promise])) === "time is up";
    if (timedOut) await killExec(inspect);
    const exitCode = timedOut ? 137 : await exitCodeOf(inspect);
    return { exitCode, stdout: stdout.text(), stderr: stderr.text(), timedOut };
  } catch (error) {
    throw toRuntimeError(`exec in container ${id}`, error);
  } finally {
    clearTimeout(timer);
    clearTimeout(patience);
    reading.abort();
  }
}

/** One request to Docker's socket. Rejects with Docker's status and words as dockerode does (docker-errors.ts). */
async function ask(
  socketPath: string,
  method: "GET" | "POST",
  path: string,
  body?: object,
  signal?: AbortSignal,
): Promise<Response> {
  const answer = await fetch(`http://docker${path}`, {
    method,
    unix: socketPath,
    // A process may be silent for as long as it likes.
    timeout: false,
    ...(body ? { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } } : {}),
    ...(signal ? { signal } : {}),
  });
  if (answer.ok) return answer;
  const text = await answer.text();
  throw Object.assign(new Error(wordsOf(text)), { statusCode: answer.status });
}

function wordsOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === "string" ? message : text;
  } catch {
    // Not Docker itself, or an error of its HTTP server: plain text.
    return text;
  }
}

/** Resolves when the output has ended; also when it was given up by its signal. */
async function readFrames(output: Response, take: (frame: OutputFrame) => void): Promise<"ended"> {
  const parser = new FrameParser();
  try {
    for await (const chunk of output.body ?? []) for (const frame of parser.push(Buffer.from(chunk))) take(frame);
  } catch (error) {
    if (!(error instanceof Error && error.name === "AbortError")) throw error;
  }
  return "ended";
}
