/** The control plane as processes of its own that meet only at the API server. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { deployments, events, leases, nodes, pods } from "#shared/api/resources.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { freePort } from "../support/free-port.ts";

setDefaultTimeout(300_000);

const bramble = resolve(import.meta.dir, "../../bramble.ts");
let folder: string;
let client: HttpClient;
const running = new Map<string, Bun.Subprocess>();

function start(name: string, ...args: string[]): void {
  const config = args.some((arg) => arg.startsWith("--config=")) ? [] : [`--config=${join(folder, "none.yaml")}`];
  writeFileSync(join(folder, "none.yaml"), "");
  startProgram(name, [process.execPath, bramble, ...args, ...config]);
}

function startProgram(name: string, cmd: readonly string[]): void {
  const log = openSync(join(folder, `${name}.log`), "a");
  running.set(name, Bun.spawn({ cmd: [...cmd], stdin: "ignore", stdout: log, stderr: log }));
}

async function until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const end_ms = performance.now() + 120_000;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end_ms) {
      const logs = readdirSync(folder).filter((name) => name.endsWith(".log"));
      const text = logs.map((name) => `--- ${name}\n${readFileSync(join(folder, name), "utf8").slice(-1500)}`);
      throw new Error(`${what}: not so in time (${String(last)})\n${text.join("\n")}`);
    }
    await Bun.sleep(100);
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bramble-components-"));
  const [port, mqttPort] = [await freePort(), await freePort()];
  start(
    "apiserver",
    "apiserver",
    `--data-dir=${folder}/data`,
    `--run-dir=${folder}/run`,
    `--write-kubeconfig=${folder}/admin.yaml`,
    `--secure-port=${port}`,
    `--mqtt-port=${mqttPort}`,
  );
  client = await until("the API server", async () => {
    const { servers, credentials } = loadKubeconfig(join(folder, "admin.yaml"));
    const found = new HttpClient({ servers, credentials });
    await found.raw({ method: "GET", path: "/readyz" });
    // The last of the kubeconfigs that it writes.
    loadKubeconfig(join(folder, "data/kubeconfigs/proxy.yaml"));
    return found;
  });
});
afterAll(async () => {
  for (const child of running.values()) child.kill("SIGTERM");
  await Promise.all([...running.values()].map((child) => child.exited));
  rmSync(folder, { recursive: true, force: true });
});

const kubeconfig = (name: string): string => `--kubeconfig=${folder}/data/kubeconfigs/${name}.yaml`;

test("scheduler and controllers act from processes of their own, by their own identities", async () => {
  start("scheduler", "scheduler", kubeconfig("scheduler"));
  start(
    "controller-manager",
    "controller-manager",
    kubeconfig("controller-manager"),
    `--cluster-signing-cert-file=${folder}/data/pki/ca.crt`,
    `--cluster-signing-key-file=${folder}/data/pki/ca.key`,
  );
  await client.create(nodes, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "hollow" },
    spec: {},
    status: {
      allocatable: { cpu: "4", memory: "1Gi", pods: "10" },
      conditions: [{ type: "Ready", status: "True" }],
    },
  });
  const labels = { app: "web" };
  await client.create(deployments, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default" },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      // A Node without a kubelet is soon tainted.
      template: {
        metadata: { labels },
        spec: { containers: [{ name: "web", image: "web" }], tolerations: [{ operator: "Exists" }] },
      },
    },
  });
  await until("two pods on the board", async () => {
    const { items } = await client.list(pods, { namespace: "default", labelSelector: "app=web" });
    return items.filter(({ spec }) => spec?.nodeName === "hollow").length === 2 ? items : undefined;
  });
  const held = await client.list(leases, { namespace: "kube-system" });
  const names = held.items.map(({ metadata }) => metadata.name);
  expect(names).toContain("kube-scheduler");
  expect(names).toContain("kube-controller-manager");
});

test("no other process has the store open", () => {
  const holders = [...running].filter(([, { pid }]) =>
    readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`).includes("/store/store.db");
      } catch {
        // Closed between the two looks.
        return false;
      }
    }),
  );
  expect(holders.map(([name]) => name)).toEqual(["apiserver"]);
});

test("a second scheduler stands by, and takes over when the first ends", async () => {
  const lease = { namespace: "kube-system", name: "kube-scheduler" };
  const first = (await client.get(leases, lease)).spec?.holderIdentity;
  start("scheduler-2", "scheduler", kubeconfig("scheduler"));
  running.get("scheduler")?.kill("SIGTERM");
  await running.get("scheduler")?.exited;
  await until("another holder", async () => {
    const holder = (await client.get(leases, lease)).spec?.holderIdentity ?? "";
    return holder !== "" && holder !== first ? holder : undefined;
  });
  await client.patch(
    deployments,
    { namespace: "default", name: "web" },
    { type: "merge", body: { spec: { replicas: 4 } } },
  );
  await until("four pods on the board", async () => {
    const { items } = await client.list(pods, { namespace: "default", labelSelector: "app=web" });
    return items.filter(({ spec }) => spec?.nodeName === "hollow").length === 4 ? items : undefined;
  });
});

/** Upstream's own scheduler, where the conformance kit was built (test/conformance). */
const upstream = join(process.env["EXAM_CACHE"] ?? join(homedir(), ".cache/cluster-exam"), "bin/kube-scheduler");

describe("a second scheduler that pods name", () => {
  const configuration = (schedulerName: string): string => {
    const file = join(folder, `${schedulerName}.yaml`);
    const content = {
      apiVersion: "kubescheduler.config.k8s.io/v1",
      kind: "KubeSchedulerConfiguration",
      clientConnection: { kubeconfig: `${folder}/data/kubeconfigs/scheduler.yaml` },
      leaderElection: { leaderElect: false },
      profiles: [{ schedulerName }],
    };
    writeFileSync(file, JSON.stringify(content));
    return `--config=${file}`;
  };
  const binds = async (schedulerName: string): Promise<void> => {
    const key = { namespace: "default", name: schedulerName };
    await client.create(pods, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: key,
      spec: { schedulerName, containers: [{ name: "c", image: "web" }], tolerations: [{ operator: "Exists" }] },
    });
    await until(`the pod of ${schedulerName}`, async () => {
      return (await client.get(pods, key)).spec?.nodeName ?? undefined;
    });
    const source = await until("its event", async () => {
      const { items } = await client.list(events, { namespace: "default" });
      const told = items.find(({ reason, involvedObject: { name } }) => reason === "Scheduled" && name === key.name);
      return told?.source?.component || told?.reportingComponent || undefined;
    });
    expect(source).toBe(schedulerName);
  };

  test("ours under another name", async () => {
    start("mine", "scheduler", configuration("mine"));
    await binds("mine");
  });

  test.if(existsSync(upstream))("upstream's own", async () => {
    startProgram("upstream", [upstream, configuration("upstream"), "--secure-port=0"]);
    await binds("upstream");
  });

  test("a configuration that is wrong is refused with all that is wrong", async () => {
    const file = join(folder, "wrong.yaml");
    writeFileSync(file, "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofile: []\n");
    start("wrong", "scheduler", kubeconfig("scheduler"), `--config=${file}`);
    expect(await running.get("wrong")?.exited).not.toBe(0);
    expect(readFileSync(join(folder, "wrong.log"), "utf8")).toContain('unknown field "profile"');
  });
});
