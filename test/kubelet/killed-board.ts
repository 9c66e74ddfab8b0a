/** A board whose kubelet is a process that is killed, or whose power goes, and what is left on it then. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { linuxHost } from "#agent/host/linux-host.ts";
import { CniNetwork } from "#agent/network/cni-network.ts";
import { DockerRuntime } from "#agent/runtime/docker.ts";
import { serviceAccounts } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { startDockerd, type TestDockerd } from "../support/dockerd.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";
import type { KubeletProcess } from "./kubelet-process.ts";

export const nodeName = "board";

export class KilledBoard {
  #process: ChildProcess | undefined;
  #said = "";

  private constructor(
    readonly dockerd: TestDockerd,
    readonly server: SecuredServer,
    readonly runtime: DockerRuntime,
  ) {}

  static async start(): Promise<KilledBoard> {
    const dockerd = await startDockerd();
    const server = await startSecuredServer();
    const runtime = new DockerRuntime({
      socketPath: dockerd.socketPath,
      host: linuxHost(),
      resolvConfDirectory: join(dockerd.directory, "run/resolv"),
      warn: () => undefined,
      network: new CniNetwork({
        configDirectory: join(dockerd.directory, "net.d"),
        binDirectories: [dockerd.cniBinDirectory],
        stateDirectory: join(dockerd.directory, "run/cni"),
        warn: () => undefined,
      }),
    });
    await server.admin.create(serviceAccounts, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "default", namespace: "default" },
      automountServiceAccountToken: false,
    });
    const { certificatePem, keyPem } = await issueCertificate(
      server.pki.authorities.ca,
      { commonName: `system:node:${nodeName}`, organizations: ["system:nodes"] },
      [extendedKeyUsages.clientAuth],
    );
    const { directory, socketPath, cniBinDirectory } = dockerd;
    const settings: KubeletProcess = {
      directory,
      socketPath,
      cniBinDirectory,
      url: server.url,
      ca: server.pki.authorities.ca.certificatePem,
      certificate: certificatePem,
      key: keyPem,
      nodeName,
    };
    for (const folder of ["images", "static"]) mkdirSync(join(directory, folder));
    writeFileSync(join(directory, "settings.json"), JSON.stringify(settings), { mode: 0o600 });
    return new KilledBoard(dockerd, server, runtime);
  }

  get api(): Client {
    return this.server.admin;
  }

  /** What its kubelets have said. */
  get said(): string {
    return this.#said;
  }

  inside(name: string): string {
    return join(this.dockerd.directory, name);
  }

  startKubelet(): void {
    const program = new URL("kubelet-process.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [program, this.inside("settings.json")], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString()).slice(-100_000);
    });
    this.#process = child;
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await ended;
  }

  /** What a power cut leaves: nothing runs, nothing is mounted, and what lay in memory is gone. */
  async losePower(): Promise<void> {
    await this.kill();
    for (const { id, state } of await this.runtime.listContainers())
      if (state === "running") await this.runtime.stopContainer(id, 0);
    for (const { id } of await this.runtime.listSandboxes()) await this.runtime.stopSandbox(id);
    for (const folder of ["run", "kubelet"]) linuxHost().unmountTree(this.inside(folder), { lazy: true });
    rmSync(this.inside("run"), { recursive: true, force: true });
    for (const { ifname } of this.#links()) if (ifname !== "lo") this.dockerd.run("ip", "link", "delete", ifname);
    for (const program of ["iptables", "ip6tables"])
      for (const table of ["nat", "filter", "mangle"])
        for (const what of ["-F", "-X"]) this.dockerd.run(program, "-t", table, what);
  }

  async stop(): Promise<void> {
    await this.kill();
    linuxHost().unmountTree(this.dockerd.directory, { lazy: true });
    await this.server.stop();
    await this.dockerd.stop();
  }

  #links(): { readonly ifname: string }[] {
    return JSON.parse(this.dockerd.run("ip", "-j", "link", "show") || "[]") as { ifname: string }[];
  }

  /** What is left of pods on a board that has none. */
  async left(): Promise<string[]> {
    const found: string[] = [];
    for (const { id, name, pod } of await this.runtime.listContainers())
      found.push(`container ${name} of ${pod.name} ${id}`);
    for (const { id, pod } of await this.runtime.listSandboxes()) found.push(`sandbox of ${pod.name} ${id}`);
    for (const { ifname } of this.#links()) if (ifname.startsWith("veth")) found.push(`interface ${ifname}`);
    for (const name of entries(this.inside("run/leases/bramble")))
      if (/^[\d.]+$/.test(name)) found.push(`address ${name}`);
    for (const folder of ["run/cni", "run/pods", "kubelet/pods", "kubelet/checkpoint/pods"])
      for (const name of entries(this.inside(folder))) found.push(`${folder}/${name}`);
    const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
    for (const line of mounts) {
      const [, path = ""] = line.split(" ");
      if (["run/pods/", "kubelet/pods/"].some((folder) => path.startsWith(this.inside(folder))))
        found.push(`mount ${path}`);
    }
    const rules = this.dockerd.run("iptables-save", "-t", "nat");
    for (const line of rules.split("\n")) if (/^:CNI-DN-/.test(line)) found.push(`rules ${line}`);
    return found;
  }
}

const entries = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
