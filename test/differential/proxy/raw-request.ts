/** Requests over TLS byte by byte, so that no client adds to them or tidies answers up. */
import { connect } from "node:tls";

export interface RawTarget {
  readonly host: string;
  readonly port: number;
  /** PEM. */
  readonly tls: { readonly ca: string; readonly cert?: string; readonly key?: string };
  readonly headers: readonly string[];
}

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  /** Sent once the protocol was switched. */
  readonly afterwards?: string;
}

/** An answer is over when the connection is quiet for so long, whoever would keep it open. */
const QUIET_MS = 1_000;
/** For the first byte of it. */
const PATIENCE_MS = 30_000;

/** All bytes that come back. */
export function exchange(
  target: RawTarget,
  { method, path, headers = [], body = "", afterwards }: RawRequest,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const { host, port, tls } = target;
    const chunks: Buffer[] = [];
    const socket = connect({ host, port, ...tls, ALPNProtocols: ["http/1.1"] });
    const finish = (): void => {
      clearTimeout(quiet);
      socket.destroy();
      resolve(Buffer.concat(chunks));
    };
    let quiet = setTimeout(finish, PATIENCE_MS);
    socket.on("secureConnect", () => {
      const lines = [`${method} ${path} HTTP/1.1`, "Host: api.example", ...target.headers, ...headers];
      if (body !== "") lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
      socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
    });
    socket.on("data", (chunk: Buffer) => {
      if (chunks.length === 0 && afterwards !== undefined && chunk.toString("latin1").startsWith("HTTP/1.1 101")) {
        socket.write(afterwards);
      }
      chunks.push(chunk);
      clearTimeout(quiet);
      quiet = setTimeout(finish, QUIET_MS);
    });
    socket.on("end", finish);
    socket.on("error", reject);
  });
}

export interface RawAnswer {
  readonly status: string;
  readonly headers: readonly string[];
  readonly body: unknown;
}

/** Of this connection and this server, or of this moment. */
const unseen = /^(date|audit-id: [0-9a-f-]{36}|x-kubernetes-pf-|connection|transfer-encoding|keep-alive)/;

export function readAnswer(bytes: Buffer): RawAnswer {
  const text = bytes.toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  const [status = "", ...lines] = text.slice(0, Math.max(0, end)).split("\r\n");
  const headers = lines.map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase())).sort();
  const isChunked = headers.some((line) => /^transfer-encoding: chunked/i.test(line));
  const body = isChunked ? unchunked(text.slice(end + 4)) : text.slice(end + 4);
  return { status, headers: headers.filter((line) => !unseen.test(line)), body: readable(body) };
}

function unchunked(text: string): string {
  const [, size = "", rest = ""] = /^([0-9a-f]+)\r\n(.*)$/is.exec(text) ?? [];
  const length = Number.parseInt(size, 16);
  return !length ? "" : rest.slice(0, length) + unchunked(rest.slice(length + 2));
}

function readable(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}
