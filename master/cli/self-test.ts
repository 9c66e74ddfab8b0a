import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { Aedes } from "aedes";
import mqtt from "mqtt";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { openSqliteStore } from "../store/sqlite-store.ts";

/**
 * `bramble self-test`: exercises what a processor or a libc may break: sqlite with its Worker, TLS with client
 * certificates, MQTT over it, and JSON of some megabytes. Prints a line each; the exit code is the number of failures.
 */
export async function selfTest(): Promise<number> {
  const parts: readonly (readonly [string, () => Promise<void>])[] = [
    ["JSON of some MB", json],
    ["sqlite", sqlite],
    ["store in a Worker", store],
    ["TLS with client certificates, MQTT", tlsAndMqtt],
  ];
  let failures = 0;
  for (const [name, part] of parts) {
    try {
      await part();
      console.log(`ok    ${name}`);
    } catch (error) {
      failures++;
      console.log(`FAIL  ${name}: ${(error as Error).stack}`);
    }
  }
  return failures;
}

function assert(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

async function json(): Promise<void> {
  const items = Array.from({ length: 20_000 }, (_, index) => ({
    name: `pod-${index}`,
    labels: { app: "ü", n: index },
    share: index / 7,
  }));
  const text = JSON.stringify(items);
  assert(text.length > 1_000_000, "the text is too short to say anything");
  assert(JSON.stringify(JSON.parse(text)) === text, "a round trip changed it");
}

async function sqlite(): Promise<void> {
  const database = new Database(":memory:");
  database.run("CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)");
  const insert = database.prepare("INSERT INTO t VALUES (?, ?)");
  database.transaction(() => {
    for (let index = 0; index < 1000; index++) insert.run(`k${index}`, "v".repeat(100));
  })();
  const row = database.query("SELECT count(*) AS n, sum(length(v)) AS bytes FROM t").get() as {
    n: number;
    bytes: number;
  };
  assert(row.n === 1000 && row.bytes === 100_000, `read back ${JSON.stringify(row)}`);
  database.close();
}

async function store(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "bramble-self-test-"));
  try {
    const opened = await openSqliteStore({ path: join(folder, "store.db") });
    const revisions = await Promise.all(
      Array.from({ length: 50 }, (_, index) => opened.create(`/registry/t/${index}`, `{"n":${index}}`)),
    );
    assert(new Set(revisions).size === 50, "two writes have one revision");
    assert((await opened.list("/registry/t/")).items.length === 50, "not all is there");
    await opened.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function tlsAndMqtt(): Promise<void> {
  const ca = await createCertificateAuthority("self-test");
  const server = await issueCertificate(ca, { commonName: "localhost", dnsNames: ["localhost"] }, [
    extendedKeyUsages.serverAuth,
  ]);
  const client = await issueCertificate(ca, { commonName: "board" }, [extendedKeyUsages.clientAuth]);
  const aedes = await Aedes.createBroker();
  const listener = createTlsServer(
    {
      ca: ca.certificatePem,
      cert: server.certificatePem,
      key: server.keyPem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (socket) => void aedes.handle(socket),
  );
  await new Promise<void>((done) => listener.listen(0, "127.0.0.1", done));
  const { port } = listener.address() as AddressInfo;
  try {
    assert(await isRefused(port, ca.certificatePem), "a client without a certificate was let in");
    const session = mqtt.connect({
      protocol: "mqtts",
      host: "localhost",
      port,
      ca: ca.certificatePem,
      cert: client.certificatePem,
      key: client.keyPem,
      protocolVersion: 4,
      reconnectPeriod: 0,
    });
    const heard = new Promise<string>((resolve, reject) => {
      session.on("message", (_topic, payload) => resolve(payload.toString()));
      session.on("error", reject);
    });
    await session.subscribeAsync("t");
    await session.publishAsync("t", "hello", { qos: 1 });
    assert((await heard) === "hello", "another message came back");
    await session.endAsync();
  } finally {
    await new Promise<void>((done) => aedes.close(() => done()));
    listener.close();
  }
}

function isRefused(port: number, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: "localhost", port, ca });
    socket.on("error", () => resolve(true));
    socket.on("close", () => resolve(true));
    // TLS 1.3 tells a client of the refusal only after its own handshake is done.
    socket.on("data", () => resolve(false));
    socket.write(Buffer.from([0x10, 0x0c, 0, 4, ...Buffer.from("MQTT"), 4, 2, 0, 10, 0, 0]));
  });
}
