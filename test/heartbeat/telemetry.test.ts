import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import mqtt, { type MqttClient } from "mqtt";
import { Heartbeat } from "#agent/heartbeat/heartbeat.ts";
import { TelemetryPublisher } from "#agent/heartbeat/telemetry-publisher.ts";
import { readTelemetry } from "#agent/telemetry/board-telemetry.ts";
import { clusterRoleBindings, serviceAccounts } from "#shared/api/resources.ts";
import { silentLog } from "#shared/client/log.ts";
import type { SessionMessage } from "#shared/heartbeat/messages.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { Broker } from "../../master/broker/broker.ts";
import { reviewReaders } from "../../master/broker/readers.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

/** What lies on a topic, as it comes. */
class Heard {
  readonly #messages = new Map<string, string>();
  #wake: () => void = () => undefined;
  constructor(client: MqttClient) {
    client.on("message", (topic, payload) => {
      this.#messages.set(topic, payload.toString());
      this.#wake();
    });
  }
  async on(topic: string): Promise<Record<string, unknown>> {
    for (;;) {
      const message = this.#messages.get(topic);
      if (message !== undefined) return JSON.parse(message) as Record<string, unknown>;
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }
}

describe("a board's telemetry at the broker built in", () => {
  let api: SecuredServer;
  let broker: Broker;
  let heartbeat: Heartbeat;
  let telemetry: TelemetryPublisher;

  beforeAll(async () => {
    api = await startSecuredServer();
    const { ca } = api.pki.authorities;
    const serving = await issueCertificate(ca, { commonName: "localhost", dnsNames: ["localhost"] }, [
      extendedKeyUsages.serverAuth,
    ]);
    broker = await Broker.start({
      host: "127.0.0.1",
      port: 0,
      credentials: () => ({ ca: ca.certificatePem, cert: serving.certificatePem, key: serving.keyPem }),
      leases: { take: async (_node: string, _message: SessionMessage) => undefined, renew: async () => undefined },
      reviewReader: reviewReaders(api.admin),
      log: silentLog,
    });
    const identity = await issueCertificate(ca, { commonName: "system:node:pi-1", organizations: ["system:nodes"] }, [
      extendedKeyUsages.clientAuth,
    ]);
    heartbeat = new Heartbeat({
      nodeName: "pi-1",
      brokers: [`mqtts://localhost:${broker.port}`],
      credentials: () => ({ ca: ca.certificatePem, cert: identity.certificatePem, key: identity.keyPem }),
      keepalive_s: 10,
      log: silentLog,
      onBegin: () => telemetry.begin(),
    });
    telemetry = new TelemetryPublisher({
      board: { nodeName: "pi-1", serial: "10000000abcdef01", model: "Raspberry Pi 4 Model B Rev 1.4", version: "1.0" },
      session: heartbeat,
      read: () => readTelemetry("/"),
      interval_s: 1,
      homeAssistantPrefix: "homeassistant",
      log: silentLog,
    });
    heartbeat.start();
  });
  afterAll(async () => {
    telemetry.stop();
    await heartbeat.stop();
    await broker.stop();
    await api.stop();
  });

  const tokenOf = async (name: string, role: string): Promise<string> => {
    const namespace = "kube-system";
    await api.admin.create(serviceAccounts, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name, namespace },
    });
    await api.admin.create(clusterRoleBindings, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    });
    const answer = (await api.admin.raw({
      method: "POST",
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
      body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 3600 } },
    })) as { status: { token: string } };
    return answer.status.token;
  };
  const read = (password: string, clientId = "house"): MqttClient =>
    mqtt.connect(`mqtts://localhost:${broker.port}`, {
      ca: api.pki.authorities.ca.certificatePem,
      username: "home",
      password,
      clientId,
      protocolVersion: 4,
      reconnectPeriod: 0,
    });
  const refused = (client: MqttClient): Promise<Error> => new Promise((done) => client.on("error", done));

  test("whoever may read boards hears it, and Home Assistant finds the board by itself", async () => {
    const reader = read(await tokenOf("home-assistant", "bramble:board-reader"));
    const heard = new Heard(reader);
    await reader.subscribeAsync(["homeassistant/#", "bramble/v1/nodes/+/telemetry"], { qos: 1 });
    const telemetry = await heard.on("bramble/v1/nodes/pi-1/telemetry");
    expect(telemetry["memory_bytes"]).toBeGreaterThan(0);
    expect(telemetry["diskUsed_bytes"]).toBeGreaterThan(0);
    const discovery = await heard.on("homeassistant/device/bramble_pi-1/config");
    expect(discovery).toMatchObject({
      device: { identifiers: ["bramble_10000000abcdef01"], name: "pi-1", model: "Raspberry Pi 4 Model B Rev 1.4" },
      state_topic: "bramble/v1/nodes/pi-1/telemetry",
      availability_topic: "bramble/v1/nodes/pi-1/session",
    });
    const components = discovery["components"] as Record<string, { unique_id: string }>;
    expect(components["memoryUsed_bytes"]?.unique_id).toBe("bramble_10000000abcdef01_memoryUsed_bytes");
    // Nothing on the machine that tests this measures a supply.
    expect(Object.keys(components)).not.toContain("undervoltage");
    await reader.endAsync();
  });

  test("a reader says nothing that a board could have said, and takes no board's session", async () => {
    const reader = read(await tokenOf("second", "bramble:board-reader"), "pi-1");
    await reader.publishAsync("homeassistant/status", "online", { qos: 1, retain: true });
    expect(heartbeat.isConnected).toBe(true);
    const closed = new Promise<void>((done) => reader.on("close", () => done()));
    reader.on("error", () => undefined);
    reader.publish("bramble/v1/nodes/pi-1/session", '{"state":"lost","bootId":"a","session":1}', { qos: 1 });
    await closed;
    expect(heartbeat.isConnected).toBe(true);
  });

  test("nobody else comes in", async () => {
    expect((await refused(read(await tokenOf("stranger", "system:discovery")))).message).toContain("Not authorized");
    expect((await refused(read("no token"))).message).toContain("Not authorized");
    expect((await refused(read(""))).message).toContain("Not authorized");
  });
});
