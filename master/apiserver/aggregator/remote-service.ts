/** Requests to one aggregated API server: TLS to its Service, with the caller's identity in headers (the front proxy). */
import type { IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import { connect as connectTls } from "node:tls";
import { serviceUnavailable } from "#shared/api/errors.ts";
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import { forwardedHeaders, requestOver, type StreamResponse } from "#shared/http/http-over-stream.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import type { Dialer } from "../connect/board-dialer.ts";
import { serviceTarget } from "../connect/target.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { User } from "../request.ts";

export interface RemoteParts {
  readonly reader: ResourceReader;
  readonly dialer: Dialer;
  /** What proves to aggregated servers that it is this API server that asks. */
  readonly frontProxy: () => KeyAndCertificate;
}

export interface RemoteRequest {
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly headers: readonly string[];
  readonly body?: Readable | Uint8Array | undefined;
}

/** `name.namespace.svc`: what the server's certificate is for. */
const hostOf = ({ spec }: APIService): string => `${spec.service?.name}.${spec.service?.namespace}.svc`;

/** A secured stream to an endpoint of the Service. Throws 503. */
export async function connectRemote(parts: RemoteParts, service: APIService): Promise<Duplex> {
  const { namespace = "", name = "", port = 443 } = service.spec.service ?? {};
  const where = serviceTarget(parts.reader, namespace, `https:${name}:${port}`, parts.dialer.boards);
  const raw = await parts.dialer.dial(where.node, where.target);
  const { certificatePem, keyPem } = parts.frontProxy();
  const ca = service.spec.caBundle ? [Buffer.from(service.spec.caBundle, "base64").toString()] : undefined;
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      raw.destroy();
      reject(serviceUnavailable(`error trying to reach service: ${error.message}`));
    };
    const socket = connectTls({
      socket: raw,
      servername: hostOf(service),
      cert: certificatePem,
      key: keyPem,
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: service.spec.insecureSkipTLSVerify !== true,
      ...(ca ? { ca } : {}),
    });
    socket.once("secureConnect", () => resolve(socket));
    socket.once("error", fail);
    raw.once("error", fail);
    raw.once("close", () => fail(new Error("the connection closed")));
  });
}

/** One request; the answer's body follows as it arrives. */
export async function requestRemote(
  parts: RemoteParts,
  service: APIService,
  user: User,
  request: RemoteRequest,
): Promise<StreamResponse> {
  const stream = await connectRemote(parts, service);
  const headers = [...["Host", hostOf(service)], ...identityHeaders(user), ...request.headers];
  return requestOver(stream, { ...request, headers }).catch((error: Error) => {
    throw serviceUnavailable(`error trying to reach service: ${error.message}`);
  });
}

/** Who asks, as request-header authentication reads it. */
function identityHeaders({ name, uid, groups, extra = {} }: User): string[] {
  const headers = ["X-Remote-User", name];
  if (uid) headers.push("X-Remote-Uid", uid);
  for (const group of groups) headers.push("X-Remote-Group", group);
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values) headers.push(`X-Remote-Extra-${encodeURIComponent(key)}`, value);
  }
  return headers;
}

/** A client's own headers without what only this server may say. */
export function passedHeaders(request: IncomingMessage): string[] {
  const headers = forwardedHeaders(request.rawHeaders);
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = (headers[index] ?? "").toLowerCase();
    if (name !== "host" && !name.startsWith("x-remote-")) kept.push(headers[index] ?? "", headers[index + 1] ?? "");
  }
  return kept;
}

/** The request line and head of an upgrade, for the stream that follows. */
export function upgradeHead(service: APIService, user: User, request: IncomingMessage): string {
  const own = ["Host", hostOf(service), ...identityHeaders(user)];
  const headers: string[] = [];
  const raw = request.rawHeaders;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? "").toLowerCase();
    const isOurs =
      name === "host" || name === "authorization" || name.startsWith("x-remote-") || name.startsWith("impersonate-");
    if (!isOurs) headers.push(raw[index] ?? "", raw[index + 1] ?? "");
  }
  const lines = [`${request.method ?? "GET"} ${request.url ?? "/"} HTTP/1.1`];
  const all = [...own, ...headers];
  for (let index = 0; index < all.length; index += 2) lines.push(`${all[index]}: ${all[index + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}
