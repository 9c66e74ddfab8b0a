/** Where Helm gets charts from, each with a password and a certificate that only its own CA speaks for. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { clientBinaries, runClient } from "./kubectl.ts";

export const reader = { username: "reader", password: "a, b & $(c)" };

export interface ChartSource {
  /** PEM of the CA that its certificate is of. */
  readonly ca: string;
  stop(): Promise<void>;
}

interface Place {
  /** Its own address: a port is free there. */
  readonly address: string;
  /** Where its files go; there. */
  readonly folder: string;
}

const patience_s = 240;

async function serving(address: string): Promise<{ readonly ca: string; readonly key: string; readonly cert: string }> {
  const authority = await createCertificateAuthority("charts-ca");
  const subject = { commonName: "charts", ipAddresses: [address] };
  const { keyPem, certificatePem } = await issueCertificate(authority, subject, [extendedKeyUsages.serverAuth]);
  return { ca: authority.certificatePem, key: keyPem, cert: certificatePem };
}

/** A repository over HTTPS: `index.yaml` and packed charts, at `url`. */
export async function startChartRepository({
  address,
  folder,
}: Place): Promise<ChartSource & { readonly url: string }> {
  const { ca, key, cert } = await serving(address);
  const wanted = `Basic ${Buffer.from(`${reader.username}:${reader.password}`).toString("base64")}`;
  const server = Bun.serve({
    hostname: address,
    port: 0,
    tls: { key, cert },
    fetch({ headers, url }) {
      if (headers.get("authorization") !== wanted) return new Response("who are you?", { status: 401 });
      return new Response(Bun.file(join(folder, new URL(url).pathname)));
    },
    error: () => new Response("there is no such file", { status: 404 }),
  });
  return { ca, url: `https://${address}:${server.port}`, stop: () => server.stop(true) };
}

/** An OCI registry (Debian's docker-registry) at `host`. */
export async function startChartRegistry({ address, folder }: Place): Promise<ChartSource & { readonly host: string }> {
  const { ca, key, cert } = await serving(address);
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  mkdirSync(folder, { recursive: true });
  const hash = await Bun.password.hash(reader.password, { algorithm: "bcrypt", cost: 4 });
  const config = {
    version: "0.1",
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(folder, "data") } },
    http: { addr: `${address}:5000`, tls: { certificate: file("tls.crt", cert), key: file("tls.key", key) } },
    auth: { htpasswd: { realm: "charts", path: file("htpasswd", `${reader.username}:${hash}\n`) } },
  };
  const server = Bun.spawn(["docker-registry", "serve", file("config.json", JSON.stringify(config))], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  const host = `${address}:5000`;
  const stop = async (): Promise<void> => {
    server.kill();
    await server.exited;
  };
  try {
    await waitFor("the registry of charts", patience_s, async () => {
      if (server.exitCode !== null) throw new Error(`docker-registry ended with ${server.exitCode}`);
      const answer = await fetch(`https://${host}/v2/`, { tls: { ca } }).catch(() => undefined);
      return answer?.status === 401 || undefined;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { ca, host, stop };
}

/** Runs Helm and gives what it printed. Rejects with what it complained of. */
export async function helm(kubeconfig: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runClient(clientBinaries().helm, kubeconfig, args);
  if (code !== 0) throw new Error(`helm ${args.join(" ")}: ${stderr}`);
  return stdout;
}
