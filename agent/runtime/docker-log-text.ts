import { Transform, type TransformCallback } from "node:stream";
import { FrameParser, type OutputFrame } from "./docker-frames.ts";

export interface LogTextOptions {
  readonly stream: "stdout" | "stderr" | "all";
  /** Whether lines are shown with the time at which they were written. */
  readonly timestamps: boolean;
  /** The log is followed: lines that Docker sends twice are left out. */
  readonly follow: boolean;
}

/** Whether Docker is to send the time of each line. */
export const needsStamps = ({ timestamps, follow }: Pick<LogTextOptions, "timestamps" | "follow">): boolean =>
  timestamps || follow;

/** A stamp with its space. */
const longestStamp_bytes = 36;
const anyStamp = /^\d{4}-\d\d-\d\dT\S+ $/;
/** Docker's own have nine digits of a second, and no two lines of a stream have the same; Podman's have none. */
const preciseStamp = /\.\d{9}/;
/** What is sent twice has just been sent. */
const mostRemembered = 2_048;

interface StreamState {
  /** The last piece did not end its line. */
  inLine: boolean;
  /** The line has been sent before. */
  isRepeated: boolean;
  readonly recent: Set<string>;
}

/**
 * Docker's log frames as plain text. A line of more than 16 KiB is kept by Docker in pieces, each with its own time
 * stamp when stamps are asked for; only the first piece's is let through, as clients expect one a line. When a log is rotated
 * while it is followed, Docker (20.10) begins the new file again and sends its first lines twice: these are told by their stamps.
 */
export class LogText extends Transform {
  readonly #parser = new FrameParser();
  readonly #options: LogTextOptions;
  readonly #stamped: boolean;
  readonly #states = { stdout: newState(), stderr: newState() } as const;
  /** A frame's beginning, which may be split over chunks: gathers until its stamp is whole. */
  #beginning: Buffer | undefined;

  constructor(options: LogTextOptions) {
    super();
    this.#options = options;
    this.#stamped = needsStamps(options);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      for (const frame of this.#parser.push(chunk)) this.#take(frame);
      done();
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #take({ stream, data, begins }: OutputFrame): void {
    if (this.#options.stream !== "all" && this.#options.stream !== stream) return;
    const state = this.#states[stream];
    let text = data;
    if (this.#stamped && begins) this.#beginning = Buffer.alloc(0);
    if (this.#beginning !== undefined) {
      const gathered: Buffer = Buffer.concat([this.#beginning, text]);
      const space = gathered.indexOf(0x20);
      if (space < 0 && gathered.length <= longestStamp_bytes) {
        this.#beginning = gathered;
        return;
      }
      this.#beginning = undefined;
      const stamp = gathered.subarray(0, space + 1).toString("latin1");
      // Docker tells of its own troubles without one.
      const isStamped = anyStamp.test(stamp);
      if (!state.inLine) this.#beginLine(state, isStamped ? stamp : "");
      text = isStamped ? gathered.subarray(space + 1) : gathered;
    }
    if (text.length === 0) return;
    state.inLine = text[text.length - 1] !== 0x0a;
    if (!state.isRepeated) this.push(text);
  }

  #beginLine(state: StreamState, stamp: string): void {
    const { follow, timestamps } = this.#options;
    state.isRepeated = follow && isRepeated(state.recent, stamp);
    if (timestamps && !state.isRepeated && stamp !== "") this.push(stamp);
  }
}

function newState(): StreamState {
  return { inLine: false, isRepeated: false, recent: new Set() };
}

/** Whether a line of this stamp has come; takes note of it. */
function isRepeated(recent: Set<string>, stamp: string): boolean {
  if (!preciseStamp.test(stamp)) return false;
  if (recent.has(stamp)) return true;
  recent.add(stamp);
  if (recent.size > mostRemembered) for (const oldest of recent.values().take(1)) recent.delete(oldest);
  return false;
}
