/** Whatever a master leaves on its disk, backups too, shows no Secret that a key service protects; and a backup is a cluster again. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { configMaps, secrets } from "#shared/api/resources.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { until as untilSo } from "#shared/testing/until.ts";
import { KmsPluginProcess } from "../../master/store/encryption/testing/plugin-process.ts";

setDefaultTimeout(300_000);

const bramble = resolve(import.meta.dir, "../../bramble.ts");
const folder = mkdtempSync(join(tmpdir(), "bramble-at-rest-"));
const plugin = new KmsPluginProcess();
const text = "correct horse battery staple";
const key = { namespace: "default", name: "s" } as const;

/** As itself, and within any base64 text: of what does not begin at a multiple of three bytes, other letters stand there. */
const traces: readonly string[] = [
  text,
  ...[0, 1, 2].map((before) =>
    Buffer.from(" ".repeat(before) + text)
      .toString("base64")
      .slice(4, -4),
  ),
];

/** Bodies of all but Secrets, as upstream's own policies have it. */
const auditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  rules: [{ level: "Metadata", resources: [{ group: "", resources: ["secrets"] }] }, { level: "RequestResponse" }],
};

interface Machine {
  readonly folder: string;
  readonly flags: readonly string[];
}

const machine = (name: string): Machine => {
  const own = join(folder, name);
  mkdirSync(own);
  const flags = [
    `--data-dir=${own}/data`,
    `--run-dir=${own}/run`,
    `--config=${folder}/none.yaml`,
    `--encryption-provider-config=${folder}/encryption.yaml`,
    `--write-kubeconfig=${own}/admin.yaml`,
    `--audit-policy-file=${folder}/audit.yaml`,
    `--audit-log-path=${own}/audit.log`,
  ];
  return { folder: own, flags };
};

async function command(name: string, { flags }: Machine, ...args: string[]): Promise<{ code: number; said: string }> {
  const cmd = [process.execPath, bramble, name, ...args, ...flags];
  const child = Bun.spawn({ cmd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, said: said.join("") };
}

let running: Bun.Subprocess | undefined;

async function startMaster({ folder: own, flags }: Machine): Promise<HttpClient> {
  const [port, mqttPort] = [await freePort(), await freePort()];
  const log = openSync(join(own, "log"), "a");
  const more = ["--no-agent", `--https-port=${port}`, `--mqtt-port=${mqttPort}`, "--backup-schedule=* * * * * *"];
  const cmd = [process.execPath, bramble, "master", ...flags, ...more];
  running = Bun.spawn({ cmd, stdin: "ignore", stdout: log, stderr: log });
  const tell = (): string => readFileSync(join(own, "log"), "utf8").slice(-3000);
  return untilSo(
    "the master",
    async () => {
      const { servers, credentials } = loadKubeconfig(join(own, "admin.yaml"));
      const client = new HttpClient({ servers, credentials });
      await client.raw({ method: "GET", path: "/readyz" });
      return client;
    },
    { tell },
  );
}

async function stopMaster(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  running?.kill(signal);
  await running?.exited;
  running = undefined;
}

/** Files below a folder that hold any of the traces. */
function showing(below: string): string[] {
  const entries = readdirSync(below, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  expect(files.length).toBeGreaterThan(0);
  return files.filter((path) => {
    const bytes = readFileSync(path);
    const content = path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
    return traces.some((trace) => content.includes(trace));
  });
}

beforeAll(async () => {
  await plugin.start();
  const providers = [{ kms: { apiVersion: "v2", name: "vault", endpoint: plugin.endpoint } }];
  const kind = { apiVersion: "apiserver.config.k8s.io/v1", kind: "EncryptionConfiguration" };
  writeFileSync(
    join(folder, "encryption.yaml"),
    JSON.stringify({ ...kind, resources: [{ resources: ["secrets"], providers }] }),
  );
  writeFileSync(join(folder, "none.yaml"), "");
  writeFileSync(join(folder, "audit.yaml"), JSON.stringify(auditPolicy));
});
afterAll(async () => {
  await stopMaster("SIGKILL");
  await plugin.remove();
  rmSync(folder, { recursive: true });
});

test("a master leaves no Secret on its disk, and a new machine has it from a backup by the key service alone", async () => {
  const first = machine("first");
  const client = await startMaster(first);
  const data = { p: Buffer.from(text).toString("base64") };
  const metadata = { ...key, annotations: { of: text } };
  await client.create(secrets, { apiVersion: "v1", kind: "Secret", metadata, data });
  await client.patch(secrets, key, { type: "merge", body: { stringData: { q: `and ${text}` } } });
  await client.create(secrets, { apiVersion: "v1", kind: "Secret", metadata: { ...metadata, name: "gone" }, data });
  await client.delete(secrets, { ...key, name: "gone" });
  await client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: key, data: { of: "a ConfigMap" } });
  const nightly = join(first.folder, "data/backups");
  const before = existsSync(nightly) ? readdirSync(nightly) : [];
  // One is begun after another has ended: the second one to come was begun after the writes.
  await untilSo("two backups by the clock", () => {
    const made = existsSync(nightly) ? readdirSync(nightly).filter((name) => name.endsWith(".gz")) : [];
    return made.filter((name) => !before.includes(name)).length > 1;
  });
  const file = (name: string): string => join(first.folder, `${name}.gz`);
  const whileRunning = await command("backup", first, file("running"));
  expect(whileRunning.said).toContain("A restore needs besides, since they are not in it: the key service vault");
  const audit = (): string => readFileSync(join(first.folder, "audit.log"), "utf8");
  await untilSo("the audit log", () => audit().includes('"of":"a ConfigMap"') && audit().includes('"name":"gone"'));
  // As a cut of the power leaves it: the log of the store is not folded in.
  await stopMaster("SIGKILL");
  expect(showing(first.folder)).toEqual([]);
  await plugin.kill();
  expect((await command("backup", first, file("stopped"))).code).toBe(0);
  expect(showing(first.folder)).toEqual([]);

  const second = machine("second");
  for (const name of ["running", "stopped"]) {
    const refused = await command("restore", second, file(name));
    expect(refused.code).toBe(1);
    expect(refused.said).toContain("the key service vault");
    expect(refused.said).toContain("Nothing was changed");
    expect(readdirSync(second.folder)).toEqual([]);
  }
  await plugin.start();
  expect(await command("restore", second, file("stopped"))).toMatchObject({ code: 0 });
  const restored = await (await startMaster(second)).get(secrets, key);
  expect(restored.data).toEqual({ ...data, q: Buffer.from(`and ${text}`).toString("base64") });
  await stopMaster("SIGTERM");
  expect(showing(second.folder)).toEqual([]);
});
