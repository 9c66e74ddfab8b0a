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
import {
  clusterRoleBindings,
  deployments,
  events,
  leases,
  nodes,
  pods,
  serviceAccounts,
} from "#shared/api/resources.ts";
import type { TokenRequest } from "#shared/api/types/authentication-v1.generated.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { until as untilSo } from "#shared/testing/until.ts";

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

const logs = (): string =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".log"))
    .map((name) => `--- ${name}\n${readFileSync(join(folder, name), "utf8").slice(-1500)}`)
    .join("\n");
const until: typeof untilSo = (what, look) => untilSo(what, look, { tell: logs });

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

test("the API server's health tells of what upstream's end-to-end tests ask it for, check by check", async () => {
  const asked = [
    "ping",
    "log",
    "etcd",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/bootstrap-controller",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
  ];
  const page = (path: string) => client.raw({ method: "GET", path }).then(String);
  const readiness = await until("every step of the start", async () => {
    const shown = await page("/readyz?verbose");
    return asked.every((name) => shown.includes(`[+]${name} ok\n`)) ? shown : undefined;
  });
  for (const name of [...asked, "informer-sync", "shutdown"]) expect(readiness).toContain(`[+]${name} ok\n`);
  for (const root of ["healthz", "livez"]) {
    const shown = await page(`/${root}?verbose`);
    for (const name of asked) expect(shown).toContain(`[+]${name} ok\n`);
  }
  expect(await page("/livez/poststarthook/rbac/bootstrap-roles")).toBe("ok");
});

const kubeconfig = (name: string): string => `--kubeconfig=${folder}/data/kubeconfigs/${name}.yaml`;

const ports = new Map<string, number>();
/** Several of a kind on one machine: each needs a port of its own. */
async function ownPort(name: string): Promise<string> {
  const port = await freePort();
  ports.set(name, port);
  return `--secure-port=${port}`;
}

test("scheduler and controllers act from processes of their own, by their own identities", async () => {
  start("scheduler", "scheduler", kubeconfig("scheduler"), await ownPort("scheduler"));
  start(
    "controller-manager",
    "controller-manager",
    kubeconfig("controller-manager"),
    await ownPort("controller-manager"),
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

describe.each(["scheduler", "controller-manager"])("the %s's own server", (name) => {
  const ask = async (
    path: string,
    credentials: { token?: string; tls?: object; headers?: Record<string, string> } = {},
  ) => {
    const answer = await fetch(`https://127.0.0.1:${ports.get(name)}${path}`, {
      headers: {
        ...credentials.headers,
        ...(credentials.token === undefined ? {} : { authorization: `Bearer ${credentials.token}` }),
      },
      tls: { rejectUnauthorized: false, ...credentials.tls },
    });
    return { code: answer.status, text: await answer.text() };
  };
  const certificateOf = (file: string) => {
    const { certificate: cert, key } = loadKubeconfig(file).credentials();
    return { tls: { cert, key } };
  };
  const tokenOf = async (account: string): Promise<string> => {
    const key = { namespace: "default", name: account };
    const request = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: {},
      spec: {},
    } as TokenRequest;
    return (await client.post(serviceAccounts, key, "token", request)).status?.token ?? "";
  };

  test("health is everybody's", async () => {
    for (const path of ["/healthz", "/livez", "/readyz"]) expect(await ask(path)).toEqual({ code: 200, text: "ok" });
    const parts = name === "scheduler" ? "" : "[+]node-lifecycle-controller ok\n";
    const { text } = await ask("/healthz?verbose");
    expect(text).toStartWith("[+]leaderElection ok\n");
    expect(text).toContain(parts);
    expect((await ask("/livez?verbose")).text).toBe("[+]ping ok\nlivez check passed\n");
  });

  test("who is not known is nobody, and may read nothing else", async () => {
    const { code, text } = await ask("/metrics");
    expect(code).toBe(403);
    expect(JSON.parse(text)).toMatchObject({
      kind: "Status",
      reason: "Forbidden",
      message: 'forbidden: User "system:anonymous" cannot get path "/metrics"',
    });
    expect((await ask("/metrics", { token: "nonsense" })).code).toBe(401);
    const someone = await ask("/configz", { token: await tokenOf("default") });
    expect(someone.text).toContain('User \\"system:serviceaccount:default:default\\" cannot get path \\"/configz\\"');
  });

  test("who has the right reads metrics and configuration, by token or by certificate", async () => {
    // Who certifies clients is read behind the first request.
    const metrics = await until("the administrator's certificate to count", async () => {
      const answer = await ask("/metrics", certificateOf(join(folder, "admin.yaml")));
      return answer.code === 200 ? answer.text : undefined;
    });
    expect(metrics).toContain(`leader_election_master_status{name="kube-${name}"} 1`);
    const readiness = name === "scheduler" ? ["shutdown", "sched-handler-sync"] : ["shutdown"];
    for (const check of readiness)
      expect((await ask(`/readyz/${check}`, certificateOf(join(folder, "admin.yaml")))).text).toBe("ok");
    const results = await ask("/metrics/slis", certificateOf(join(folder, "admin.yaml")));
    expect(results.text).toContain(`kubernetes_healthcheck{name="leaderElection",type="healthz"} 1`);
    await client.create(serviceAccounts, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { namespace: "default", name: `reads-${name}` },
    });
    await client.create(clusterRoleBindings, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: `reads-${name}` },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:monitoring" },
      subjects: [{ kind: "ServiceAccount", namespace: "default", name: `reads-${name}` }],
    });
    expect((await ask("/metrics", { token: await tokenOf(`reads-${name}`) })).code).toBe(200);
    expect((await ask("/configz", certificateOf(join(folder, "admin.yaml")))).text).toContain(
      `"ResourceName":"kube-${name}"`,
    );
  });

  test("a certificate of another authority is refused, and is no proxy's", async () => {
    const rogue = await issueCertificate(
      await createCertificateAuthority("rogue"),
      { commonName: "system:admin", organizations: ["system:masters"] },
      [extendedKeyUsages.clientAuth],
    );
    const tls = { cert: rogue.certificatePem, key: rogue.keyPem };
    for (const path of ["/metrics", "/healthz"]) expect((await ask(path, { tls })).code).toBe(401);
    expect((await ask("/metrics", { tls, headers: { "X-Remote-User": "root" } })).code).toBe(401);
  });

  test("a proxy of the API server's says whose its requests are, and nobody else does", async () => {
    const pem = readFileSync(join(folder, "data", "pki", "front-proxy-client.pem"), "utf8");
    const tls = { cert: pem, key: pem };
    const as = (headers: Record<string, string>, more: object = { tls }) => ask("/metrics", { headers, ...more });
    expect((await as({ "X-Remote-User": "somebody" })).text).toContain('User \\"somebody\\" cannot get path');
    const root = { "X-Remote-User": "root", "X-Remote-Group": "system:masters" };
    expect((await as(root)).code).toBe(200);
    // Of nobody's request a proxy has nothing to say, and it is no client itself.
    expect((await as({})).code).toBe(401);
    expect((await as(root, {})).code).toBe(403);
    expect((await as({ "X-Remote-User": "somebody" }, certificateOf(join(folder, "admin.yaml")))).code).toBe(200);
  });
});

test("a controller manager without the files of a CA runs, as those do whose certificates others sign", async () => {
  const name = "without-ca";
  const options = ["--leader-elect=false", "--controllers=replicaset-controller"];
  start(name, "controller-manager", kubeconfig("controller-manager"), await ownPort(name), ...options);
  const health = await until("its health", async () => {
    const answer = await fetch(`https://127.0.0.1:${ports.get(name)}/healthz`, { tls: { rejectUnauthorized: false } });
    return answer.text();
  });
  expect(health).toBe("ok");
  // Two that act at once make a pod too many, and nobody confirms the end of that: the Node has no kubelet.
  running.get(name)?.kill("SIGTERM");
  await running.get(name)?.exited;
  running.delete(name);
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
  start("scheduler-2", "scheduler", kubeconfig("scheduler"), await ownPort("scheduler-2"));
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
    start("mine", "scheduler", configuration("mine"), "--secure-port=0");
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
