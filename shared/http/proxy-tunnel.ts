import { connect as connectTcp, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { hostPort } from "./host-port.ts";
import { socksConnect } from "./socks-handshake.ts";

/** A proxy's answer is a few lines. */
const MOST_HEAD_BYTES = 64 * 1024;
const headEnd = Buffer.from("\r\n\r\n");

/**
 * Connects to another server by way of a proxy, by HTTP (RFC 9110, 9.3.6) or SOCKS5. Rejects with what the proxy says against it, in
 * the words of Go's client.
 * @param target `host:port`
 * @param signal that ends the attempt, and the connection after it
 */
export async function tunnelThrough(proxy: URL, target: string, signal: AbortSignal): Promise<Duplex> {
  const socket = connected(proxy);
  const end = (): void => void socket.destroy();
  signal.addEventListener("abort", end, { once: true });
  socket.once("close", () => signal.removeEventListener("abort", end));
  if (signal.aborted) end();
  try {
    if (isSocks(proxy)) await connectBySocks(socket, proxy, target);
    else await connectByHttp(socket, proxy, target);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function connectBySocks(socket: Socket, proxy: URL, target: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve).once("close", () => reject(new Error("unexpected EOF")));
    socket.once("error", (error) => reject(new Error(`proxyconnect tcp: ${error.message}`, { cause: error })));
  });
  const at = hostPort(socket.remoteAddress ?? "", socket.remotePort ?? 0);
  await socksConnect(socket, proxy, target).catch((error: Error) => {
    throw new Error(`socks connect tcp ${at}->${target}: ${error.message}`, { cause: error });
  });
}

async function connectByHttp(socket: Socket, { username, password }: URL, target: string): Promise<void> {
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64");
  const authorization = username === "" ? "" : `Proxy-Authorization: Basic ${login}\r\n`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorization}\r\n`);
  const [, code, reason = ""] = /^HTTP\/1\.[01] (\d{3}) ?([^\r\n]*)/.exec(await headOf(socket)) ?? [];
  if (code === undefined) throw new Error("malformed HTTP response");
  if (code !== "200") throw new Error(reason || `status ${code}`);
}

/** By either name it is the proxy that resolves names. */
const isSocks = ({ protocol }: URL): boolean => protocol === "socks5:" || protocol === "socks5h:";

function connected(proxy: URL): Socket {
  const host = proxy.hostname.replace(/^\[|\]$/g, "");
  if (proxy.protocol === "http:") return connectTcp({ host, port: Number(proxy.port || 80) });
  if (isSocks(proxy)) return connectTcp({ host, port: Number(proxy.port || 1080) });
  if (proxy.protocol !== "https:") throw new Error(`proxy: unknown scheme: ${proxy.protocol.replace(/:$/, "")}`);
  return connectTls({ host, port: Number(proxy.port || 443), ...(isIP(host) ? {} : { servername: host }) });
}

/** The head of the answer; what came behind it stays to be read. */
function headOf(socket: Duplex): Promise<string> {
  return new Promise((resolve, reject) => {
    let come = Buffer.alloc(0);
    const done = (settle: () => void): void => {
      socket.off("data", take).off("error", fail).off("close", close).pause();
      settle();
    };
    const fail = (error: Error): void =>
      done(() => reject(new Error(`proxyconnect tcp: ${error.message}`, { cause: error })));
    const close = (): void => done(() => reject(new Error("unexpected EOF")));
    const take = (chunk: Buffer): void => {
      come = Buffer.concat([come, chunk]);
      const at = come.indexOf(headEnd);
      if (at < 0) {
        if (come.length > MOST_HEAD_BYTES) fail(new Error("the proxy's answer has no end"));
        return;
      }
      done(() => {
        const rest = come.subarray(at + headEnd.length);
        if (rest.length > 0) socket.unshift(rest);
        resolve(come.subarray(0, at).toString("latin1"));
      });
    };
    socket.on("data", take).once("error", fail).once("close", close);
  });
}
