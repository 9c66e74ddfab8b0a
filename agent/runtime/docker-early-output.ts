import { type Duplex, PassThrough, type Readable } from "node:stream";

const held_ms = 10_000;
const held_bytes = 64 * 1024;

export interface TakenOutput {
  readonly output: Readable;
  /** Ends the output, and lets the process go on without. */
  detach(): void;
}

/**
 * What processes that wait for input say before whoever gives it has attached to them: `kubectl run -i` comes when it sees
 * them run, and they may have said all and ended by then. Held for 10 s and up to 64 kB a process.
 */
export class EarlyOutput {
  readonly #attach: (id: string) => Promise<Duplex>;
  /** Containers that are created and not started. */
  readonly #expected = new Set<string>();
  readonly #held = new Map<string, HeldOutput>();

  /** `attach` gives the output of a container that has not been started. */
  constructor(attach: (id: string) => Promise<Duplex>) {
    this.#attach = attach;
  }

  /** A container that takes input has been created. */
  expect(id: string): void {
    this.#expected.add(id);
  }

  /** Before it is started. */
  async hold(id: string): Promise<void> {
    if (!this.#expected.delete(id)) return;
    const connection = await this.#attach(id);
    this.#held.set(id, new HeldOutput(connection, () => this.#held.delete(id)));
  }

  /** All that the process has said so far and will say; undefined when somebody took it before, or it is held no more. */
  take(id: string): TakenOutput | undefined {
    const held = this.#held.get(id);
    this.#held.delete(id);
    return held?.release();
  }

  drop(id: string): void {
    this.#expected.delete(id);
    this.#held.get(id)?.drop();
  }
}

class HeldOutput {
  readonly #connection: Duplex;
  readonly #forget: () => void;
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #chunks: Buffer[] = [];
  #size_bytes = 0;
  #hasEnded = false;

  constructor(connection: Duplex, forget: () => void) {
    this.#connection = connection;
    this.#forget = forget;
    this.#timer = setTimeout(() => this.drop(), held_ms);
    connection.on("data", this.#gather);
    connection.once("end", this.#end).once("close", this.#end);
    connection.once("error", this.#fail);
  }

  readonly #gather = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#size_bytes += chunk.length;
    if (this.#size_bytes > held_bytes) this.drop();
  };
  readonly #end = (): void => {
    this.#hasEnded = true;
  };
  readonly #fail = (): void => this.drop();

  drop(): void {
    clearTimeout(this.#timer);
    this.#connection.destroy();
    this.#forget();
  }

  release(): TakenOutput {
    clearTimeout(this.#timer);
    const connection = this.#connection;
    const output = new PassThrough();
    const detach = (): unknown => connection.destroy();
    for (const chunk of this.#chunks) output.write(chunk);
    if (this.#hasEnded) return { output: output.end(), detach };
    connection.off("data", this.#gather).off("error", this.#fail);
    connection.once("error", (error) => output.destroy(error));
    connection.once("close", () => output.end());
    output.once("close", detach);
    return { output: connection.pipe(output), detach };
  }
}
