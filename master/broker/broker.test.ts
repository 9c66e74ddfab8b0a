import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import mqtt, { type MqttClient } from "mqtt";
import { silentLog } from "#shared/client/log.ts";
import { type SessionMessage, sessionTopic } from "#shared/heartbeat/messages.ts";
import {
  createCertificateAuthority,
  extendedKeyUsages,
  issueCertificate,
  type KeyAndCertificate,
} from "#shared/pki/certificate.ts";
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
      host: "127.0.0.1",
      port: 0,
      leases: heard,
      log: silentLog,
      credentials: () => ({ ca: ca.certificatePem, cert: server.certificatePem, key: server.keyPem }),
    });
  });
  afterAll(() => broker.stop());

  const connect = (name: string, identity: KeyAndCertificate): MqttClient =>
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
});
