import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createSocket } from "node:dgram";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:tls";
import { decode, encode } from "dns-packet";
import { endpoints, nodes } from "#shared/api/resources.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { silentLog } from "#shared/client/log.ts";
import { startAnnouncer } from "#shared/discovery/announcer.ts";
import { findMasters } from "#shared/discovery/find-masters.ts";
import { mdnsGroup, mdnsPort } from "#shared/discovery/service-type.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { parseJoinToken } from "#shared/pki/join-token.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { patience_s, startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(600_000);

describe("a master is found on the LAN", () => {
  let it: TestCluster;
  let token: string;
  let ca: string;
  const readyAt = (server: string): Promise<unknown> => {
    const { credentials } = loadKubeconfig(it.kubeconfig);
    const client = new HttpClient({ servers: [server], credentials });
    return waitFor("the board to be Ready", patience_s, async () => {
      const node = await client.get(nodes, { name: "worker-1" }).catch(() => undefined);
      return node?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") || undefined;
    });
  };

  beforeAll(async () => {
    it = await startCluster({ name: "mdns", workers: 1, finds: true });
    token = readFileSync(it.cluster.file("master-1", "/var/lib/bramble/token"), "utf8").trim();
    ca = readFileSync(it.cluster.file("master-1", "/var/lib/bramble/pki/ca.crt"), "utf8");
  });
  afterAll(() => it.stop());

  test("a board with nothing but a token joins it", async () => {
    await readyAt(`https://${it.prefix}.11:6443`);
  });

  test("one that only says that it is the cluster's is not taken for it, though it shows the cluster's CA", async () => {
    const rogue = await startRogue(`${it.prefix}.1`, ca, parseJoinToken(token).caHash);
    try {
      // Who answers too late for one question, on a busy machine, is heard at another.
      const discover = (holds: (found: string) => boolean, ...args: string[]): Promise<string> =>
        waitFor(`discover ${args.join(" ")}`, patience_s, async () => {
          const { stdout } = await it.bramble("worker-1", "discover", ...args);
          return holds(stdout) ? stdout.trim() : undefined;
        });
      await discover((found) => found.includes(`https://${it.prefix}.1:${rogue.port}\trogue`));
      expect(await discover((found) => found !== "", "--token", token)).toBe(`https://${it.prefix}.11:6443`);
      // It was asked, and learned nothing.
      expect(rogue.heard().length).toBeGreaterThan(0);
      expect(rogue.heard()).not.toContain(parseJoinToken(token).secret);
    } finally {
      rogue.stop();
    }
  });

  test("a token of another cluster finds none", async () => {
    const other = await it.bramble("worker-1", "discover", "--token", `BR1${"0".repeat(64)}::abcdef.0123456789abcdef`);
    expect([other.code, other.stdout]).toEqual([1, ""]);
  });

  test("goes on when DHCP gives it another address, and is found again by a board that runs, and by one that restarts", async () => {
    const master = it.cluster.host("master-1");
    const before = master.exec(["cat", "/run/bramble/master.pid"]);
    for (const change of ["del", "add"])
      master.exec(["ip", "addr", change, `${it.prefix}.${change === "del" ? 11 : 77}/24`, "dev", "eth0"]);
    master.exec(["ip", "route", "replace", "default", "via", `${it.prefix}.254`]);
    const server = `https://${it.prefix}.77:6443`;
    await waitFor("the tunnel of the board", patience_s, async () => {
      const { credentials } = loadKubeconfig(it.kubeconfig);
      const client = new HttpClient({ servers: [server], credentials });
      return client.raw({ method: "GET", path: "/api/v1/nodes/worker-1/proxy/healthz" }).catch(() => undefined);
    });
    await readyAt(server);
    const { credentials } = loadKubeconfig(it.kubeconfig);
    const client = new HttpClient({ servers: [server], credentials });
    await waitFor("the Service kubernetes to lead there", patience_s, async () => {
      const { subsets } = await client.get(endpoints, { namespace: "default", name: "kubernetes" });
      return (
        subsets
          ?.flatMap(({ addresses }) => addresses ?? [])
          .map(({ ip }) => ip)
          .join() === `${it.prefix}.77` || undefined
      );
    });
    await waitFor("a kubeconfig for it", patience_s, () =>
      it.cluster.host("master-1").read("/etc/bramble/kubeconfig.yaml")?.includes(server) ? true : undefined,
    );
    expect(master.exec(["cat", "/run/bramble/master.pid"])).toBe(before);
    const worker = it.cluster.host("worker-1");
    await worker.stopBramble("SIGTERM");
    worker.startBramble();
    await readyAt(server);
    await waitFor("the board to keep where it found it", patience_s, () =>
      worker.read("/var/lib/bramble/agent/found-masters.json")?.includes(server) ? true : undefined,
    );
  });
});

describe.skipIf(Bun.which("avahi-daemon") === null)("avahi on a master's board", () => {
  const settings = "/etc/bramble/avahi.conf";
  let it: TestCluster;
  let avahi: Bun.Subprocess;

  beforeAll(async () => {
    it = await startCluster({ name: "avahi", workers: 0 });
    // Without a message bus of the board's own it must not go to this machine's.
    writeFileSync(
      it.cluster.file("master-1", settings),
      "[server]\nhost-name=beside\nuse-ipv6=no\nenable-dbus=no\nallow-interfaces=eth0\n",
    );
    avahi = Bun.spawn({
      cmd: it.cluster.host("master-1").inside(["avahi-daemon", "--file", settings, "--no-chroot", "--no-rlimits"]),
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
  });
  afterAll(async () => {
    avahi?.kill();
    await avahi?.exited;
    await it?.stop();
  });

  test.each(["first", "second"])("both answer, with Bramble started %s", async (which) => {
    const master = it.cluster.host("master-1");
    if (which === "second") {
      await master.stopBramble("SIGTERM");
      master.startBramble();
    }
    const address = `${it.prefix}.11`;
    await waitFor("an answer of avahi's", patience_s, async () =>
      (await addressOf("beside.local", `${it.prefix}.1`)) === address ? true : undefined,
    );
    await waitFor("an answer of the master's", patience_s, async () =>
      (await findMasters()).some(({ url }) => url === `https://${address}:6443`) ? true : undefined,
    );
    expect(avahi.exitCode).toBeNull();
    expect(master.log(1_000)).not.toContain("cannot find this master by mDNS");
  });
});

/** What the LAN of `own` answers for a name within a second, asked as a simple resolver does (RFC 6762, section 5.1). */
async function addressOf(name: string, own: string): Promise<string | undefined> {
  const socket = createSocket("udp4");
  try {
    await new Promise<void>((done) => socket.bind(0, own, done));
    socket.setMulticastInterface(own);
    const answer = new Promise<Buffer>((done) => socket.once("message", done));
    socket.send(encode({ type: "query", id: 1, questions: [{ type: "A", name }] }), mdnsPort, mdnsGroup);
    const message = await Promise.race([answer, Bun.sleep(1_000)]);
    const [found] = message ? (decode(message).answers ?? []) : [];
    return found?.type === "A" ? found.data : undefined;
  } finally {
    socket.close();
  }
}

/** Announces the cluster's own hash, hands out the cluster's own CA, and certifies itself by a CA of the same name. */
async function startRogue(address: string, ca: string, caHash: string) {
  const authority = await createCertificateAuthority("bramble");
  const { certificatePem, keyPem } = await issueCertificate(
    authority,
    { commonName: "kube-apiserver", ipAddresses: [address] },
    [extendedKeyUsages.serverAuth],
  );
  let heard = "";
  const server = createServer({ cert: certificatePem, key: keyPem }, (socket) => {
    socket.on("data", (data) => {
      heard += data.toString("latin1");
      socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(ca)}\r\n\r\n${ca}`);
    });
    socket.on("error", () => undefined);
  });
  await new Promise<void>((done) => server.listen(0, "0.0.0.0", done));
  const bound = server.address();
  const port = typeof bound === "object" && bound ? bound.port : 0;
  const own = { host: "rogue", httpsPort: port, caHashes: [caHash], version: "9" };
  const announcer = startAnnouncer(
    () => own,
    () => "",
    silentLog,
  );
  return {
    port,
    heard: () => heard,
    stop() {
      void announcer.stop();
      server.close();
    },
  };
}
