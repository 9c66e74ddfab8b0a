/** Whoever connects and says nothing must not keep others out: of connections before the end of their handshake the oldest goes. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Client } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { servePagesSecurely } from "#shared/http/component-server.ts";
import { HealthResults } from "#shared/http/health-results.ts";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { IngressServer } from "../../agent/ingress/ingress-server.ts";
import { openTlsDoor } from "../../agent/kubelet/server/doors.ts";
import { KubeletServer, type ServedBoard } from "../../agent/kubelet/server/kubelet-server.ts";
import { Broker } from "../../master/broker/broker.ts";

setDefaultTimeout(300_000);
/** More than any of these servers lets be in the middle of a handshake. */
const MANY = 300;
const host = "127.0.0.1";

let serving: KeyAndCertificate;
let authority: KeyAndCertificate;
beforeAll(async () => {
  authority = await createCertificateAuthority("test");
  serving = await issueCertificate(authority, { commonName: "a", dnsNames: ["a"] }, [extendedKeyUsages.serverAuth]);
});

const stops: (() => Promise<unknown>)[] = [];
afterAll(() => Promise.all(stops.map((stop) => stop())));

interface Served {
  readonly port: number;
  stop(): Promise<unknown>;
}

const servers: Record<string, () => Promise<Served>> = {
  broker: async () => {
    const broker = await Broker.start({
      host,
      port: 0,
      leases: { take: async () => undefined, renew: async () => undefined },
      reviewReader: async () => undefined,
      log: silentLog,
      credentials: () => ({ ca: authority.certificatePem, cert: serving.certificatePem, key: serving.keyPem }),
    });
    return { port: broker.port, stop: () => broker.stop() };
  },
  kubelet: async () => {
    const port = await freePort();
    const server = new KubeletServer({} as ServedBoard, silentLog);
    const door = await openTlsDoor(server, {
      ca: undefined,
      serving,
      host,
      port,
      client: {} as Client,
      nodeName: "board",
    });
    return { port, stop: () => door.stop() };
  },
  component: async () => {
    const port = await freePort();
    const part = await servePagesSecurely({
      pages: { checks: {}, results: new HealthResults() },
      address: { host, port },
      serving,
      access: { callerOf: async () => undefined, allows: async () => false },
      clientAuthorities: async () => undefined,
      alwaysAllowed: ["/healthz"],
      log: silentLog,
    });
    return { port, stop: async () => part.stop?.() };
  },
  ingress: async () => {
    const server = new IngressServer({
      httpPort: undefined,
      httpsPort: 0,
      idle_ms: 60_000,
      backendFor: () => undefined,
      contextFor: async () => undefined,
      log: silentLog,
    });
    await server.listen();
    return { port: server.httpsPort ?? 0, stop: () => server.close() };
  },
};

for (const [name, start] of Object.entries(servers)) {
  test(`${name}`, async () => {
    const { port, stop } = await start();
    stops.push(stop);
    const silent: Socket[] = [];
    let closed = 0;
    const firstClosed = Promise.withResolvers<void>();
    for (let index = 0; index < MANY; index += 1) {
      const socket = connect(port, host);
      const settled = Promise.withResolvers<void>();
      socket.on("error", () => undefined);
      socket.on("connect", settled.resolve);
      socket.on("close", () => {
        closed += 1;
        firstClosed.resolve();
        settled.resolve();
      });
      await settled.promise;
      silent.push(socket);
    }
    await firstClosed.promise;
    expect(closed).toBeGreaterThan(0);
    const late = connectTls({ port, host, rejectUnauthorized: false });
    await once(late, "secureConnect");
    late.destroy();
    for (const socket of silent) socket.destroy();
  });
}
