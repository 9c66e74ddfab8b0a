/** Real etcd members for tests: Debian's etcd, TLS with client certificates between all. */
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChannelCredentials } from "#shared/grpc/channel.ts";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { freePort } from "#shared/testing/free-port.ts";

interface Member {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  process: Bun.Subprocess | undefined;
}

/** A cluster of etcd members on loopback. */
export class EtcdServers {
  private constructor(
    readonly folder: string,
    readonly ca: KeyAndCertificate,
    readonly client: KeyAndCertificate,
    readonly members: readonly Member[],
  ) {}

  static async start(count = 1): Promise<EtcdServers> {
    const folder = mkdtempSync(join(tmpdir(), "bramble-etcd-"));
    const ca = await createCertificateAuthority("etcd-ca");
    const { serverAuth, clientAuth } = extendedKeyUsages;
    const server = await issueCertificate(ca, { commonName: "etcd", ipAddresses: ["127.0.0.1"] }, [
      serverAuth,
      clientAuth,
    ]);
    const client = await issueCertificate(ca, { commonName: "bramble" }, [clientAuth]);
    writeFileSync(join(folder, "ca.crt"), ca.certificatePem);
    for (const [name, made] of [
      ["server", server],
      ["client", client],
    ] as const) {
      writeFileSync(join(folder, `${name}.crt`), made.certificatePem);
      writeFileSync(join(folder, `${name}.key`), made.keyPem, { mode: 0o600 });
    }
    // etcd must know its addresses before it listens.
    const ports: number[] = [];
    while (ports.length < count * 2) ports.push(await freePort());
    const members = Array.from({ length: count }, (_, index) => ({
      name: `m${index + 1}`,
      clientUrl: `https://127.0.0.1:${ports[index * 2]}`,
      peerUrl: `https://127.0.0.1:${ports[index * 2 + 1]}`,
      process: undefined,
    }));
    const servers = new EtcdServers(folder, ca, client, members);
    for (const { name } of members) servers.run(name);
    await servers.healthy();
    return servers;
  }

  get endpoints(): string[] {
    return this.members.map(({ clientUrl }) => clientUrl);
  }

  get credentials(): ChannelCredentials {
    return { ca: this.ca.certificatePem, cert: this.client.certificatePem, key: this.client.keyPem };
  }

  /** Starts a member, with what it had before. */
  run(name: string): void {
    const member = this.member(name);
    const at = (file: string): string => join(this.folder, file);
    const log = openSync(at(`${name}.log`), "a");
    const cluster = this.members.map((each) => `${each.name}=${each.peerUrl}`).join(",");
    const tls = (prefix: string): string[] => [
      `--${prefix}cert-file=${at("server.crt")}`,
      `--${prefix}key-file=${at("server.key")}`,
      `--${prefix}trusted-ca-file=${at("ca.crt")}`,
      `--${prefix}client-cert-auth`,
    ];
    member.process = Bun.spawn({
      cmd: [
        "etcd",
        `--name=${name}`,
        `--data-dir=${at(name)}`,
        `--listen-client-urls=${member.clientUrl}`,
        `--advertise-client-urls=${member.clientUrl}`,
        `--listen-peer-urls=${member.peerUrl}`,
        `--initial-advertise-peer-urls=${member.peerUrl}`,
        `--initial-cluster=${cluster}`,
        ...tls(""),
        ...tls("peer-"),
      ],
      env: { ...process.env, ETCD_UNSUPPORTED_ARCH: "arm64" },
      stdout: log,
      stderr: log,
    });
  }

  async kill(name: string, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const { process: running } = this.member(name);
    running?.kill(signal);
    if (signal === "SIGKILL" || signal === "SIGTERM") await running?.exited;
  }

  /** What etcdctl prints. Throws when it fails. */
  ctl(...args: string[]): string {
    const done = Bun.spawnSync({
      cmd: ["etcdctl", ...args],
      env: this.ctlEnvironment,
    });
    if (done.exitCode !== 0) throw new Error(`etcdctl ${args.join(" ")}: ${done.stderr}`);
    return done.stdout.toString();
  }

  /** All changes from the first revision on, a line of JSON for some of them, until it is killed. */
  follow(): Bun.Subprocess<"ignore", "pipe", "ignore"> {
    return Bun.spawn({
      cmd: ["etcdctl", "watch", "", "--prefix", "--rev=1", "--write-out=json"],
      env: this.ctlEnvironment,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
  }

  /** Until a majority serves. */
  async healthy(): Promise<void> {
    const deadline_ms = performance.now() + 240_000;
    for (;;) {
      try {
        this.ctl("get", "anything");
        return;
      } catch (error) {
        const dead = this.members.find((each) => each.process?.exitCode === 1);
        const log =
          dead && existsSync(join(this.folder, `${dead.name}.log`))
            ? readFileSync(join(this.folder, `${dead.name}.log`), "utf8")
            : "";
        if (dead) throw new Error(`etcd ${dead.name} ended: ${log.slice(-2000)}`);
        if (performance.now() > deadline_ms) throw error;
        await Bun.sleep(100);
      }
    }
  }

  /** Empties it. Revisions go on. */
  clear(): void {
    this.ctl("del", "", "--from-key");
  }

  async stop(): Promise<void> {
    for (const { process: running } of this.members) running?.kill("SIGKILL");
    await Promise.all(this.members.map(({ process: running }) => running?.exited));
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get ctlEnvironment(): Record<string, string | undefined> {
    return {
      ...process.env,
      ETCDCTL_API: "3",
      ETCDCTL_ENDPOINTS: this.endpoints.join(","),
      ETCDCTL_CACERT: join(this.folder, "ca.crt"),
      ETCDCTL_CERT: join(this.folder, "client.crt"),
      ETCDCTL_KEY: join(this.folder, "client.key"),
    };
  }

  private member(name: string): Member {
    const member = this.members.find((each) => each.name === name);
    if (!member) throw new Error(`no etcd member named ${name}`);
    return member;
  }
}
