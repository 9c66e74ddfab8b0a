import type { RawAnswer } from "./raw-answer.ts";

/** Reads answers of HTTP/1.1 out of a connection's bytes. */
export class Http1AnswerReader {
  /** Whole ones, in their order. */
  readonly answers: RawAnswer[] = [];
  interim: number[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  readonly #methods: string[];

  /** @param methods of the requests, in their order: an answer to HEAD has no body */
  constructor(methods: readonly string[]) {
    this.#methods = [...methods];
  }

  /** @param isLast nothing follows: an answer without a length ends here */
  read(bytes: Buffer, isLast = false): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#answer(isLast));
  }

  #answer(isLast: boolean): boolean {
    const end = this.#bytes.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const [status = "", ...lines] = this.#bytes.subarray(0, end).toString("latin1").split("\r\n");
    const code = Number(/^HTTP\/1\.[01] (\d{3})/.exec(status)?.[1] ?? 0);
    const after = this.#bytes.subarray(end + 4);
    if (code >= 100 && code < 200 && code !== 101) {
      this.interim.push(code);
      this.#bytes = after;
      return true;
    }
    const headers = new Map<string, string[]>();
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon).toLowerCase();
      headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()]);
    }
    const found = this.#bodyOf(code, headers, after, isLast);
    if (!found) return false;
    this.#methods.shift();
    this.#bytes = after.subarray(found.taken);
    this.answers.push({ code, interim: this.interim, headers, body: found.body });
    this.interim = [];
    return true;
  }

  #bodyOf(
    code: number,
    headers: ReadonlyMap<string, readonly string[]>,
    bytes: Buffer,
    isLast: boolean,
  ): { readonly body: Buffer; readonly taken: number } | undefined {
    if (this.#methods[0] === "HEAD" || code === 204 || code === 304) return { body: Buffer.alloc(0), taken: 0 };
    if (headers.get("transfer-encoding")?.includes("chunked")) return unchunked(bytes);
    const length = headers.get("content-length")?.[0];
    if (length === undefined) return isLast ? { body: bytes, taken: bytes.length } : undefined;
    const taken = Number(length);
    return bytes.length < taken ? undefined : { body: bytes.subarray(0, taken), taken };
  }
}

function unchunked(bytes: Buffer): { body: Buffer; taken: number } | undefined {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(at, end).toString("latin1"), 16);
    const next = end + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return { body: Buffer.concat(chunks), taken: next };
    chunks.push(bytes.subarray(end + 2, end + 2 + size));
    at = next;
  }
}
