import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { messageOf } from "#shared/api/joined-errors.ts";
import { hostPort } from "#shared/http/host-port.ts";
import { endToEnd, requestOver } from "#shared/http/http-over-stream.ts";
import type { Backend } from "./backends.ts";
import { type Exchange, lowered, rawHeaders } from "./exchange.ts";

type Endpoint = Backend["endpoints"][number];

export interface Timeouts {
  /** For a connection to a pod. */
  readonly connect_ms: number;
  /** Nothing moves in either direction: the exchange is given up. */
  readonly idle_ms: number;
}

const mostSessions = 64;

/** Sends requests to pods and their answers back, as streams: nothing is gathered in memory, and the slower side sets the
 *  pace. */
export class Forwarder {
  private next = 0;
  private readonly sessions = new Map<string, ClientHttp2Session>();

  constructor(private readonly timeouts: Timeouts) {}

  /** Ends the exchange in every case; never rejects. */
  async forward(exchange: Exchange, backend: Backend): Promise<void> {
    const first = this.next++;
    const { endpoints } = backend;
    let why = "no pod serves this";
    // A pod that takes no connection has got nothing of the request yet, so another one may have it.
    for (let attempt = 0; attempt < Math.min(endpoints.length, 3); attempt++) {
      const endpoint = endpoints[(first + attempt) % endpoints.length];
      if (endpoint === undefined) break;
      try {
        if (backend.protocol === "h2c") this.overHttp2(exchange, await this.session(endpoint));
        else await this.overHttp1(exchange, await this.connected(endpoint));
        return;
      } catch (error) {
        why = messageOf(error);
        if (!(error instanceof Unreachable)) {
          exchange.fail(error instanceof TimedOut ? 504 : 502, `the pod did not answer: ${why}`);
          return;
        }
      }
    }
    exchange.fail(503, why);
  }

  /** A connection to a pod for an upgraded exchange. Rejects when none of three takes one. */
  async dial(backend: Backend): Promise<Socket> {
    const first = this.next++;
    let why: unknown = new Unreachable("no pod serves this");
    for (let attempt = 0; attempt < Math.min(backend.endpoints.length, 3); attempt++) {
      const endpoint = backend.endpoints[(first + attempt) % backend.endpoints.length];
      if (endpoint === undefined) break;
      try {
        return await this.connected(endpoint);
      } catch (error) {
        why = error;
      }
    }
    throw why;
  }

  close(): void {
    for (const session of this.sessions.values()) session.destroy();
    this.sessions.clear();
  }

  private async overHttp1(exchange: Exchange, socket: Socket): Promise<void> {
    let isGone = false;
    exchange.onGone(() => {
      isGone = true;
      socket.destroy();
    });
    socket.setTimeout(this.timeouts.idle_ms, () => socket.destroy(new TimedOut("it was silent for too long")));
    const { method, target, body } = exchange;
    const answer = await requestOver(socket, { method, path: target, body, headers: forwarded(exchange) }).catch(
      (error: unknown) => {
        // Nobody is left to be told.
        if (!isGone) throw error;
        return undefined;
      },
    );
    if (answer === undefined) return;
    const sink = exchange.begin(answer.status, answer.headers);
    answer.body.on("error", (error) => exchange.fail(502, error.message));
    sink.on("error", () => socket.destroy());
    answer.body.pipe(sink);
  }

  private overHttp2(exchange: Exchange, session: ClientHttp2Session): void {
    const { method, target, host, body } = exchange;
    const upstream = session.request(
      { ...lowered(forwarded(exchange)), ":method": method, ":path": target, ":authority": host, te: "trailers" },
      { endStream: body === undefined },
    );
    upstream.setTimeout(this.timeouts.idle_ms, () => upstream.close(constants.NGHTTP2_CANCEL));
    upstream.on("error", (error) => exchange.fail(502, `the pod did not answer: ${error.message}`));
    upstream.on("response", (headers) => {
      const sink = exchange.begin(Number(headers[":status"] ?? 502), endToEnd(rawHeaders(headers)));
      sink.on("error", () => upstream.close(constants.NGHTTP2_CANCEL));
      upstream.pipe(sink);
    });
    upstream.on("trailers", (headers) => exchange.addTrailers(rawHeaders(headers)));
    exchange.onGone(() => upstream.close(constants.NGHTTP2_CANCEL));
    body?.on("error", () => upstream.close(constants.NGHTTP2_CANCEL));
    body?.pipe(upstream);
  }

  private connected({ ip, port }: Endpoint): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, ip);
      const late = setTimeout(
        () => socket.destroy(new Error("it takes no connection in time")),
        this.timeouts.connect_ms,
      );
      const fail = (error: Error): void => {
        clearTimeout(late);
        reject(new Unreachable(`${hostPort(ip, port)}: ${error.message}`));
      };
      // It stays, and does nothing any more: a pod may break off when nobody looks, and that must not end the agent.
      socket.on("error", fail);
      socket.once("connect", () => {
        clearTimeout(late);
        resolve(socket);
      });
    });
  }

  /** One for each endpoint, shared by all requests to it and ended when it has nothing to do. */
  private async session(endpoint: Endpoint): Promise<ClientHttp2Session> {
    const key = hostPort(endpoint.ip, endpoint.port);
    const known = this.sessions.get(key);
    if (known && !known.closed && !known.destroyed) return known;
    const socket = await this.connected(endpoint);
    const session = connectHttp2(`http://${key}`, { createConnection: () => socket });
    const forget = (): void => {
      if (this.sessions.get(key) === session) this.sessions.delete(key);
    };
    session.on("error", forget).on("close", forget).on("goaway", forget);
    session.setTimeout(this.timeouts.idle_ms, () => session.close());
    this.sessions.set(key, session);
    const [oldest] = this.sessions;
    if (this.sessions.size > mostSessions && oldest) {
      this.sessions.delete(oldest[0]);
      oldest[1].close();
    }
    return session;
  }
}

/** Nothing of the request has reached the pod. */
class Unreachable extends Error {
  override readonly name = "Unreachable";
}

class TimedOut extends Error {
  override readonly name = "TimedOut";
}

/** What a pod is told of the client. The board is the first that is trusted: what the client says of itself is replaced. */
function forwarded(exchange: Pick<Exchange, "headers" | "host" | "isSecure" | "remoteAddress">): string[] {
  return [...endToEnd(withoutOwn(exchange.headers)), "Host", exchange.host, ...origin(exchange)];
}

/** The same for a request that asks for another protocol: the headers of this hop go along. */
export function forwardedUpgrade(
  exchange: Pick<Exchange, "headers" | "host" | "isSecure" | "remoteAddress">,
): string[] {
  return [...withoutOwn(exchange.headers), "Host", exchange.host, ...origin(exchange)];
}

function origin({ host, isSecure, remoteAddress }: Pick<Exchange, "host" | "isSecure" | "remoteAddress">): string[] {
  return [
    "X-Forwarded-For",
    remoteAddress,
    "X-Real-IP",
    remoteAddress,
    "X-Forwarded-Proto",
    isSecure ? "https" : "http",
    "X-Forwarded-Host",
    host,
  ];
}

const replaced = new Set(["host", "expect", "forwarded", "x-real-ip"]);
/** `X-Forwarded-Port`, `-Prefix`, `-User` and the like: pods take them for a proxy's word. */
const proxysPrefix = "x-forwarded-";

function withoutOwn(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? "";
    const lowerName = name.toLowerCase();
    if (!replaced.has(lowerName) && !lowerName.startsWith(proxysPrefix)) kept.push(name, headers[index + 1] ?? "");
  }
  return kept;
}
