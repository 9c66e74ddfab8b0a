/** The cluster's keys are changed while a master runs, is killed in between, and boards come and go. */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connect } from "node:tls";
import { configMaps, namespaces, nodes, secrets, serviceAccounts } from "#shared/api/resources.ts";
import type { TokenRequest } from "#shared/api/types/authentication-v1.generated.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { updateLatest } from "#shared/client/testing/update-latest.ts";
import { authorityAnnotations } from "#shared/pki/authority-annotations.ts";
import { BoardIdentity } from "#shared/pki/board-identity.ts";
import { splitCertificates } from "#shared/pki/certificate-bundle.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { until as untilSo } from "#shared/testing/until.ts";
import { clusterKeysKey } from "../../master/pki/cluster-keys.ts";
import { parseEncryptionKeys } from "../../master/store/encryption-keys.ts";

setDefaultTimeout(300_000);

const bramble = resolve(import.meta.dir, "../../bramble.ts");
const folder = mkdtempSync(join(tmpdir(), "bramble-rotation-"));
const kubeconfig = join(folder, "admin.yaml");
const tokenFile = join(folder, "data/token");
let url: string;
let start: () => void;
let master: Bun.Subprocess;

const log = (): string => readFileSync(join(folder, "log"), "utf8").slice(-3000);
const until: typeof untilSo = (what, look) => untilSo(what, look, { tell: log });

const admin = (path = kubeconfig): HttpClient => {
  const { servers, credentials } = loadKubeconfig(path);
  return new HttpClient({ servers, credentials });
};
const isReady = () => until("the master", () => admin().raw({ method: "GET", path: "/readyz" }));

function run(...args: string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  return Bun.spawn({ cmd: [process.execPath, bramble, ...args], stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

async function command(...args: string[]): Promise<string> {
  const child = run(...args);
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${args.join(" ")}: ${error}`);
  return out;
}

const rotation = (...args: string[]) =>
  [...args, `--kubeconfig=${kubeconfig}`, `--data-dir=${folder}/data`, "--timeout=90"] as const;
const settings = () => [
  `--data-dir=${folder}/data`,
  `--write-kubeconfig=${kubeconfig}`,
  `--config=${folder}/none.yaml`,
];

const board = (name: string, token?: string) =>
  BoardIdentity.ensure({
    folder: join(folder, name),
    servers: [url],
    token,
    hostName: name,
    boardSerial: `serial-${name}`,
  });
const clientOf = (identity: BoardIdentity) => new HttpClient({ servers: [url], credentials: identity.credentials });

/** Makes the board's Node, ready, with what it says of its authorities. */
async function appear(identity: BoardIdentity): Promise<void> {
  await clientOf(identity).create(nodes, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: identity.nodeName },
    spec: {},
    status: { conditions: [{ type: "Ready", status: "True" }] },
  });
  await tell(identity);
}

async function tell(identity: BoardIdentity): Promise<void> {
  const annotations = authorityAnnotations(identity.caCertificatePem, identity.issuer);
  const body = { metadata: { annotations } };
  await clientOf(identity).patch(nodes, { name: identity.nodeName }, { type: "merge", body });
}

/** What an agent does every now and then. */
async function look(identity: BoardIdentity): Promise<void> {
  await identity.refreshTrust();
  if (identity.renewAt <= new Date()) await identity.renew(clientOf(identity));
  await tell(identity);
}

function servedSerial(): Promise<string> {
  const { port } = new URL(url);
  return new Promise((done, fail) => {
    const socket = connect({ host: "127.0.0.1", port: Number(port), rejectUnauthorized: false }, () => {
      done(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once("error", fail);
  });
}

beforeAll(async () => {
  const [port, mqttPort] = [await freePort(), await freePort()];
  writeFileSync(join(folder, "none.yaml"), "");
  start = () => {
    const log = openSync(join(folder, "log"), "a");
    const args = [
      "master",
      "--no-agent",
      ...settings(),
      `--run-dir=${folder}/run`,
      `--https-port=${port}`,
      `--mqtt-port=${mqttPort}`,
    ];
    master = Bun.spawn({ cmd: [process.execPath, bramble, ...args], stdin: "ignore", stdout: log, stderr: log });
  };
  start();
  url = `https://127.0.0.1:${port}`;
  await isReady();
});
afterAll(async () => {
  master.kill("SIGKILL");
  await master.exited;
  rmSync(folder, { recursive: true });
});

test("certificates are listed, and renewed while the master runs", async () => {
  const list = await command("certificate", "list", ...settings());
  for (const text of ["kube-apiserver", "10.43.0.1", "bramble-ca", "system:admin,O=system:masters", "days)"])
    expect(list).toContain(text);
  const before = await servedSerial();
  expect(await command("certificate", "renew", ...settings())).toContain("the master's certificates were renewed");
  await until("another certificate", async () => ((await servedSerial()) === before ? undefined : true));
  await isReady();
});

describe("the CA", () => {
  let there: BoardIdentity;
  const tokenBefore = () => readFileSync(join(folder, "token-before"), "utf8").trim();

  test("is changed step by step, through a kill of the master, while boards go on", async () => {
    writeFileSync(join(folder, "token-before"), readFileSync(tokenFile));
    cpSync(kubeconfig, join(folder, "laptop.yaml"));
    there = await board("there", tokenBefore());
    await appear(there);
    await appear(await board("away", tokenBefore()));
    // Not there any more when the rotation begins.
    await admin().patch(
      nodes,
      { name: "away" },
      { type: "merge", body: { status: { conditions: [{ type: "Ready", status: "Unknown" }] } } },
      { subresource: "status" },
    );
    const oldCa = readFileSync(join(folder, "data/pki/ca.crt"), "utf8");

    const first = run(...rotation("certificate", "rotate-ca"));
    await until("the new CA beside the old one", async () => {
      await there.refreshTrust();
      return splitCertificates(there.caCertificatePem).length === 2 || undefined;
    });
    // Nobody has said that he trusts it: nothing is signed by it.
    expect(readFileSync(join(folder, "data/pki/ca.crt"), "utf8")).toBe(oldCa);
    first.kill("SIGKILL");
    master.kill("SIGKILL");
    await Promise.all([first.exited, master.exited]);
    start();
    await isReady();

    const second = command(...rotation("certificate", "rotate-ca"));
    const done = second.then(() => true);
    await tell(there);
    await until("the rotation", async () => {
      await look(there);
      return Promise.race([done, Bun.sleep(50).then(() => undefined)]);
    });
    expect(await second).toContain("step 2 of 3");
    expect(readFileSync(join(folder, "data/pki/ca.crt"), "utf8")).not.toBe(oldCa);
    expect(there.issuer).not.toBe(there.clusterId);
    // The board that is away, the laptop and a join token of before know the cluster still.
    await admin(join(folder, "laptop.yaml")).list(namespaces);
    expect((await board("newcomer", tokenBefore())).nodeName).toBe("newcomer");
    const published = await admin().get(configMaps, { namespace: "default", name: "kube-root-ca.crt" });
    expect(splitCertificates(published.data?.["ca.crt"] ?? "")).toHaveLength(2);
  });

  test("of before is trusted no more at last", async () => {
    await command(...rotation("certificate", "rotate-ca", "--finish"));
    await expect(admin(join(folder, "laptop.yaml")).list(namespaces)).rejects.toThrow("Unauthorized");
  });

  test("was changed behind the back of a board that comes home, without a token", async () => {
    const away = await board("away");
    expect((await clientOf(away).get(nodes, { name: "away" })).metadata.name).toBe("away");
    await look(away);
    expect(splitCertificates(away.caCertificatePem)).toHaveLength(1);
    expect((await board("away")).clusterId).toBe(away.clusterId);
    // A token in its settings, from before, does not make it join another cluster.
    expect((await board("away", tokenBefore())).nodeName).toBe("away");
  });

  test("is in the permanent join token", async () => {
    expect(readFileSync(tokenFile, "utf8").trim()).not.toBe(tokenBefore());
    expect((await board("late", readFileSync(tokenFile, "utf8"))).nodeName).toBe("late");
    await expect(board("tardy", tokenBefore())).rejects.toThrow("its CA was rotated");
  });

  test("survives a restart, and takes no set that does not fit together", async () => {
    const { data } = await admin().get(secrets, clusterKeysKey);
    const ca = readFileSync(join(folder, "data/pki/ca.crt"), "utf8");
    const other = Buffer.from(readFileSync(join(folder, "data/pki/front-proxy-ca.key"))).toString("base64");
    // The master notes in the same Secret what it goes by.
    const put = (keys: Secret["data"]) =>
      updateLatest(admin(), secrets, clusterKeysKey, (secret) => ({ ...secret, data: keys }));
    await put({ ...data, "ca.key": other });
    master.kill("SIGTERM");
    await master.exited;
    start();
    await isReady();
    expect(readFileSync(join(folder, "data/pki/ca.crt"), "utf8")).toBe(ca);
    await put(data);
  });
});

test("the permanent join token is changed, and the former ends", async () => {
  const before = readFileSync(tokenFile, "utf8").trim();
  const said = await command("token", "rotate", `--kubeconfig=${kubeconfig}`, `--data-dir=${folder}/data`);
  expect(readFileSync(tokenFile, "utf8")).toBe(said);
  await expect(board("stranger", before)).rejects.toThrow("it has expired or was revoked");
  expect((await board("guest", said)).nodeName).toBe("guest");
});

describe("the signing key of service accounts", () => {
  const key = { namespace: "default", name: "default" };
  const issue = async (): Promise<HttpClient> => {
    const request: TokenRequest = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: {},
      spec: { audiences: [], expirationSeconds: 3600 },
    };
    const { status } = await admin().post(serviceAccounts, key, "token", request);
    const credentials = { ca: there(), token: status?.token };
    return new HttpClient({ servers: [url], credentials: () => credentials });
  };
  const there = (): string => readFileSync(join(folder, "data/pki/ca.crt"), "utf8");
  const keyIds = async (): Promise<string[]> => {
    const set = JSON.parse(JSON.stringify(await admin().raw({ method: "GET", path: "/openid/v1/jwks" })));
    return set.keys.map(({ kid }: { kid: string }) => kid);
  };
  const isKnown = (client: HttpClient) => client.raw({ method: "GET", path: "/apis" });

  test("is changed while tokens of both are taken, and the former ends on command", async () => {
    const former = await issue();
    const [formerId] = await keyIds();
    await admin().create(secrets, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        namespace: "default",
        name: "robot",
        annotations: { "kubernetes.io/service-account.name": "default" },
      },
      type: "kubernetes.io/service-account-token",
    });
    await until(
      "a token in the Secret",
      async () => (await admin().get(secrets, { ...key, name: "robot" })).data?.["token"],
    );
    await command(...rotation("token", "rotate-signing-key"));
    const ids = await keyIds();
    expect(ids).toHaveLength(2);
    expect(ids[1]).toBe(formerId ?? "");
    const newer = await issue();
    await isKnown(newer);
    await isKnown(former);
    const finish = rotation("token", "rotate-signing-key", "--finish");
    await expect(command(...finish)).rejects.toThrow("default/robot");
    await admin().patch(secrets, { ...key, name: "robot" }, { type: "merge", body: { data: { token: null } } });
    await until("another token in the Secret", async () => {
      const text = (await admin().get(secrets, { ...key, name: "robot" })).data?.["token"];
      return text ? true : undefined;
    });
    await command(...finish);
    expect(await keyIds()).toEqual([ids[0] ?? ""]);
    await isKnown(newer);
    // Seen before, and refused all the same.
    await expect(isKnown(former)).rejects.toThrow("Unauthorized");
  });
});

describe("the key under which Secrets rest", () => {
  const database = join(folder, "data/store/store.db");
  const keyFile = join(folder, "data/pki/encryption.key");
  const writingId = (): string => parseEncryptionKeys(readFileSync(keyFile, "utf8"), keyFile).writing.keyId;
  const rotate = ["encryption", "rotate", `--kubeconfig=${kubeconfig}`, `--data-dir=${folder}/data`] as const;
  const runFolder = `--run-dir=${folder}/run`;
  const resting = (): string[] => {
    const db = new Database(database, { readonly: true });
    const rows = db
      .query<{ value: string }, []>("SELECT value FROM log WHERE key LIKE '/registry/secrets/%' AND value != ''")
      .all();
    db.close();
    return rows.map(({ value }) => value);
  };

  test("is changed through kills of command and master, and no Secret is lost", async () => {
    const former = writingId();
    const key = (n: number) => ({ namespace: "default", name: `kept-${n}` });
    const all = Array.from({ length: 120 }, (_, n) => n);
    const data = (n: number) => ({ value: Buffer.from(`secret ${n}`).toString("base64") });
    for (const n of all)
      await admin().create(secrets, { apiVersion: "v1", kind: "Secret", metadata: key(n), data: data(n) });
    // No socket there: it comes as far as the rewriting, and stops.
    await expect(command(...rotate, `--run-dir=${folder}/nowhere`)).rejects.toThrow("no master runs here");
    expect(parseEncryptionKeys(readFileSync(keyFile, "utf8"), keyFile).stage).toBe("writing");
    master.kill("SIGKILL");
    await master.exited;
    start();
    await isReady();
    expect((await admin().get(secrets, key(7))).data).toEqual(data(7));
    const said = await command(...rotate, runFolder);
    expect(said).toContain("step 4 of 4");
    const now = writingId();
    expect(now).not.toBe(former);
    expect(readFileSync(keyFile, "utf8").trim().split("\n")).toHaveLength(1);
    master.kill("SIGTERM");
    await master.exited;
    expect(resting().length).toBeGreaterThanOrEqual(all.length);
    for (const value of resting()) expect(value).toContain(`:${now}:`);
    // Nor does anything in free parts of the file.
    expect(readFileSync(database).includes(`:${former}:`)).toBe(false);
    start();
    await isReady();
    const shared = Object.values((await admin().get(secrets, clusterKeysKey)).data ?? {});
    for (const text of shared) expect(Buffer.from(text, "base64").toString()).toContain(`:${now}:`);
    for (const n of all) expect((await admin().get(secrets, key(n))).data).toEqual(data(n));
  });

  test("is taken from the administrator alone, and never from another cluster", async () => {
    const put = (client: HttpClient, keys: string) =>
      client.raw({ method: "PUT", path: "/bramble/v1/encryption-keys", body: { keys } });
    const other = Buffer.alloc(32, 1).toString("base64");
    await expect(put(admin(), other)).rejects.toThrow("none of them is known here");
    await expect(put(admin(), "nonsense")).rejects.toThrow("not a set of keys");
    const ca = readFileSync(join(folder, "data/pki/ca.crt"), "utf8");
    const anonymous = new HttpClient({ servers: [url], credentials: () => ({ ca }) });
    await expect(put(anonymous, other)).rejects.toThrow("forbidden");
    expect(readFileSync(keyFile, "utf8")).not.toContain(other);
  });
});
