import type { TLSSocket } from "node:tls";
import type { AuthenticateError, Client as MqttSession } from "aedes";
import type { Log } from "#shared/client/log.ts";
import type { ReaderReview } from "./readers.ts";

interface Reader {
  readonly socket: TLSSocket;
  token: string;
}

/** Connections without a certificate, with and without a session. */
const mostReaders = 32;
const review_ms = 10 * 60_000;
/** A reader with more than this unread is closed: its memory is the master's. */
const unread_bytes = 256 * 1024;
/** Of MQTT 3.1.1, 3.2.2.3. */
const returnCode = { unavailable: 3, notAuthorized: 5 } as const;

/** Sessions of those who listen to what boards say. They come in by a token of the API as their password. */
export class ReaderSessions {
  readonly #readers = new Map<MqttSession, Reader>();
  #reviews: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly review: ReaderReview,
    private readonly log: Log,
  ) {}

  get isFull(): boolean {
    return this.#readers.size >= mostReaders;
  }

  has(session: MqttSession): boolean {
    return this.#readers.has(session);
  }

  /** A session that has not said yet who it is. */
  add(session: MqttSession, socket: TLSSocket): void {
    this.#readers.set(session, { socket, token: "" });
    this.#reviews ??= setInterval(() => void this.#reviewAll(), review_ms);
    socket.on("error", (error) => this.log.info("a reader's connection broke", { error }));
    socket.on("close", () => {
      this.#readers.delete(session);
      if (this.#readers.size > 0) return;
      clearInterval(this.#reviews);
      this.#reviews = undefined;
    });
  }

  /** Tells `done` whether the token opens the session, as aedes has it. Never rejects. */
  async authenticate(
    session: MqttSession,
    token: string,
    done: (error: AuthenticateError | null, success: boolean | null) => void,
  ): Promise<void> {
    const reader = this.#readers.get(session);
    const refuse = (): void =>
      done(Object.assign(new Error("not authorized"), { returnCode: returnCode.notAuthorized }), false);
    if (!reader || token === "") return refuse();
    const address = reader.socket.remoteAddress;
    try {
      const name = await this.review(token);
      if (name === undefined) {
        this.log.warn("refused: the password is no token that may read boards", { address });
        return refuse();
      }
      reader.token = token;
      this.log.info("somebody reads", { name, address });
      done(null, true);
    } catch (error) {
      this.log.warn("a reader could not be looked at", { error });
      done(Object.assign(new Error("server unavailable"), { returnCode: returnCode.unavailable }), false);
    }
  }

  /** Ends those that do not take what they are sent. */
  endSlow(): void {
    for (const { socket } of this.#readers.values()) if (socket.writableLength > unread_bytes) socket.destroy();
  }

  stop(): void {
    clearInterval(this.#reviews);
    for (const { socket } of this.#readers.values()) socket.destroy();
  }

  /** Ends the sessions of those whose token has run out or been revoked. */
  async #reviewAll(): Promise<void> {
    for (const { socket, token } of [...this.#readers.values()]) {
      // One whose review fails keeps what it had: the next look comes.
      const name = await this.review(token).catch(() => "unknown");
      if (name === undefined) socket.destroy();
    }
  }
}
