/** Servers behind APIServices, good and broken ones, by what they do with a connection or a request. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";

export type Answerer = (request: IncomingMessage, response: ServerResponse) => void;

/** What listens: HTTPS whose requests are answered so, one that is certified for another name, or no HTTPS at all. */
export type Behaviour =
  | { readonly kind: "https"; readonly answer: Answerer; readonly name?: string }
  | { readonly kind: "http"; readonly answer: Answerer }
  | { readonly kind: "silent" }
  | { readonly kind: "closing" }
  | { readonly kind: "nobody" };

export interface Backing {
  readonly port: number;
  stop(): void;
}

export class Backings {
  readonly #running: Backing[] = [];

  private constructor(
    readonly authority: KeyAndCertificate,
    readonly other: KeyAndCertificate,
    readonly listensAt: string,
    /** What their endpoints say: loopback is refused there. */
    readonly address: string,
  ) {}

  static async open(listensAt: string, address = listensAt): Promise<Backings> {
    const authority = await createCertificateAuthority("backing-ca");
    return new Backings(authority, await createCertificateAuthority("other-ca"), listensAt, address);
  }

  /** Gives its port. */
  async start(service: string, behaviour: Behaviour): Promise<number> {
    const server = await this.#serverOf(service, behaviour);
    const connections = new Set<Socket>();
    server.on("connection", (socket: Socket) => {
      connections.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => connections.delete(socket));
    });
    await new Promise<void>((done) => server.listen(0, this.listensAt, done));
    const { port } = server.address() as AddressInfo;
    if (behaviour.kind === "nobody") await new Promise<void>((done) => void server.close(() => done()));
    const stop = (): void => {
      server.close();
      for (const socket of connections) socket.destroy();
    };
    this.#running.push({ port, stop });
    return port;
  }

  stop(): void {
    for (const { stop } of this.#running) stop();
  }

  async #serverOf(service: string, behaviour: Behaviour): Promise<Server> {
    if (behaviour.kind === "http") return createServer(behaviour.answer);
    if (behaviour.kind === "closing") return createTcpServer((socket) => void socket.end());
    if (behaviour.kind !== "https") return createTcpServer();
    const name = behaviour.name ?? `${service}.aggregated.svc`;
    const certificate = await issueCertificate(this.authority, { commonName: name, dnsNames: [name] }, [
      extendedKeyUsages.serverAuth,
    ]);
    const http = createServer(behaviour.answer);
    return createTlsServer({ cert: certificate.certificatePem, key: certificate.keyPem }, (socket) =>
      http.emit(
        "connection",
        socket.on("error", () => undefined),
      ),
    );
  }
}
