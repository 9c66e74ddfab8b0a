import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import mqtt from "mqtt";
import { leases, nodes, secrets } from "#shared/api/resources.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { sessionStateAnnotation, sessionTopic } from "#shared/heartbeat/messages.ts";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { formatJoinToken, parseJoinToken } from "#shared/pki/join-token.ts";
import { splitPem } from "#shared/pki/pem.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { image, startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(400_000);

const patience_s = 180;

describe("who may join, and as whom", () => {
  let it: TestCluster;
  let server: string;
  let token: string;
  let ca: string;

  const identity = (board: string): string => it.cluster.file(board, "/var/lib/bramble/agent/identity");
  const nodeOf = (board: string): Promise<string> =>
    waitFor(`${board}'s name`, patience_s, () => {
      const file = join(identity(board), "board.json");
      return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { nodeName: string }).nodeName : undefined;
    });
  const nodeNames = async (): Promise<string[]> =>
    (await it.client.list(nodes)).items.map(({ metadata }) => metadata.name ?? "").sort();
  const untilReady = (name: string): Promise<unknown> =>
    it.until(/^True$/, "get", "node", name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`);
  const credentialsOf = (board: string): KeyAndCertificate => {
    const pair = splitPem(readFileSync(join(identity(board), "client.pem"), "utf8"));
    if (!pair) throw new Error(`${board} has no identity`);
    return pair;
  };
  const clientWith = ({ certificatePem: certificate, keyPem: key }: KeyAndCertificate): HttpClient => {
    const credentials = { ca, certificate, key };
    return new HttpClient({ servers: [server], credentials: () => credentials });
  };
  /** A worker of its own on the master's board, where no agent runs. */
  /** Several at once, so that each has folders of its own. */
  const tryToJoin = (...args: string[]) => {
    const folder = `/tmp/joiner-${Math.random()}`;
    const own = ["--run-dir", `${folder}/run`, "--data-dir", `${folder}/data`];
    return it.bramble("master-1", "worker", "--server", server, ...own, ...args);
  };

  beforeAll(async () => {
    it = await startCluster({ name: "join", workers: 2, hostname: "raspberrypi" });
    server = `https://${it.prefix}.11:6443`;
    token = readFileSync(it.cluster.file("master-1", "/var/lib/bramble/token"), "utf8").trim();
    ca = readFileSync(it.cluster.file("master-1", "/var/lib/bramble/pki/ca.crt"), "utf8");
    await Promise.all(["worker-1", "worker-2"].map(async (board) => untilReady(await nodeOf(board))));
  });
  afterAll(() => it.stop());

  test("two boards of one host name are two nodes, and stay so when they restart", async () => {
    const names = [await nodeOf("worker-1"), await nodeOf("worker-2")];
    // The master is called so as well: no board may prove itself as it.
    for (const name of names) expect(name).toMatch(/^raspberrypi-[0-9a-f]{4}$/);
    expect(new Set(names).size).toBe(2);
    expect(await nodeNames()).toEqual([...names].sort());
    for (const board of ["worker-1", "worker-2"]) {
      await it.cluster.host(board).stopBramble("SIGTERM");
      it.cluster.host(board).startBramble();
    }
    for (const name of names)
      await waitFor(`a session of ${name}`, patience_s, async () => {
        const { metadata } = await it.client.get(leases, { namespace: "kube-node-lease", name });
        return metadata.annotations?.[sessionStateAnnotation] === "online" || undefined;
      });
    expect([await nodeOf("worker-1"), await nodeOf("worker-2")]).toEqual(names);
    expect(await nodeNames()).toEqual([...names].sort());
  });

  test("whoever brings a token that is no good is told why and what to do, and ends", async () => {
    const { caHash, id, secret } = parseJoinToken(token);
    const create = async (...args: string[]): Promise<string> =>
      (await it.bramble("master-1", "token", "create", ...args)).stdout.trim();
    const [expired, deleted] = await Promise.all([create("--ttl", "1"), create()]);
    expect((await it.bramble("master-1", "token", "delete", parseJoinToken(deleted).id)).code).toBe(0);
    await Bun.sleep(1_500);
    const refused = "the cluster does not accept this token: it has expired or was revoked";
    const cases: [string, string[], string][] = [
      ["none", [], "no join token is given"],
      ["no token at all", ["--token", "secret"], "this is not a join token"],
      ["a part of one", ["--token", `${id}.${secret}`], "only the bootstrap part of a join token"],
      ["a wrong secret", ["--token", formatJoinToken({ caHash, id, secret: "0123456789abcdef" })], refused],
      ["an expired one", ["--token", expired], refused],
      ["a deleted one", ["--token", deleted], refused],
      [
        "one of another cluster",
        ["--token", formatJoinToken({ caHash: "ab".repeat(32), id, secret })],
        "is not the cluster that this token was made for",
      ],
    ];
    const runs = await Promise.all(cases.map(async ([what, args]) => [what, await tryToJoin(...args)] as const));
    runs.forEach(([what, { code, stderr }], index) => {
      expect([what, code]).toEqual([what, 1]);
      const lines = stderr.trim().split("\n");
      expect(lines.at(-1)).toStartWith("bramble: ");
      expect(lines.at(-1)).toContain(cases[index]?.[2] ?? "");
      // Each says where a good one comes from.
      expect(lines.at(-1)).toContain("bramble token create");
      // A message, not a stack.
      expect(lines.length).toBeLessThan(4);
    });
    expect(await nodeNames()).toHaveLength(2);
  });

  test("a master that is away is waited for", async () => {
    const host = it.cluster.host("master-1");
    const untilItWaits = `
      "$0" "$@" >/tmp/joiner-said 2>&1 & joiner=$!
      until grep -q "waiting for the master" /tmp/joiner-said; do kill -0 $joiner || break; sleep 0.1; done
      kill $joiner && echo "it was still there"
      wait $joiner
      cat /tmp/joiner-said`;
    const command = ["bash", "-c", untilItWaits, it.cluster.plan.binary];
    const args = ["worker", "--server", `https://${it.prefix}.77:6443`, "--token", token, "--run-dir", "/tmp/joiner"];
    const output = host.exec([...command, ...args, "--data-dir", "/tmp/joiner-waiting"]);
    expect(output).toContain("waiting for the master");
    expect(output).toContain("it was still there");
  });

  test("a stranger is anonymous or nobody, to the API and to the broker", async () => {
    const subject = { commonName: "system:node:raspberrypi", organizations: ["system:nodes", "system:masters"] };
    const another = await createCertificateAuthority("kubernetes");
    const rogue = await issueCertificate(another, subject, [extendedKeyUsages.clientAuth]);
    const ask = async (path: string, options: { pair?: KeyAndCertificate; bearer?: string } = {}) => {
      const { pair, bearer } = options;
      const response = await fetch(`${server}${path}`, {
        tls: { ca, ...(pair ? { cert: pair.certificatePem, key: pair.keyPem } : {}) },
        headers: { connection: "close", ...(bearer ? { authorization: `Bearer ${bearer}` } : {}) },
      });
      return { code: response.status, text: await response.text() };
    };
    const anonymous = await ask("/api/v1/namespaces/kube-system/secrets");
    expect(anonymous.code).toBe(403);
    expect(JSON.parse(anonymous.text)).toMatchObject({
      kind: "Status",
      reason: "Forbidden",
      message: `secrets is forbidden: User "system:anonymous" cannot list resource "secrets" in API group "" in the namespace "kube-system"`,
    });
    expect((await ask("/version")).code).toBe(200);
    expect((await ask("/api/v1/nodes", { bearer: "nonsense" })).code).toBe(401);
    // Never taken for who its certificate says it is.
    const stranger = await ask("/api/v1/nodes", { pair: rogue });
    expect([401, 403]).toContain(stranger.code);
    expect(stranger.text).not.toContain("system:node:");

    const broker = mqtt.connect({
      ...{ protocol: "mqtts", host: `${it.prefix}.11`, port: 8883, reconnectPeriod: 0 },
      ...{ ca, cert: rogue.certificatePem, key: rogue.keyPem, clientId: "raspberrypi" },
    });
    const outcome = await new Promise<string>((resolve) => {
      broker.once("connect", () => resolve("connected"));
      broker.once("error", () => resolve("refused"));
      broker.once("close", () => resolve("refused"));
    });
    broker.end(true);
    expect(outcome).toBe("refused");
  });

  test("a board reads and changes only what is its own", async () => {
    const [own, other] = [await nodeOf("worker-1"), await nodeOf("worker-2")];
    const client = clientWith(credentialsOf("worker-1"));
    for (const [name, nodeName] of [
      ["mine", own],
      ["theirs", other],
    ])
      it.apply([
        { apiVersion: "v1", kind: "Secret", metadata: { name }, stringData: { key: "value" } },
        {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { name },
          spec: {
            nodeName,
            terminationGracePeriodSeconds: 0,
            containers: [{ name: "main", image, command: ["sleep", "1000"], envFrom: [{ secretRef: { name } }] }],
          },
        },
      ]);
    await it.until(/^Running Running$/, "get", "pods", "-o", "jsonpath={.items[*].status.phase}");
    const namespace = "default";
    expect((await client.get(secrets, { namespace, name: "mine" })).data?.["key"]).toBe(btoa("value"));
    await expect(client.get(secrets, { namespace, name: "theirs" })).rejects.toThrow(
      `secrets "theirs" is forbidden: User "system:node:${own}" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node '${own}' and this object`,
    );
    await expect(client.list(secrets, { namespace })).rejects.toMatchObject({ reason: "Forbidden" });
    const body = { metadata: { labels: { harmed: "yes" } } };
    await expect(client.patch(nodes, { name: other }, { type: "merge", body })).rejects.toThrow(
      `is not allowed to modify node "${other}"`,
    );
    await expect(client.delete(nodes, { name: other })).rejects.toThrow("can only delete its own Node object");
    const taints = { spec: { taints: [] } };
    await client.patch(nodes, { name: own }, { type: "merge", body: taints });
    it.kubectl("delete", "pod,secret", "mine", "theirs", "--wait=false");
  });

  test("a board speaks for no other over MQTT", async () => {
    const [own, other] = [await nodeOf("worker-1"), await nodeOf("worker-2")];
    const { certificatePem, keyPem } = credentialsOf("worker-1");
    const session = (clientId: string): mqtt.MqttClient =>
      mqtt.connect({
        ...{ protocol: "mqtts", host: `${it.prefix}.11`, port: 8883, reconnectPeriod: 0, protocolVersion: 4 },
        ...{ ca, cert: certificatePem, key: keyPem, clientId },
      });
    const closed = (client: mqtt.MqttClient): Promise<unknown> =>
      new Promise((resolve) => {
        client.on("error", () => undefined);
        client.once("close", () => resolve(undefined));
      });
    const lie = JSON.stringify({ state: "lost", bootId: "any", session: Number.MAX_SAFE_INTEGER });
    const liar = session(`${own}/test`);
    await new Promise((resolve) => liar.once("connect", resolve));
    const end = closed(liar);
    liar.publish(sessionTopic(other), lie, { qos: 1 }, () => undefined);
    await end;
    const thief = session(other);
    await closed(thief);
    for (const client of [liar, thief]) client.end(true);
    const lease = await it.client.get(leases, { namespace: "kube-node-lease", name: other });
    expect(lease.metadata.annotations?.[sessionStateAnnotation]).toBe("online");
    await untilReady(other);
    const log = (): string => readFileSync(join(it.cluster.host("master-1").dir, "bramble.log"), "utf8");
    for (const told of ["publish refused", "refused: the client id of another board"])
      await waitFor(told, patience_s, () => log().includes(told) || undefined);
  });

  test("a board that runs from a copy of another's card joins under a name of its own", async () => {
    const [first, second] = [await nodeOf("worker-1"), await nodeOf("worker-2")];
    const clone = it.cluster.host("worker-2");
    await clone.cut();
    rmSync(identity("worker-2"), { recursive: true });
    cpSync(identity("worker-1"), identity("worker-2"), { recursive: true });
    await clone.powerOn();
    // Without a token it cannot join anew, and it must not go on as the other board.
    const { code, stderr } = await it.bramble("worker-2", ...clone.board.args);
    expect(code).toBe(1);
    expect(stderr).toContain("this card was copied from another board");
    expect(stderr).toContain("bramble token create");
    clone.startBramble(["--token", token]);
    await waitFor("its own name", patience_s, async () => ((await nodeOf("worker-2")) === second ? true : undefined));
    await untilReady(second);
    await untilReady(first);
    expect(await nodeOf("worker-1")).toBe(first);

    // The same card in a board that never was in the cluster.
    await clone.cut();
    const serials = [join(clone.dir, "product_uuid"), it.cluster.file("worker-2", "/var/lib/bramble/board-id")];
    for (const file of serials) if (existsSync(file)) writeFileSync(file, `${crypto.randomUUID()}\n`);
    await clone.powerOn();
    clone.startBramble(["--token", token]);
    const third = await waitFor("a new name", patience_s, async () => {
      const name = await nodeOf("worker-2");
      return name === second ? undefined : name;
    });
    expect([first, second]).not.toContain(third);
    expect(third).toMatch(/^raspberrypi-/);
    await untilReady(third);
    expect(await nodeNames()).toEqual([first, second, third].sort());
  });
});
