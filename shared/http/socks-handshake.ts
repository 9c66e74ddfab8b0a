/** What a client says to a SOCKS5 proxy (RFC 1928, and 1929 for who signs in), as Go's client says it: names are the proxy's to resolve. */
import type { Duplex } from "node:stream";
import { parseCidr } from "../board/cidr.ts";

const VERSION = 5;
const LOGIN_VERSION = 1;
const CONNECT = 1;
const SUCCEEDED = 0;
const methods = { none: 0, password: 2, noneAcceptable: 255 } as const;
const addressTypes = { v4: 1, name: 3, v6: 4 } as const;
const LONGEST_TEXT = 255;
/** More than any answer; nothing is to come before the proxy has connected. */
const MOST_BYTES = 1024;

const replies = [
  "general SOCKS server failure",
  "connection not allowed by ruleset",
  "network unreachable",
  "host unreachable",
  "connection refused",
  "TTL expired",
  "command not supported",
  "address type not supported",
];

/** Has the proxy at the other end of the stream connect to `host:port`. Rejects with why it does not, in the words of Go's client;
 *  the stream is the caller's to close then. What comes behind the answer stays to be read. */
export async function socksConnect(stream: Duplex, proxy: URL, target: string): Promise<void> {
  const answers = new Answers(stream);
  try {
    await signIn(stream, answers, proxy);
    stream.write(Buffer.concat([Buffer.from([VERSION, CONNECT, 0]), addressOf(target)]));
    const [version, reply = 0, reserved, type = 0] = await answers.take(4);
    assertVersion(version);
    if (reply !== SUCCEEDED) throw new Error(`unknown error ${replies[reply - 1] ?? `unknown code: ${reply}`}`);
    if (reserved !== 0) throw new Error("non-zero reserved field");
    // Where the proxy connects from, which nobody asks.
    await answers.take((await lengthOf(type, answers)) + 2);
  } finally {
    answers.release();
  }
}

async function signIn(stream: Duplex, answers: Answers, { username, password }: URL): Promise<void> {
  const signsIn = username !== "" || password !== "";
  const offered = signsIn ? [methods.none, methods.password] : [methods.none];
  stream.write(Buffer.from([VERSION, offered.length, ...offered]));
  const [version, method] = await answers.take(2);
  assertVersion(version);
  if (method === methods.noneAcceptable) throw new Error("no acceptable authentication methods");
  if (!signsIn || method === methods.none) return;
  if (method !== methods.password) throw new Error(`unsupported authentication method ${method}`);
  const [name, secret] = [username, password].map((text) => Buffer.from(decodeURIComponent(text)));
  if (!name?.length || !secret || name.length > LONGEST_TEXT || secret.length > LONGEST_TEXT)
    throw new Error("invalid username/password");
  stream.write(Buffer.from([LOGIN_VERSION, name.length, ...name, secret.length, ...secret]));
  const [loginVersion, status] = await answers.take(2);
  if (loginVersion !== LOGIN_VERSION) throw new Error("invalid username/password version");
  if (status !== SUCCEEDED) throw new Error("username/password authentication failed");
}

function assertVersion(version: number | undefined): void {
  if (version !== VERSION) throw new Error(`unexpected protocol version ${version}`);
}

function addressOf(target: string): Buffer {
  const [, host = "", port = ""] = /^\[?(.*?)\]?:(\d+)$/.exec(target) ?? [];
  const number = Buffer.alloc(2);
  number.writeUInt16BE(Number(port));
  const ip = parseCidr(host);
  if (ip) {
    const type = ip.bits === 32 ? addressTypes.v4 : addressTypes.v6;
    const bytes = Buffer.from(ip.address.toString(16).padStart(ip.bits / 4, "0"), "hex");
    return Buffer.concat([Buffer.from([type]), bytes, number]);
  }
  const name = Buffer.from(host);
  if (name.length > LONGEST_TEXT) throw new Error("FQDN too long");
  return Buffer.concat([Buffer.from([addressTypes.name, name.length]), name, number]);
}

async function lengthOf(type: number, answers: Answers): Promise<number> {
  if (type === addressTypes.v4) return 4;
  if (type === addressTypes.v6) return 16;
  if (type !== addressTypes.name) throw new Error(`unknown address type ${type}`);
  const [length = 0] = await answers.take(1);
  return length;
}

/** What the proxy says, in pieces of a known length. */
class Answers {
  #come = Buffer.alloc(0);
  #failure: Error | undefined;
  #told: (() => void) | undefined;

  constructor(private readonly stream: Duplex) {
    stream.on("data", this.#take).once("error", this.#fail).once("close", this.#close);
  }

  async take(count: number): Promise<Buffer> {
    while (this.#come.length < count) {
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
    }
    const taken = this.#come.subarray(0, count);
    this.#come = this.#come.subarray(count);
    return taken;
  }

  release(): void {
    const { stream } = this;
    stream.off("data", this.#take).off("error", this.#fail).off("close", this.#close).pause();
    if (this.#come.length > 0 && !stream.destroyed) stream.unshift(this.#come);
  }

  readonly #take = (chunk: Buffer): void => {
    this.#come = Buffer.concat([this.#come, chunk]);
    if (this.#come.length > MOST_BYTES) this.#fail(new Error("the proxy says more than it was asked"));
    this.#told?.();
  };

  readonly #fail = (error: Error): void => {
    this.#failure ??= error;
    this.#told?.();
  };

  readonly #close = (): void => this.#fail(new Error(this.#come.length > 0 ? "unexpected EOF" : "EOF"));
}
