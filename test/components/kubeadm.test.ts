/** Bramble's components in the place of upstream's: with the flags and files that kubeadm gives its static pods, all of one kind
 *  or mixed. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
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
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { deployments, nodes, pods, secrets, serviceAccounts } from "#shared/api/resources.ts";
import type { TokenRequest, TokenReview } from "#shared/api/types/authentication-v1.generated.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { until as untilSo } from "#shared/testing/until.ts";
import { KubeadmFiles } from "./kubeadm-files.ts";

setDefaultTimeout(300_000);

const bramble = resolve(import.meta.dir, "../../bramble.ts");
const upstream = join(process.env["EXAM_CACHE"] ?? join(homedir(), ".cache/cluster-exam"), "bin");
const hasUpstream = existsSync(join(upstream, "kube-apiserver"));
type Maker = "bramble" | "upstream";

/** A control plane without boards, on ports of its own. */
class ControlPlane {
  readonly folder = mkdtempSync(join(tmpdir(), "bramble-kubeadm-"));
  readonly #running = new Map<string, Bun.Subprocess>();
  files!: KubeadmFiles;
  client!: HttpClient;

  async start(apiServer: Maker): Promise<void> {
    const [port, etcdPort, peerPort] = [await freePort(), await freePort(), await freePort()];
    this.files = new KubeadmFiles(join(this.folder, "kubernetes"), `https://127.0.0.1:${port}`);
    this.#startEtcd(etcdPort, peerPort);
    const flags = this.files.apiServerFlags(`https://127.0.0.1:${etcdPort}`, port);
    const own = await this.#ownPlaces();
    if (apiServer === "upstream") this.#spawn("apiserver", [join(upstream, "kube-apiserver"), ...flags]);
    else this.#spawn("apiserver", [process.execPath, bramble, "apiserver", ...flags, ...own]);
    const { servers, credentials } = loadKubeconfig(this.files.kubeconfig("super-admin"));
    this.client = new HttpClient({ servers, credentials });
    await this.until("the API server", () => this.client.raw({ method: "GET", path: "/readyz" }));
  }

  /** Starts what makes pods and places them; those of before end. */
  async control(by: Maker): Promise<void> {
    await this.#end("controller-manager", "scheduler");
    const none = join(this.folder, "none.yaml");
    writeFileSync(none, "");
    for (const [name, flags] of [
      ["controller-manager", this.files.controllerManagerFlags()],
      ["scheduler", this.files.schedulerFlags()],
    ] as const) {
      const program =
        by === "upstream" ? [join(upstream, `kube-${name}`)] : [process.execPath, bramble, name, `--config=${none}`];
      this.#spawn(name, [...program, ...flags, `--secure-port=${await freePort()}`]);
    }
  }

  async stop(): Promise<void> {
    await this.#end(...[...this.#running.keys()].reverse());
    rmSync(this.folder, { recursive: true, force: true });
  }

  until: typeof untilSo = (what, look) => untilSo(what, look, { tell: () => this.#logs() });

  /** What upstream keeps elsewhere, or has not. */
  async #ownPlaces(): Promise<string[]> {
    writeFileSync(join(this.folder, "none.yaml"), "");
    return [
      `--config=${join(this.folder, "none.yaml")}`,
      `--data-dir=${join(this.folder, "data")}`,
      `--run-dir=${join(this.folder, "run")}`,
      `--write-kubeconfig=${join(this.folder, "admin.yaml")}`,
      `--mqtt-port=${await freePort()}`,
      "--disable=mdns",
    ];
  }

  #startEtcd(port: number, peerPort: number): void {
    const { files } = this;
    mkdirSync(join(this.folder, "etcd"), { mode: 0o700 });
    this.#spawn("etcd", [
      "etcd",
      `--data-dir=${join(this.folder, "etcd")}`,
      `--listen-client-urls=https://127.0.0.1:${port}`,
      `--advertise-client-urls=https://127.0.0.1:${port}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
      `--cert-file=${files.pki("etcd/server.crt")}`,
      `--key-file=${files.pki("etcd/server.key")}`,
      `--trusted-ca-file=${files.pki("etcd/ca.crt")}`,
      "--client-cert-auth",
    ]);
  }

  #spawn(name: string, cmd: string[]): void {
    const log = openSync(join(this.folder, `${name}.log`), "a");
    this.#running.set(name, Bun.spawn({ cmd, stdin: "ignore", stdout: log, stderr: log }));
  }

  async #end(...names: readonly string[]): Promise<void> {
    for (const name of names) {
      const child = this.#running.get(name);
      child?.kill("SIGTERM");
      await child?.exited;
      this.#running.delete(name);
    }
  }

  #logs(): string {
    return readdirSync(this.folder)
      .filter((name) => name.endsWith(".log"))
      .map((name) => `--- ${name}\n${readFileSync(join(this.folder, name), "utf8").slice(-2500)}`)
      .join("\n");
  }
}

async function addBoard({ client }: ControlPlane): Promise<void> {
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
}

/** A Deployment gets its pods, and they get a board. */
async function deploys({ client, until }: ControlPlane, name: string): Promise<void> {
  const labels = { app: name };
  await client.create(deployments, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: "default" },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        // A Node without a kubelet is soon tainted.
        spec: { containers: [{ name: "web", image: "web" }], tolerations: [{ operator: "Exists" }] },
      },
    },
  });
  await until(`two pods of ${name} on the board`, async () => {
    const { items } = await client.list(pods, { namespace: "default", labelSelector: `app=${name}` });
    return items.filter(({ spec }) => spec?.nodeName === "hollow").length === 2 || undefined;
  });
}

/** Whose a token is. */
async function reviewed({ client }: ControlPlane, token: string): Promise<string | undefined> {
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
  const path = "/apis/authentication.k8s.io/v1/tokenreviews";
  const review = (await client.raw({ method: "POST", path, body })) as TokenReview;
  return review.status?.user?.username;
}

/** A Secret for a service account gets a token, which the API server takes. */
async function getsToken(plane: ControlPlane, name: string): Promise<void> {
  const { client, until } = plane;
  const key = { namespace: "default", name };
  await client.create(secrets, {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/service-account-token",
    metadata: { ...key, annotations: { "kubernetes.io/service-account.name": "default" } },
  });
  const token = await until("a token in the Secret", async () => (await client.get(secrets, key)).data?.["token"]);
  expect(await reviewed(plane, Buffer.from(token, "base64").toString())).toBe("system:serviceaccount:default:default");
}

describe("Bramble's API server in kubeadm's place", () => {
  const plane = new ControlPlane();
  beforeAll(() => plane.start("bramble"));
  afterAll(() => plane.stop());

  test("runs with Bramble's controllers and scheduler", async () => {
    await plane.control("bramble");
    await addBoard(plane);
    await deploys(plane, "ours");
    await getsToken(plane, "ours");
    const { spec } = await plane.until("the board's range", async () => {
      const node = await plane.client.get(nodes, { name: "hollow" });
      return node.spec?.podCIDR ? node : undefined;
    });
    expect(spec?.podCIDR).toStartWith("10.244.");
  });

  test("issues tokens by the key of kubeadm's", async () => {
    const request = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: {},
      spec: {},
    } as TokenRequest;
    const key = { namespace: "default", name: "default" };
    const token = (await plane.client.post(serviceAccounts, key, "token", request)).status?.token ?? "";
    const [head = "", body = ""] = token.split(".").map((part) => Buffer.from(part, "base64url").toString());
    expect(JSON.parse(head).alg).toBe("RS256");
    expect(JSON.parse(body).iss).toBe("https://kubernetes.default.svc.cluster.local");
    expect(await reviewed(plane, token)).toBe("system:serviceaccount:default:default");
  });

  test.if(hasUpstream)("runs with upstream's controllers and scheduler", async () => {
    await plane.control("upstream");
    await deploys(plane, "theirs");
    await getsToken(plane, "theirs");
  });
});

describe.if(hasUpstream)("upstream's API server", () => {
  const plane = new ControlPlane();
  beforeAll(() => plane.start("upstream"));
  afterAll(() => plane.stop());

  test("runs with Bramble's controllers and scheduler in the place of upstream's", async () => {
    await plane.control("bramble");
    await addBoard(plane);
    await deploys(plane, "ours");
    await getsToken(plane, "ours");
  });
});
