import { expect, test } from "bun:test";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { generate, type Packet, parser } from "mqtt-packet";
import { silentLog } from "#shared/client/log.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { notedLog } from "#shared/testing/noted-log.ts";
import { Heartbeat, patientTimer } from "./heartbeat.ts";

/** What mqtt.js asks of its timer: the first run waits, the second pings. */
function keepalive(every_ms: number) {
  const heard = { runs: 0, gaveUp: false };
  const timer = patientTimer(() => {
    heard.gaveUp = true;
  });
  const id = timer.set(() => heard.runs++, every_ms);
  return { heard, end: () => timer.clear(id) };
}

test("a broker is given up after several turns without an answer, and mqtt.js itself never gives up", async () => {
  const { heard, end } = keepalive(2);
  while (!heard.gaveUp) await Bun.sleep(1);
  expect(heard.runs).toBe(2);
  end();
});

test("an agent that was starved looks for the answer first", async () => {
  const { heard, end } = keepalive(10);
  while (heard.runs < 2) await Bun.sleep(1);
  Bun.sleepSync(500);
  await Bun.sleep(0);
  expect(heard.gaveUp).toBe(false);
  end();
});

test("a broker that is away is told of once, not at each try", async () => {
  const { log, lines } = notedLog();
  // Nobody listens at the port of nothing.
  const heartbeat = new Heartbeat({
    nodeName: "a",
    brokers: ["mqtts://127.0.0.1:1"],
    credentials: () => ({ ca: "", cert: "", key: "" }),
    keepalive_s: 5,
    log,
  });
  let tries = 0;
  const failedTwice = new Promise<void>((resolve) =>
    heartbeat.onEnd(() => {
      if (++tries === 2) resolve();
    }),
  );
  heartbeat.start();
  await failedTwice;
  expect(lines).toEqual(["warn no session"]);
  await heartbeat.stop();
});

test("a broker that is too busy to answer reads of the announced end, and a good-bye after it, when it comes to it", async () => {
  const authority = await createCertificateAuthority("test");
  const { serverAuth, clientAuth } = extendedKeyUsages;
  const pair = await issueCertificate(authority, { commonName: "a", ipAddresses: ["127.0.0.1"] }, [
    serverAuth,
    clientAuth,
  ]);
  const heard: Packet[] = [];
  const ended = Promise.withResolvers<void>();
  const broker = createServer({ key: pair.keyPem, cert: pair.certificatePem }, (socket) => {
    const packets = parser();
    packets.on("packet", (packet) => {
      heard.push(packet);
      if (packet.cmd === "connect") socket.write(generate({ cmd: "connack", returnCode: 0, sessionPresent: false }));
    });
    socket.on("data", (bytes) => void packets.parse(Buffer.from(bytes)));
    socket.on("error", () => undefined);
    socket.on("close", () => ended.resolve());
  });
  await new Promise<void>((done) => broker.listen(0, "127.0.0.1", done));
  const begun = Promise.withResolvers<void>();
  const heartbeat = new Heartbeat({
    nodeName: "a",
    brokers: [`mqtts://127.0.0.1:${(broker.address() as AddressInfo).port}`],
    credentials: () => ({ ca: authority.certificatePem, cert: pair.certificatePem, key: pair.keyPem }),
    keepalive_s: 60,
    log: silentLog,
    onBegin: begun.resolve,
  });
  heartbeat.start();
  await begun.promise;
  await heartbeat.stop();
  await ended.promise;
  broker.close();
  const told = heard.map((packet) =>
    packet.cmd === "publish" ? (JSON.parse(packet.payload.toString()) as { state: string }).state : packet.cmd,
  );
  expect(told).toEqual(["connect", "online", "leaving", "disconnect"]);
});
