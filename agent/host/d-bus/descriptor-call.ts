import { closeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { connectUnix, receiveWithDescriptors, send, unixSocket } from "../socket-calls.ts";
import { errorOf, externalLogin, type MethodCall, onBus } from "./connection.ts";
import { DBusError, decodeMessage, encodeMessage, type Message } from "./message.ts";

const pause_ms = 5;
const answer_ms = 25_000;

/**
 * Makes one call whose answer brings a descriptor, which is the caller's to close: by a connection of its own, since
 * sockets of the runtime drop descriptors that come with what they read. Rejects with DBusError or SystemCallError.
 */
export async function callForDescriptor(busPath: string, call: MethodCall): Promise<number> {
  const dialogue = new Dialogue(busPath);
  try {
    dialogue.say(`\0${externalLogin}`);
    await dialogue.expect("OK ");
    dialogue.say("NEGOTIATE_UNIX_FD\r\n");
    await dialogue.expect("AGREE_UNIX_FD");
    dialogue.say("BEGIN\r\n");
    dialogue.call(onBus("Hello"), 1);
    dialogue.call(call, 2);
    await dialogue.answer(1);
    await dialogue.answer(2);
    return dialogue.takeDescriptor();
  } finally {
    dialogue.end();
  }
}

class Dialogue {
  readonly #socket = unixSocket();
  readonly #descriptors: number[] = [];
  readonly #end_ms = performance.now() + answer_ms;
  #input = Buffer.alloc(0);

  constructor(path: string) {
    try {
      connectUnix(this.#socket, path);
    } catch (error) {
      closeSync(this.#socket);
      throw error;
    }
  }

  /** Little is said here: it fits the socket's buffer at once. */
  say(content: string | Buffer): void {
    send(this.#socket, Buffer.from(content));
  }

  call({ body, ...header }: MethodCall, serial: number): void {
    this.say(encodeMessage({ type: "call", ...header }, serial, body));
  }

  async expect(beginning: string): Promise<void> {
    const line = await this.#until(() => {
      const end = this.#input.indexOf("\r\n");
      if (end < 0) return undefined;
      const found = this.#input.toString("latin1", 0, end);
      this.#input = this.#input.subarray(end + 2);
      return found;
    });
    if (!line.startsWith(beginning)) throw new DBusError(`the bus does not let this process in: ${line}`);
  }

  async answer(serial: number): Promise<Message> {
    const message = await this.#until(() => {
      for (let next = decodeMessage(this.#input); next !== undefined; next = decodeMessage(this.#input)) {
        this.#input = this.#input.subarray(next.length);
        if (next.message.replySerial === serial) return next.message;
      }
      return undefined;
    });
    if (message.type === "error") throw errorOf(message);
    return message;
  }

  takeDescriptor(): number {
    const descriptor = this.#descriptors.shift();
    if (descriptor === undefined) throw new DBusError("the answer brings no descriptor");
    return descriptor;
  }

  end(): void {
    for (const descriptor of this.#descriptors) closeSync(descriptor);
    closeSync(this.#socket);
  }

  async #until<T>(find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      const received = receiveWithDescriptors(this.#socket);
      if (received === undefined) {
        if (performance.now() > this.#end_ms) throw new DBusError(`no answer for ${answer_ms / 1000} s`);
        await delay(pause_ms);
        continue;
      }
      this.#descriptors.push(...received.descriptors);
      if (received.data.length === 0) throw new DBusError("the bus has closed the connection");
      this.#input = Buffer.concat([this.#input, received.data]);
    }
  }
}
