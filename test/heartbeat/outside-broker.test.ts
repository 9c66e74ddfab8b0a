import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Heartbeat } from "#agent/heartbeat/heartbeat.ts";
import { silentLog } from "#shared/client/log.ts";
import type { SessionMessage } from "#shared/heartbeat/messages.ts";
import { type OutsideBroker, outsideBrokerOf } from "#shared/heartbeat/outside-broker.ts";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { OutsideSessions } from "../../master/broker/outside-sessions.ts";

const password = "not the default";

/** Stands in for the API: hears what would go into Leases. */
class Heard {
  readonly messages: string[] = [];
  async take(node: string, { state }: SessionMessage): Promise<void> {
    this.messages.push(`${node} ${state}`);
  }
  async until(message: string, count = 1): Promise<void> {
    while (this.messages.filter((each) => each === message).length < count) await Bun.sleep(10);
  }
}

describe("sessions at a broker that is not the master's (mosquitto)", () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-mosquitto-"));
  const file = (name: string): string => join(folder, name);
  let ca: KeyAndCertificate;
  let ports: { plain: number; tls: number };
  let mosquitto: Bun.Subprocess;

  const start = (): void => {
    mosquitto = Bun.spawn({
      cmd: ["mosquitto", "-c", file("mosquitto.conf")],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      stdout: "ignore",
      stderr: "ignore",
    });
  };

  beforeAll(async () => {
    ports = { plain: await freePort(), tls: await freePort() };
    ca = await createCertificateAuthority("house");
    const server = await issueCertificate(ca, { commonName: "localhost", dnsNames: ["localhost"] }, [
      extendedKeyUsages.serverAuth,
    ]);
    writeFileSync(file("ca.pem"), ca.certificatePem);
    writeFileSync(file("server.pem"), server.certificatePem);
    writeFileSync(file("server.key"), server.keyPem);
    writeFileSync(file("password"), `${password}\n`);
    writeFileSync(file("users"), `bramble:${password}\n`);
    execFileSync("mosquitto_passwd", ["-U", file("users")]);
    const conf = [
      "per_listener_settings true",
      `listener ${ports.plain} 127.0.0.1`,
      `password_file ${file("users")}`,
      `listener ${ports.tls} 127.0.0.1`,
      `cafile ${file("ca.pem")}`,
      `certfile ${file("server.pem")}`,
      `keyfile ${file("server.key")}`,
      "require_certificate true",
      "use_identity_as_username true",
      "user root",
    ];
    writeFileSync(file("mosquitto.conf"), `${conf.join("\n")}\n`);
    start();
  });
  afterAll(async () => {
    mosquitto.kill();
    await mosquitto.exited;
    rmSync(folder, { recursive: true });
  });

  const broker = (kind: "tls" | "password"): OutsideBroker => {
    const found = outsideBrokerOf(
      kind === "tls"
        ? {
            mqttBroker: `mqtts://localhost:${ports.tls}`,
            mqttUsername: "",
            mqttPasswordFile: "",
            mqttCa: file("ca.pem"),
          }
        : {
            mqttBroker: `mqtt://localhost:${ports.plain}`,
            mqttUsername: "bramble",
            mqttPasswordFile: file("password"),
            mqttCa: "",
          },
    );
    if (!found) throw new Error("no broker");
    return found;
  };
  const identity = async (commonName: string): Promise<{ ca: string; cert: string; key: string }> => {
    const { certificatePem: cert, keyPem: key } = await issueCertificate(ca, { commonName }, [
      extendedKeyUsages.clientAuth,
    ]);
    return { ca: ca.certificatePem, cert, key };
  };
  const listen = async (kind: "tls" | "password", name: string) => {
    const heard = new Heard();
    const master = await identity("master");
    const sessions = new OutsideSessions({
      broker: broker(kind),
      certificate: () => master,
      name,
      leases: heard,
      log: silentLog,
    });
    sessions.start();
    return { heard, sessions };
  };
  const beat = async (kind: "tls" | "password", nodeName: string, renewals: string[] = []): Promise<Heartbeat> => {
    const board = await identity(nodeName);
    const heartbeat = new Heartbeat({
      nodeName,
      brokers: [],
      outside: broker(kind),
      credentials: () => board,
      keepalive_s: 10,
      renewLease: async () => void renewals.push(nodeName),
      log: silentLog,
    });
    heartbeat.start();
    return heartbeat;
  };

  test.each(["tls", "password"] as const)(
    "begin and end with a word, by %s",
    async (kind) => {
      const { heard, sessions } = await listen(kind, `m-${kind}`);
      const heartbeat = await beat(kind, `pi-${kind}`);
      await heard.until(`pi-${kind} online`);
      await heartbeat.stop();
      await heard.until(`pi-${kind} leaving`);
      await sessions.stop();
    },
    300_000,
  );

  test("a master that begins later hears of the sessions that are there", async () => {
    const heartbeat = await beat("tls", "pi-early");
    while (!heartbeat.isConnected) await Bun.sleep(10);
    const { heard, sessions } = await listen("tls", "m-late");
    await heard.until("pi-early online");
    await heartbeat.stop();
    await sessions.stop();
  }, 300_000);

  test("all come back after the broker was away, and boards renew their Leases all the while", async () => {
    const renewals: string[] = [];
    const { heard, sessions } = await listen("password", "m-back");
    const heartbeat = await beat("password", "pi-back", renewals);
    await heard.until("pi-back online");
    mosquitto.kill("SIGKILL");
    await mosquitto.exited;
    while (heartbeat.isConnected) await Bun.sleep(10);
    while (renewals.length === 0) await Bun.sleep(50);
    start();
    await heard.until("pi-back online", 2);
    await heartbeat.stop();
    await sessions.stop();
  }, 300_000);
});

test("settings that cannot be meant are refused", () => {
  const settings = { mqttBroker: "", mqttUsername: "", mqttPasswordFile: "", mqttCa: "" };
  expect(outsideBrokerOf(settings)).toBeUndefined();
  expect(() => outsideBrokerOf({ ...settings, mqttBroker: "http://x" })).toThrow("expected mqtts://");
  expect(() => outsideBrokerOf({ ...settings, mqttBroker: "mqtt://x", mqttPasswordFile: "f" })).toThrow(
    "a password needs mqtt-username",
  );
});
