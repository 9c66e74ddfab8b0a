import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { webcrypto } from "node:crypto";
import { Name, PemConverter, Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import mqtt, { type IClientOptions, type IConnackPacket, type MqttClient } from "mqtt";
import { silentLog } from "#shared/client/log.ts";
import { nodeTopics, type SessionMessage, sessionTopic } from "#shared/heartbeat/messages.ts";
import { discoveryTopic, telemetryTopic } from "#shared/heartbeat/telemetry.ts";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { signCertificateRequest } from "#shared/pki/certificate-request.ts";
import { takeNetwork } from "../../test/support/free-network.ts";
import { canMakeNamespaces, makeNamespace } from "../../test/support/namespace.ts";
import { Broker } from "./broker.ts";

/** Stands in for the API: hears what the broker would write into Leases. */
class Heard {
  readonly messages: { node: string; message: SessionMessage }[] = [];
  private waiting: (() => void)[] = [];
  async take(node: string, message: SessionMessage): Promise<void> {
    this.messages.push({ node, message });
    for (const wake of this.waiting.splice(0)) wake();
  }
  async renew(): Promise<void> {
    return Promise.resolve();
  }
  async until(node: string, state: string): Promise<void> {
    while (!this.messages.some((each) => each.node === node && each.message.state === state)) {
      await new Promise<void>((wake) => this.waiting.push(wake));
    }
  }
}

/** Keeps a session and pings, with an event loop of its own: the test's may be blocked. */
const boardProgram = `
  const mqtt = require("mqtt");
  const { name, host, port, ca, cert, key, keepalive } = JSON.parse(process.env.BOARD);
  const topic = "bramble/v1/nodes/" + name + "/session";
  const session = (state) => JSON.stringify({ state, bootId: "a", session: 1 });
  // As a board does, it waits for a broker that is slow.
  const patient = { set: (run, ms) => { let turns = 0; return setInterval(() => ++turns <= 2 && run(), ms); },
    clear: clearInterval };
  const client = mqtt.connect({ protocol: "mqtts", host, timerVariant: patient, port, servername: "localhost", ca, cert, key, clientId: name,
    keepalive, protocolVersion: 4, reconnectPeriod: 0, will: { topic, payload: session("lost"), qos: 1 } });
  client.on("connect", () => client.publish(topic, session("online"), { qos: 1 }));
  client.on("error", () => undefined);
`;

/** A request of a subject with two common names. */
async function twoNames(first: string, last: string): Promise<{ requestPem: string; keyPem: string }> {
  const keys = (await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: new Name([{ O: ["system:nodes"] }, { CN: [first] }, { CN: [last] }]),
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
  });
  const keyPem = PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
  return { requestPem: request.toString("pem"), keyPem };
}

const readerToken = "a token that may read boards";

describe("the broker", () => {
  const heard = new Heard();
  let ca: KeyAndCertificate;
  let broker: Broker;
  const node = (name: string, authority = ca): Promise<KeyAndCertificate> =>
    issueCertificate(authority, { commonName: `system:node:${name}`, organizations: ["system:nodes"] }, [
      extendedKeyUsages.clientAuth,
    ]);

  beforeAll(async () => {
    ca = await createCertificateAuthority("test");
    const server = await issueCertificate(ca, { commonName: "localhost", dnsNames: ["localhost"] }, [
      extendedKeyUsages.serverAuth,
    ]);
    broker = await Broker.start({
      host: "0.0.0.0",
      port: 0,
      leases: heard,
      reviewReader: async (token) => (token === readerToken ? "home-assistant" : undefined),
      log: silentLog,
      credentials: () => ({ ca: ca.certificatePem, cert: server.certificatePem, key: server.keyPem }),
    });
  });
  afterAll(() => broker.stop());

  const connect = (name: string, identity: KeyAndCertificate, more: Partial<IClientOptions> = {}): MqttClient =>
    mqtt.connect(`mqtts://localhost:${broker.port}`, {
      ca: ca.certificatePem,
      cert: identity.certificatePem,
      key: identity.keyPem,
      clientId: name,
      protocolVersion: 4,
      reconnectPeriod: 0,
      will: {
        topic: sessionTopic(name),
        payload: Buffer.from(JSON.stringify({ state: "lost", bootId: "a", session: 1 })),
        qos: 1,
        retain: true,
      },
      ...more,
    });
  const closed = (client: MqttClient): Promise<void> => new Promise((done) => client.on("close", () => done()));
  const ended = (client: MqttClient): Promise<void> => {
    // A refusal shows as an error or a close, whichever the library sees first.
    client.on("error", () => undefined);
    return closed(client);
  };

  test("hears a session begin, and its last will when the socket dies", async () => {
    const client = connect("pi-1", await node("pi-1"));
    await client.publishAsync(sessionTopic("pi-1"), JSON.stringify({ state: "online", bootId: "a", session: 1 }), {
      qos: 1,
    });
    await heard.until("pi-1", "online");
    client.stream.destroy();
    await heard.until("pi-1", "lost");
  });

  test("lets no board speak for another", async () => {
    const client = connect("pi-2", await node("pi-2"));
    const gone = ended(client);
    client.publish(sessionTopic("pi-3"), JSON.stringify({ state: "lost", bootId: "a", session: 9 }), { qos: 1 });
    await gone;
    expect(heard.messages.filter((each) => each.node === "pi-3")).toEqual([]);
  });

  test("nor by its last will", async () => {
    const identity = await node("pi-4");
    const liar = mqtt.connect(`mqtts://localhost:${broker.port}`, {
      ca: ca.certificatePem,
      cert: identity.certificatePem,
      key: identity.keyPem,
      clientId: "pi-4",
      protocolVersion: 4,
      reconnectPeriod: 0,
      will: {
        topic: sessionTopic("pi-5"),
        payload: Buffer.from(JSON.stringify({ state: "lost", bootId: "a", session: 9 })),
        qos: 1,
        retain: true,
      },
    });
    await new Promise<void>((done) => liar.on("connect", () => done()));
    liar.stream.destroy();
    // The next honest session is heard after whatever the will may have caused.
    const honest = connect("pi-6", await node("pi-6"));
    await honest.publishAsync(sessionTopic("pi-6"), JSON.stringify({ state: "online", bootId: "a", session: 1 }), {
      qos: 1,
    });
    await heard.until("pi-6", "online");
    expect(heard.messages.filter((each) => each.node === "pi-5")).toEqual([]);
    await honest.endAsync();
  });

  test("refuses certificates of a strange CA and those that are no node's", async () => {
    const rogue = await createCertificateAuthority("test");
    await ended(connect("pi-7", await node("pi-7", rogue)));
    const person = await issueCertificate(ca, { commonName: "system:admin", organizations: ["system:masters"] }, [
      extendedKeyUsages.clientAuth,
    ]);
    await ended(connect("pi-8", person));
    expect(heard.messages.some((each) => each.node === "pi-7" || each.node === "pi-8")).toBe(false);
  });

  test("goes by the last of several names in a certificate, as everybody else", async () => {
    const identity = await issueCertificate(ca, { commonName: "system:node:pi-30", organizations: ["system:nodes"] }, [
      extendedKeyUsages.clientAuth,
    ]);
    const { requestPem, keyPem } = await twoNames("system:node:pi-31", "system:node:pi-30");
    const certificatePem = await signCertificateRequest(ca, requestPem, {
      extendedUsages: [extendedKeyUsages.clientAuth],
      keyUsages: ["digital signature"],
      validity: { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) },
    });
    await ended(connect("pi-31", { certificatePem, keyPem }));
    const honest = connect("pi-30", identity);
    await new Promise<void>((done) => honest.on("connect", () => done()));
    await honest.endAsync();
  });

  test.each(["+", "#", "pi-1/session", ""])(
    "takes nobody for the node %p, whose topics would be others'",
    async (name) => {
      await ended(connect(name || "x", await node(name)));
    },
  );

  test("ends whoever begins a packet that is longer than any needs to be", async () => {
    const identity = await node("pi-13");
    const client = connect("pi-13", identity);
    await new Promise<void>((done) => client.on("connect", () => done()));
    const gone = ended(client);
    // PUBLISH, 256 MB.
    client.stream.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 0x74]));
    await gone;
  });

  test("remembers few subscriptions of a board, none of a long topic, and few connections", async () => {
    const identity = await node("pi-15");
    const first = connect("pi-15", identity);
    const topics = Array.from({ length: 17 }, (_, index) => `${nodeTopics("pi-15")}${index}`);
    const granted: number[] = [];
    for (const topic of [`${nodeTopics("pi-15")}${"a".repeat(1024)}`, ...topics]) {
      // A refusal is an error to this library.
      const given = await first.subscribeAsync(topic).catch(() => [{ qos: 128 }]);
      granted.push(...given.map(({ qos }) => qos));
    }
    expect(granted).toEqual([128, ...Array.from({ length: 16 }, () => 0), 128]);
    const gone = ended(first);
    const others = Array.from({ length: 8 }, (_, index) => connect(`pi-15/${index}`, identity));
    await gone;
    await Promise.all(others.map((other) => other.endAsync(true)));
  });

  test("keeps nothing for a board that is away, and of its messages only the last on few topics", async () => {
    const identity = await node("pi-14");
    const lasting = connect("pi-14", identity, { clean: false });
    await lasting.subscribeAsync(`${nodeTopics("pi-14")}orders`, { qos: 1 });
    const topics = Array.from({ length: 20 }, (_, index) => discoveryTopic(`prefix-${index}`, "pi-14"));
    for (const topic of [...topics, `${nodeTopics("pi-14")}notes`, sessionTopic("pi-14")])
      await lasting.publishAsync(topic, "{}", { qos: 1, retain: true });
    await lasting.endAsync();
    const again = connect("pi-14", identity, { clean: false });
    const { sessionPresent } = await new Promise<IConnackPacket>((done) => again.on("connect", done));
    expect(sessionPresent).toBe(false);

    const reader = mqtt.connect(`mqtts://localhost:${broker.port}`, {
      ca: ca.certificatePem,
      username: "anybody",
      password: readerToken,
      protocolVersion: 4,
      reconnectPeriod: 0,
    });
    const kept: string[] = [];
    const end = Promise.withResolvers<void>();
    reader.on("message", (topic, _, { retain }) => {
      if (!retain) end.resolve();
      else if (topic.includes("pi-14")) kept.push(topic);
      // All that is kept comes before this.
      if (kept.length === 5) again.publish(telemetryTopic("pi-14"), "{}");
    });
    await reader.subscribeAsync("#");
    await end.promise;
    expect(kept.toSorted()).toEqual([sessionTopic("pi-14"), ...topics.slice(0, 4)]);
    await Promise.all([again.endAsync(), reader.endAsync()]);
  });

  const board = async (
    name: string,
    more: { readonly host?: string; readonly keepalive: number; readonly prefix?: readonly string[] },
  ): Promise<Bun.Subprocess> => {
    const { certificatePem: cert, keyPem: key } = await node(name);
    const { host = "127.0.0.1", keepalive, prefix = [] } = more;
    const BOARD = JSON.stringify({ name, host, port: broker.port, ca: ca.certificatePem, cert, key, keepalive });
    return Bun.spawn({
      cmd: [...prefix, process.execPath, "-e", boardProgram],
      cwd: import.meta.dir,
      env: { ...process.env, BOARD },
      stdout: "ignore",
      stderr: "inherit",
    });
  };
  const lost = (name: string): boolean =>
    heard.messages.some(({ node, message }) => node === name && message.state === "lost");

  test("takes no board for silent that it could not listen to", async () => {
    const child = await board("pi-9", { keepalive: 2 });
    await heard.until("pi-9", "online");
    // Longer than a board that pings every other second may be silent. What follows is shorter, so that the board itself
    // may be slow.
    Bun.sleepSync(7_000);
    await Bun.sleep(1_500);
    expect(lost("pi-9")).toBe(false);
    child.kill("SIGKILL");
    await heard.until("pi-9", "lost");
  }, 300_000);

  test("gives up an agent that hangs", async () => {
    const child = await board("pi-10", { keepalive: 1 });
    await heard.until("pi-10", "online");
    child.kill("SIGSTOP");
    await heard.until("pi-10", "lost");
    child.kill("SIGKILL");
  }, 300_000);

  test("does not take the end of an old connection for a board that has come back by another", async () => {
    const child = await board("pi-11", { keepalive: 60 });
    await heard.until("pi-11", "online");
    const again = connect("pi-11", await node("pi-11"));
    await again.publishAsync(sessionTopic("pi-11"), JSON.stringify({ state: "online", bootId: "a", session: 2 }), {
      qos: 1,
    });
    await child.exited;
    expect(lost("pi-11")).toBe(false);
    again.stream.destroy();
    await heard.until("pi-11", "lost");
  }, 300_000);

  test.skipIf(!canMakeNamespaces())(
    "notices a board without a link that would not have spoken for long",
    async () => {
      const there = makeNamespace();
      const network = await takeNetwork(1);
      const [here, away] = [`${network.prefix(0)}.1`, `${network.prefix(0)}.2`];
      const device = `brl${there.name.slice(-8)}`;
      const ip = (...args: string[]): unknown => execFileSync("ip", args);
      ip("link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", there.name);
      ip("address", "add", `${here}/30`, "dev", device);
      ip("link", "set", device, "up");
      there.run("ip", "address", "add", `${away}/30`, "dev", "eth0");
      there.run("ip", "link", "set", "eth0", "up");
      const child = await board("pi-12", { host: here, keepalive: 600, prefix: there.prefix });
      await heard.until("pi-12", "online");
      // No end of the connection is sent, and no ping is due for ten minutes.
      ip("link", "set", device, "down");
      await heard.until("pi-12", "lost");
      child.kill("SIGKILL");
      await child.exited;
      there.remove();
      network.release();
    },
    300_000,
  );
});
