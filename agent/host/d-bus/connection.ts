import { connect, type Socket } from "node:net";
import { type Argument, DBusError, decodeMessage, encodeMessage, type Message } from "./message.ts";

export interface MethodCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly body?: readonly Argument[] | undefined;
}

const busName = "org.freedesktop.DBus";
const answer_ms = 25_000;

/** What a client says first: who it is, by the kernel's word for it. The lines after it are as its answers come. */
export const externalLogin = `AUTH EXTERNAL ${Buffer.from(String(process.getuid?.() ?? 0)).toString("hex")}\r\n`;

export const onBus = (member: string, body: readonly Argument[] = []): MethodCall => ({
  destination: busName,
  path: "/org/freedesktop/DBus",
  interface: busName,
  member,
  body,
});

interface Call {
  resolve(message: Message): void;
  reject(error: Error): void;
}

/** A client's connection to a message bus: calls and signals, without descriptors. All failures are DBusError. */
export class DBusConnection {
  /** Resolves when the bus or `close` has ended it. */
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #calls = new Map<number, Call>();
  #serial = 0;
  #input = Buffer.alloc(0);
  #isAuthenticated = false;

  private constructor(
    path: string,
    private readonly onSignal: (message: Message) => void,
    private readonly onLogin: (outcome: Error | undefined) => void,
  ) {
    this.#socket = connect(path);
    this.ended = new Promise((resolve) => {
      this.#socket.once("close", () => {
        this.#fail(new DBusError("the bus has closed the connection"));
        resolve();
      });
    });
    this.#socket.on("error", (error) => this.#fail(new DBusError(error.message, "", { cause: error })));
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk));
    // The byte before the login carries the credentials.
    this.#socket.write(`\0${externalLogin}`);
  }

  /** @param path the bus' socket, such as /run/dbus/system_bus_socket. */
  static async open(path: string, onSignal: (message: Message) => void): Promise<DBusConnection> {
    const login = Promise.withResolvers<void>();
    const connection = new DBusConnection(path, onSignal, (error) => (error ? login.reject(error) : login.resolve()));
    try {
      await within(login.promise, "the login to the bus");
      await connection.call(onBus("Hello"));
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Resolves with the answer. Rejects with DBusError, also when none comes. */
  async call({ body, ...header }: MethodCall): Promise<Message> {
    const serial = ++this.#serial;
    const answer = Promise.withResolvers<Message>();
    this.#calls.set(serial, answer);
    this.#socket.write(encodeMessage({ type: "call", ...header }, serial, body));
    try {
      return await within(answer.promise, `${header.interface}.${header.member}`);
    } finally {
      this.#calls.delete(serial);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#input = Buffer.concat([this.#input, chunk]);
    try {
      if (!this.#isAuthenticated) this.#logIn();
      if (!this.#isAuthenticated) return;
      for (let next = decodeMessage(this.#input); next !== undefined; next = decodeMessage(this.#input)) {
        this.#input = this.#input.subarray(next.length);
        this.#receive(next.message);
      }
    } catch (error) {
      this.#fail(error as Error);
      this.close();
    }
  }

  #logIn(): void {
    const end = this.#input.indexOf("\r\n");
    if (end < 0) return;
    const line = this.#input.toString("latin1", 0, end);
    this.#input = this.#input.subarray(end + 2);
    if (!line.startsWith("OK ")) throw new DBusError(`the bus does not let this process in: ${line}`);
    this.#isAuthenticated = true;
    this.#socket.write("BEGIN\r\n");
    this.onLogin(undefined);
  }

  #receive(message: Message): void {
    if (message.type === "signal") this.onSignal(message);
    const call = message.replySerial === undefined ? undefined : this.#calls.get(message.replySerial);
    if (message.type === "return") call?.resolve(message);
    if (message.type === "error") call?.reject(errorOf(message));
  }

  #fail(error: Error): void {
    this.onLogin(error);
    for (const call of this.#calls.values()) call.reject(error);
  }
}

export function errorOf({ errorName = "", body }: Message): DBusError {
  return new DBusError(typeof body[0] === "string" ? body[0] : errorName, errorName);
}

async function within<T>(task: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new DBusError(`${what}: no answer for ${answer_ms / 1000} s`)), answer_ms);
  try {
    return await Promise.race([task, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
