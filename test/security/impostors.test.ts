/** A board that stands where a master is looked for, with a certificate of the cluster's that is its own: nobody takes it for a master. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:tls";
import { nodes } from "#shared/api/resources.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { provenAmong } from "#shared/discovery/proven-masters.ts";
import { fetchTrust, joinCluster } from "#shared/pki/board-join.ts";
import {
  type CertificateSubject,
  createCertificateAuthority,
  issueCertificate,
  type KeyAndCertificate,
} from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { apiServerName } from "#shared/pki/join-protocol.ts";
import { createJoinToken, formatJoinToken } from "#shared/pki/join-token.ts";
import { notedLog } from "#shared/testing/noted-log.ts";
import { Heartbeat } from "../../agent/heartbeat/heartbeat.ts";
import type { TlsIdentity } from "../../agent/tls-identity.ts";
import { BoardTunnel } from "../../agent/tunnel/board-tunnel.ts";
import { offeredRelease } from "../../agent/upgrade/release-download.ts";

setDefaultTimeout(120_000);

const { serverAuth, clientAuth } = extendedKeyUsages;
const isBoards = { commonName: "system:node:pi-9", organizations: ["system:nodes"], dnsNames: ["pi-9"] };

/** What it could show: names and usages. */
const shown: Readonly<Record<string, readonly [CertificateSubject, string]>> = {
  "its serving certificate, for its own address": [{ ...isBoards, ipAddresses: ["127.0.0.1"] }, serverAuth],
  "its serving certificate, for another address": [{ ...isBoards, ipAddresses: ["192.0.2.9"] }, serverAuth],
  "a certificate for clients, with a master's names": [
    { commonName: "kube-apiserver", dnsNames: [apiServerName, "localhost"], ipAddresses: ["127.0.0.1"] },
    clientAuth,
  ],
};

let ca: KeyAndCertificate;
let board: KeyAndCertificate;
beforeAll(async () => {
  ca = await createCertificateAuthority("bramble-ca");
  board = await issueCertificate(ca, { commonName: "system:node:pi-1", organizations: ["system:nodes"] }, [clientAuth]);
});

describe.each(Object.entries(shown))("a board that shows %s", (_, [subject, usage]) => {
  let server: Server;
  /** What came to it, beside questions for the authority's certificate, which anybody may ask and answer. */
  const received: string[] = [];
  let url = "";
  beforeAll(async () => {
    const { certificatePem: cert, keyPem: key } = await issueCertificate(ca, subject, [usage]);
    server = createServer({ cert, key, requestCert: true, rejectUnauthorized: false }, (socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (bytes: Buffer) => {
        const isOpen = String(bytes).startsWith("GET /cacerts ") && !/^authorization:/im.test(String(bytes));
        if (!isOpen) received.push(String(bytes));
        const body = ca.certificatePem;
        socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      });
    });
    server.on("tlsClientError", () => undefined);
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());

  const identity = (): TlsIdentity => ({
    ca: ca.certificatePem,
    cert: board.certificatePem,
    key: board.keyPem,
    servername: apiServerName,
  });

  test("is no master that was found", async () => {
    const token = formatJoinToken(createJoinToken(ca.certificatePem));
    expect(await provenAmong([url], { ca: ca.certificatePem })).toEqual([]);
    expect(await provenAmong([url], { token })).toEqual([]);
    expect(received).toEqual([]);
  });

  test("hears no token of a board that joins", async () => {
    const token = formatJoinToken(createJoinToken(ca.certificatePem));
    await expect(joinCluster({ servers: [url], token, hostName: "pi-2", boardSerial: "2" })).rejects.toThrow();
    expect(received).toEqual([]);
  });

  test("is asked nothing by boards", async () => {
    const { ca: authority, cert: certificate, key } = identity();
    const own = { ca: authority, certificate, key, serverName: apiServerName };
    await expect(new HttpClient({ servers: [url], credentials: () => own }).list(nodes)).rejects.toThrow();
    await expect(fetchTrust([url], own)).rejects.toThrow();
    const { signal } = new AbortController();
    await expect(offeredRelease({ servers: [url], ca: authority, signal })).rejects.toThrow();
    expect(received).toEqual([]);
  });

  test("gets no tunnel", async () => {
    const { log, lines } = notedLog();
    const tunnel = new BoardTunnel({ server: url, credentials: identity, kubeletSocket: "/none", log });
    tunnel.start();
    while (lines.length === 0) await Bun.sleep(5);
    await tunnel.stop();
    expect(received).toEqual([]);
  });

  test("hears no heartbeat", async () => {
    const { log, lines } = notedLog();
    const brokers = [url.replace("https:", "mqtts:")];
    const heartbeat = new Heartbeat({ nodeName: "pi-1", brokers, credentials: identity, keepalive_s: 5, log });
    heartbeat.start();
    while (lines.length === 0) await Bun.sleep(5);
    await heartbeat.stop();
    expect(received).toEqual([]);
  });
});

test("an API server is known by its name, whatever its address", async () => {
  const { certificatePem: cert, keyPem: key } = await issueCertificate(
    ca,
    { commonName: "kube-apiserver", dnsNames: [apiServerName], ipAddresses: ["192.0.2.1"] },
    [serverAuth],
  );
  const server = createServer({ cert, key }, (socket) => {
    const body = ca.certificatePem;
    socket.on("error", () => undefined);
    socket.once("data", () =>
      socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
    );
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect(await provenAmong([url], { ca: ca.certificatePem })).toEqual([url]);
  server.close();
});
