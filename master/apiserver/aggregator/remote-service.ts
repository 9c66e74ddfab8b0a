/** Requests to one aggregated API server: TLS to its Service, with the caller's identity in headers (the front proxy). */

import type { IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import { connect as connectTls } from "node:tls";
import { StatusError, serviceUnavailable } from "#shared/api/errors.ts";
import { services } from "#shared/api/resources.ts";
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import { connectionFault } from "#shared/http/connection-fault.ts";
import { hostPort } from "#shared/http/host-port.ts";
import {
  AnswerMissing,
  forwardedHeaders,
  requestOver,
  type StreamResponse,
  withoutCredentials,
} from "#shared/http/http-over-stream.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { trusting } from "#shared/pki/trusting.ts";
import { type Dialer, waysOf } from "../connect/board-dialer.ts";
import { serviceTarget } from "../connect/target.ts";
import type { HttpRequest } from "../http/arrival.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { User } from "../request.ts";

export interface RemoteParts {
  readonly reader: ResourceReader;
  readonly dialer: Dialer;
  /** What proves to aggregated servers that it is this API server that asks. */
  readonly frontProxy: () => KeyAndCertificate;
  /** How long a server may take to say what it serves; every client waits for that. */
  readonly discoveryWithin_ms?: number | undefined;
}

const DISCOVERY_WITHIN_MS = 5_000;

export const discoveryDeadline = ({ discoveryWithin_ms }: RemoteParts): AbortSignal =>
  AbortSignal.timeout(discoveryWithin_ms ?? DISCOVERY_WITHIN_MS);

export interface RemoteRequest {
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly headers: readonly string[];
  readonly body?: Readable | Uint8Array | undefined;
}

/** Who may be trusted to be the server: whoever says so, where only its health is looked at. */
export type Verification = "verified" | "unverified";

/** Where the requests for an APIService go. */
export interface RemoteEndpoint {
  /** `address:port` */
  readonly host: string;
  connect(verification?: Verification, signal?: AbortSignal): Promise<Duplex>;
  /** The body of the answer follows as it arrives. */
  request(user: User, request: RemoteRequest, asked?: Asked): Promise<StreamResponse>;
}

export interface Asked {
  readonly verification?: Verification;
  readonly signal?: AbortSignal;
}

/** `name.namespace.svc`: what the server's certificate is for. */
const nameOf = ({ spec }: APIService): string => `${spec.service?.name}.${spec.service?.namespace}.svc`;

/** An endpoint of the Service. Throws where there is none, saying what is missing. */
export function endpointOf(parts: RemoteParts, service: APIService): RemoteEndpoint {
  const { node, address, port } = addressOf(parts, service);
  const host = hostPort(address, port);
  const worded = (error: unknown): Error =>
    error instanceof StatusError ? error : new Error(connectionFault(error as Error, host), { cause: error });
  const connect: RemoteEndpoint["connect"] = async (verification = "verified", signal) => {
    const raw = await parts.dialer.dial(node, { kind: "tcp", host: address, port }, signal);
    const abandon = (): void => void raw.destroy(signal?.reason as Error);
    if (signal?.aborted) abandon();
    signal?.addEventListener("abort", abandon, { once: true });
    raw.once("close", () => signal?.removeEventListener("abort", abandon));
    return secured(parts, service, raw, verification).catch((error: unknown) => {
      raw.destroy();
      throw signal?.aborted ? signal.reason : worded(error);
    });
  };
  return {
    host,
    connect,
    async request(user, request, { verification, signal } = {}) {
      const stream = await connect(verification, signal);
      const headers = ["Host", host, ...identityHeaders(user), ...request.headers];
      return requestOver(stream, { ...request, headers }).catch((error: unknown) => {
        throw signal?.aborted ? signal.reason : worded(error);
      });
    },
  };
}

function addressOf(
  { reader, dialer }: RemoteParts,
  { spec }: APIService,
): { readonly node: string; readonly address: string; readonly port: number } {
  const { namespace = "", name = "", port = 443 } = spec.service ?? {};
  const service = reader.get(services, { namespace, name });
  if (!service) throw new Error(`service ${JSON.stringify(name)} not found`);
  if (service.spec?.type === "ExternalName") {
    return { node: anyBoard(dialer), address: service.spec.externalName ?? "", port };
  }
  if (!service.spec?.ports?.some((each) => each.port === port))
    throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
  const { node, target } = serviceTarget(reader, namespace, `https:${name}:${port}`, waysOf(dialer));
  if (target.kind !== "tcp") throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
  return { node, address: target.host, port: target.port };
}

function anyBoard(dialer: Dialer): string {
  const [board] = waysOf(dialer);
  if (board === undefined) throw serviceUnavailable("no board is connected to this API server");
  return board;
}

/** Throws what was wrong with the connection or the certificate, or with the authorities to judge that by. */
function secured(
  { frontProxy }: RemoteParts,
  service: APIService,
  raw: Duplex,
  verification: Verification,
): Promise<Duplex> {
  const { certificatePem, keyPem } = frontProxy();
  const ca = verification === "verified" ? caOf(service) : undefined;
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      socket: raw,
      servername: nameOf(service),
      cert: certificatePem,
      key: keyPem,
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: verification === "verified" && service.spec.insecureSkipTLSVerify !== true,
      ...(ca ? trusting(ca) : {}),
    });
    socket.once("secureConnect", () => resolve(socket));
    socket.once("error", reject);
    raw.once("error", reject);
    // What TLS has against the other side is told after the connection is closed for it.
    raw.once("close", () => setImmediate(() => reject(new AnswerMissing("the connection closed"))));
  });
}

const caOf = ({ spec }: APIService): string[] | undefined =>
  spec.caBundle ? [Buffer.from(spec.caBundle, "base64").toString()] : undefined;

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

/** A client's own headers that are passed on; what said whose request it is was taken out at the door.
 *  @param replaced names, in lower case, of those that are not */
export function passedHeaders(request: Pick<HttpRequest, "rawHeaders">, replaced: readonly string[] = []): string[] {
  return without(["host", ...replaced], forwardedHeaders(request.rawHeaders));
}

type Upgrading = Pick<IncomingMessage, "method" | "rawHeaders">;

/** Of a client's upgrade, as the server behind is to see it: names and values in turn. */
export function upgradeHeaders(host: string, user: User, request: Upgrading): string[] {
  return ["Host", host, ...identityHeaders(user), ...without(["host"], withoutCredentials(request.rawHeaders))];
}

function without(names: readonly string[], headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? "";
    if (!names.includes(name.toLowerCase())) kept.push(name, headers[index + 1] ?? "");
  }
  return kept;
}
