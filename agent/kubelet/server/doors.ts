import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { StatusError, unauthorized } from "#shared/api/errors.ts";
import type { Client } from "#shared/client/client.ts";
import { Connections, connectionLimits } from "#shared/http/connections.ts";
import { DelegatedAccess } from "#shared/http/delegated-access.ts";
import { type TlsChoice, usualTls } from "#shared/net/tls-choice.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { nodeAttributes } from "./authorization.ts";
import type { Gate, KubeletServer } from "./kubelet-server.ts";

/** A listener of the kubelet's server. */
export interface Door {
  /** Resolves when the last connection is gone. */
  stop(): Promise<void>;
}

interface DoorCertificates {
  /** Whose clients count, PEM; undefined: nobody by a certificate. */
  readonly ca: string | undefined;
  readonly serving: KeyAndCertificate;
}

/** A door that takes other certificates while it is open, for connections from then on. */
export interface TlsDoor extends Door {
  use(certificates: DoorCertificates): void;
}

/** A connection that rests is left as upstream's kubelet leaves it. */
const limits = { ...connectionLimits, connections: 1_000, unproven: 64, idleFor_ms: 90_000 };

/** The door for what comes through the tunnel: a socket that only root can open, so who is there may pass. */
export async function openLocalDoor(server: KubeletServer, path: string): Promise<Door> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  rmSync(path, { force: true });
  const door = server.door(() => Promise.resolve());
  await new Promise<void>((done, fail) => {
    door.once("error", fail);
    door.listen(path, () => done());
  });
  chmodSync(path, 0o600);
  return { stop: () => closed(door) };
}

/** The kubelet's port: mutual TLS or a bearer token, each request authorised by the API server as the kubelet's own API. */
export async function openTlsDoor(
  server: KubeletServer,
  options: DoorCertificates & {
    readonly host?: string | undefined;
    readonly port: number;
    readonly client: Client;
    readonly nodeName: string;
    /** Absent: TLS 1.2 and later. */
    readonly tls?: TlsChoice | undefined;
  },
): Promise<TlsDoor> {
  const { minVersion, ciphers } = options.tls ?? usualTls;
  const connections = new Connections(limits);
  const review = reviewGate(options.client, options.nodeName);
  const door = server.door(async (request, path) => {
    await review(request, path);
    connections.proven(request.socket as TLSSocket);
  });
  door.on("request", ({ socket }, response) => {
    connections.requestBegan(socket as TLSSocket);
    response.once("close", () => connections.requestEnded(socket as TLSSocket));
  });
  door.on("upgrade", ({ socket }) => connections.requestBegan(socket as TLSSocket));
  const contextOf = ({ ca, serving }: DoorCertificates) => ({ ca, cert: serving.certificatePem, key: serving.keyPem });
  const listener = createTlsServer(
    {
      ...contextOf(options),
      requestCert: options.ca !== undefined,
      rejectUnauthorized: false,
      minVersion,
      ...(ciphers === undefined ? {} : { ciphers }),
      ALPNProtocols: ["http/1.1"],
    },
    (socket) => {
      connections.secured(socket);
      door.emit("connection", socket);
    },
  );
  listener.on("connection", (socket: TLSSocket) => connections.opened(socket));
  await new Promise<void>((done, fail) => {
    listener.once("error", fail);
    listener.listen({ port: options.port, host: options.host }, () => done());
  });
  return {
    stop: () => closed(listener),
    use: (certificates) => void listener.setSecureContext(contextOf(certificates)),
  };
}

function closed(server: { close(done: () => void): unknown }): Promise<void> {
  return new Promise((done) => server.close(() => done()));
}

/** Lets in whom the API server knows and allows it. */
function reviewGate(client: Client, nodeName: string): Gate {
  const access = new DelegatedAccess(client);
  return async (request, path) => {
    const caller = await access.callerOf(request);
    if (!caller) throw unauthorized();
    const { verb, subresources, asked } = nodeAttributes(request.method ?? "GET", path, nodeName);
    for (const resourceAttributes of asked) if (await access.allows(caller, { resourceAttributes })) return;
    const what = `user=${caller.user}, verb=${verb}, resource=nodes, subresource(s)=[${subresources.join(" ")}]`;
    throw new StatusError("Forbidden", `Forbidden (${what})\n`);
  };
}
