/** A cluster of one machine whose parts are processes of their own: etcd, an API server of Bramble's or upstream's own, and
 *  Bramble's other components, each with its own credentials and at upstream's ports. */
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { renderKubeconfig } from "#shared/pki/kubeconfig.ts";
import { startDockerd, type TestDockerd } from "../support/dockerd.ts";
import { clientBinaries } from "../support/kubectl.ts";

const bramble = resolve(import.meta.dir, "../../bramble.ts");
export const upstreamBinaries = join(process.env["EXAM_CACHE"] ?? join(homedir(), ".cache/cluster-exam"), "bin");
const { clientAuth, serverAuth } = extendedKeyUsages;

/** The machine's own address, on `lo` of its network namespace. */
export const address = "10.202.77.1";
export const nodeName = "composed";
export const clusterCidr = "10.202.128.0/17";
export const serviceCidr = "10.43.0.0/16";

export class ComposedCluster {
  readonly processes = new Map<string, Bun.Subprocess>();
  readonly #ca: KeyAndCertificate;

  private constructor(
    readonly machine: TestDockerd,
    readonly kind: "bramble" | "upstream",
    ca: KeyAndCertificate,
  ) {
    this.#ca = ca;
  }

  static async start(kind: "bramble" | "upstream"): Promise<ComposedCluster> {
    const machine = await startDockerd();
    machine.run("ip", "address", "add", `${address}/32`, "dev", "lo");
    // Services are answered here or nowhere.
    machine.run("ip", "route", "add", "local", serviceCidr, "dev", "lo");
    const cluster = new ComposedCluster(machine, kind, await createCertificateAuthority("composed-ca"));
    try {
      await cluster.#startEtcd();
      if (kind === "bramble") await cluster.#startBramble();
      else await cluster.#startUpstream();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  path(...names: string[]): string {
    return join(this.machine.directory, ...names);
  }

  get adminKubeconfig(): string {
    return this.path("admin.kubeconfig");
  }

  /** Of a component; a board's is made by itself. */
  kubeconfig(component: string): string {
    return this.kind === "bramble"
      ? this.path("data", "kubeconfigs", `${component}.yaml`)
      : this.path(`${component}.kubeconfig`);
  }

  get signingFiles(): { readonly certificate: string; readonly key: string; readonly accounts: string } {
    const folder = this.kind === "bramble" ? this.path("data", "pki") : this.path("pki");
    return {
      certificate: join(folder, "ca.crt"),
      key: join(folder, "ca.key"),
      accounts: join(folder, "service-account.key"),
    };
  }

  /** Runs kubectl in the machine's network; throws with what it said. */
  kubectl(...args: string[]): string {
    return this.machine.run(clientBinaries().kubectl, "--kubeconfig", this.adminKubeconfig, ...args);
  }

  /** Starts a component of Bramble's in a process of its own. */
  startComponent(component: string, ...args: string[]): void {
    const none = this.path("none.yaml");
    writeFileSync(none, "");
    const config = args.some((arg) => arg.startsWith("--config=")) ? [] : [`--config=${none}`];
    this.#spawn(component, [process.execPath, bramble, component, ...args, ...config]);
  }

  /** Looks until it gets something; throws with the end of every log. */
  async until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const end_ms = performance.now() + 180_000;
    let last: unknown;
    while (performance.now() < end_ms) {
      try {
        const found = await look();
        if (found !== undefined && found !== false) return found;
      } catch (error) {
        last = error;
      }
      await Bun.sleep(200);
    }
    const logs = [...this.processes.keys()].map((name) => `--- ${name}\n${this.log(name).slice(-2500)}`);
    throw new Error(`${what}: not so in time (${String(last)})\n${logs.join("\n")}`);
  }

  log(name: string): string {
    return readFileSync(this.path(`${name}.log`), "utf8");
  }

  /** What curl gets, run in the machine's network. */
  get(url: string, ...args: string[]): { readonly code: number; readonly text: string } {
    const output = this.machine.run("curl", "-sk", "-m", "10", "-w", "\n%{http_code}", ...args, url);
    const end = output.lastIndexOf("\n");
    return { code: Number(output.slice(end + 1)), text: output.slice(0, end) };
  }

  async stop(): Promise<void> {
    for (const child of [...this.processes.values()].reverse()) {
      child.kill("SIGTERM");
      await child.exited;
    }
    await this.machine.stop();
  }

  #spawn(name: string, command: readonly string[]): void {
    const log = openSync(this.path(`${name}.log`), "a");
    const cmd = ["nsenter", `--net=/run/netns/${this.machine.namespaceName}`, ...command];
    this.processes.set(name, Bun.spawn({ cmd, stdin: "ignore", stdout: log, stderr: log }));
  }

  async #startEtcd(): Promise<void> {
    const server = await this.#issue("etcd", [], ["127.0.0.1"]);
    const client = await this.#issue("etcd-client", [], []);
    mkdirSync(this.path("etcd-pki"));
    this.#writePair("etcd-pki", "ca", this.#ca);
    this.#writePair("etcd-pki", "server", server);
    this.#writePair("etcd-pki", "client", client);
    const [own, peer] = ["https://127.0.0.1:2379", "http://127.0.0.1:2380"];
    this.#spawn("etcd", [
      "etcd",
      `--data-dir=${this.path("etcd")}`,
      `--listen-client-urls=${own}`,
      `--advertise-client-urls=${own}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      `--cert-file=${this.path("etcd-pki/server.crt")}`,
      `--key-file=${this.path("etcd-pki/server.key")}`,
      `--trusted-ca-file=${this.path("etcd-pki/ca.crt")}`,
      "--client-cert-auth",
    ]);
    const pair = ["--cert", this.path("etcd-pki/client.crt"), "--key", this.path("etcd-pki/client.key")];
    await this.until("etcd", () => this.get("https://127.0.0.1:2379/health", ...pair).code === 200 || undefined);
  }

  get #etcdFlags(): string[] {
    return [
      "--etcd-servers=https://127.0.0.1:2379",
      `--etcd-cafile=${this.path("etcd-pki/ca.crt")}`,
      `--etcd-certfile=${this.path("etcd-pki/client.crt")}`,
      `--etcd-keyfile=${this.path("etcd-pki/client.key")}`,
    ];
  }

  async #startBramble(): Promise<void> {
    this.startComponent(
      "apiserver",
      `--data-dir=${this.path("data")}`,
      `--run-dir=${this.path("run-apiserver")}`,
      `--write-kubeconfig=${this.adminKubeconfig}`,
      `--advertise-address=${address}`,
      `--node-ip=${address}`,
      "--disable=dns",
      ...this.#etcdFlags,
    );
    await this.until(
      "the API server",
      () => readFileSync(this.kubeconfig("proxy"), "utf8") && this.kubectl("get", "--raw", "/readyz"),
    );
  }

  async #startUpstream(): Promise<void> {
    mkdirSync(this.path("pki"));
    this.#writePair("pki", "ca", this.#ca);
    const names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
    this.#writePair(
      "pki",
      "apiserver",
      await this.#issue("kube-apiserver", [], ["127.0.0.1", address, "10.43.0.1"], names),
    );
    this.#writePair("pki", "kubelet-client", await this.#issue("apiserver-kubelet", ["system:masters"], []));
    Bun.spawnSync({ cmd: ["openssl", "genrsa", "-out", this.path("pki/service-account.key"), "2048"] });
    for (const [file, user, groups] of [
      ["admin", "admin", ["system:masters"]],
      ["scheduler", "system:kube-scheduler", []],
      ["controller-manager", "system:kube-controller-manager", []],
      ["proxy", "system:kube-proxy", []],
    ] as const) {
      const credentials = await this.#issue(user, groups, []);
      const server = `https://${address}:6443`;
      const text = renderKubeconfig({ server, caCertificatePem: this.#ca.certificatePem, credentials, userName: user });
      writeFileSync(this.path(`${file}.kubeconfig`), text);
    }
    const pki = (name: string): string => this.path("pki", name);
    this.#spawn("kube-apiserver", [
      join(upstreamBinaries, "kube-apiserver"),
      `--advertise-address=${address}`,
      "--secure-port=6443",
      "--allow-privileged",
      ...this.#etcdFlags,
      `--service-cluster-ip-range=${serviceCidr}`,
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--enable-bootstrap-token-auth",
      `--client-ca-file=${pki("ca.crt")}`,
      `--tls-cert-file=${pki("apiserver.crt")}`,
      `--tls-private-key-file=${pki("apiserver.key")}`,
      `--kubelet-client-certificate=${pki("kubelet-client.crt")}`,
      `--kubelet-client-key=${pki("kubelet-client.key")}`,
      "--kubelet-preferred-address-types=InternalIP",
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      `--service-account-key-file=${pki("service-account.key")}`,
      `--service-account-signing-key-file=${pki("service-account.key")}`,
    ]);
    await this.until("upstream's API server", () => this.kubectl("get", "--raw", "/readyz"));
  }

  #issue(user: string, groups: readonly string[], ips: readonly string[], names: readonly string[] = []) {
    const subject = { commonName: user, organizations: groups, ipAddresses: ips, dnsNames: names };
    return issueCertificate(this.#ca, subject, [serverAuth, clientAuth]);
  }

  #writePair(folder: string, name: string, { certificatePem, keyPem }: KeyAndCertificate): void {
    writeFileSync(this.path(folder, `${name}.crt`), certificatePem);
    writeFileSync(this.path(folder, `${name}.key`), keyPem, { mode: 0o600 });
  }
}
