import { existsSync } from "node:fs";
import { join } from "node:path";
import { hasReason } from "#shared/api/errors.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import { pause, systemClock } from "#shared/client/clock.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import type { Credentials } from "#shared/client/http-transport.ts";
import { type ClientConfig, loadKubeconfig } from "#shared/client/kubeconfig.ts";
import type { Log } from "#shared/client/log.ts";
import { componentAgent } from "#shared/client/user-agent.ts";
import type { KubeletSettings } from "#shared/config/board-component-settings.ts";
import { ConfigError } from "#shared/config/option.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { nodeSubject } from "#shared/pki/board-join.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { certificateSubject, renewalTime } from "#shared/pki/certificate-facts.ts";
import { orderCertificate } from "#shared/pki/certificate-order.ts";
import { renderKubeconfig } from "#shared/pki/kubeconfig.ts";
import { joinPem, splitPem } from "#shared/pki/pem.ts";
import { pairInFiles, selfSignedServing } from "#shared/pki/self-signed.ts";
import { kubeletClientUsages, kubeletServingUsages, signerNames } from "#shared/pki/signers.ts";

const retry_ms = 3_000;
const never = new Date(8_640_000_000_000_000);

export interface ServingNames {
  readonly hostNames: readonly string[];
  readonly ips: readonly string[];
}

/** Who a board is by a kubeconfig, as upstream's kubelet has it: with a certificate that it asked for itself at bootstrap and
 *  renews, or with whatever the file says. */
export class KubeconfigIdentity {
  readonly #certificateFile: string;
  readonly #servingFile: string;
  #credentials: Credentials | undefined;

  private constructor(
    readonly nodeName: string,
    private readonly settings: KubeletSettings,
    private readonly config: ClientConfig,
    private readonly signal: AbortSignal,
  ) {
    this.#certificateFile = clientFile(settings);
    this.#servingFile = join(certFolder(settings), "kubelet-server-current.pem");
  }

  /** Reads the kubeconfig; asks for a certificate first where there is none yet. Retries while no API server answers; what
   *  a person has to mend ends it (ConfigError, KubeconfigError, CertificateOrderError). */
  static async open(
    nodeName: string,
    settings: KubeletSettings,
    log: Log,
    signal: AbortSignal,
  ): Promise<KubeconfigIdentity> {
    const { kubeconfig, bootstrapKubeconfig } = settings;
    if (kubeconfig === "") throw new ConfigError("kubeconfig: name the file that says where the API server is");
    if (!existsSync(kubeconfig)) {
      if (bootstrapKubeconfig === "")
        throw new ConfigError(`kubeconfig: ${kubeconfig} is not there, and no --bootstrap-kubeconfig is named`);
      await bootstrap(nodeName, settings, log, signal);
    }
    const identity = new KubeconfigIdentity(nodeName, settings, loadKubeconfig(kubeconfig), signal);
    identity.#warnOfOtherName(log);
    return identity;
  }

  get servers(): readonly string[] {
    return this.config.servers;
  }

  readonly credentials = (): Credentials => this.#credentials ?? this.config.credentials();

  /** The card's secrets are sealed for this cluster. */
  get clusterId(): string {
    return this.servers[0] ?? "";
  }

  /** When `renew` should be called; never where somebody else looks after the certificate. */
  get renewAt(): Date {
    const { certificate } = this.credentials();
    const isOurs = this.settings.rotateCertificates && existsSync(this.#certificateFile);
    return isOurs && certificate ? renewalTime(certificate) : never;
  }

  async renew(client: Client): Promise<void> {
    const ordered = await orderClientCertificate(client, this.nodeName, this.signal);
    await writeSecureFile(this.#certificateFile, joinPem(ordered));
    // The file is read again by itself in a while; what follows now needs it at once.
    this.#credentials = { ...this.config.credentials(), certificate: ordered.certificatePem, key: ordered.keyPem };
  }

  /** The certificate of the kubelet's server: from files, from the cluster, or one that this board signed itself. */
  async servingCertificate(client: Client, names: ServingNames): Promise<KeyAndCertificate> {
    const { tlsCertFile, tlsPrivateKeyFile, rotateServerCertificates } = this.settings;
    if (tlsCertFile !== "" || tlsPrivateKeyFile !== "") return pairInFiles(tlsCertFile, tlsPrivateKeyFile);
    const present = splitPem((await readIfPresent(this.#servingFile)) ?? "");
    if (present && serves(present, names)) return present;
    const made = rotateServerCertificates
      ? await orderCertificate(client, {
          signer: signerNames.kubeletServing,
          usages: kubeletServingUsages,
          subject: { ...nodeSubject(this.nodeName), dnsNames: names.hostNames, ipAddresses: names.ips },
          namePrefix: "csr",
          signal: this.signal,
        })
      : await selfSignedServing([this.nodeName, ...names.hostNames], names.ips);
    await writeSecureFile(this.#servingFile, joinPem(made));
    return made;
  }

  #warnOfOtherName(log: Log): void {
    const { certificate } = this.credentials();
    const name = certificate && certificateSubject(certificate).commonName;
    if (name && name !== `system:node:${this.nodeName}`)
      log.warn("the kubeconfig is of somebody else than this board's Node: the API server may refuse what it writes", {
        node: this.nodeName,
        user: name,
      });
  }
}

const certFolder = ({ certDir, rootDir }: KubeletSettings): string => certDir || join(rootDir, "pki");
const clientFile = (settings: KubeletSettings): string => join(certFolder(settings), "kubelet-client-current.pem");

/** TLS bootstrapping: by somebody else's rights to a certificate of the board's own, and a kubeconfig that names it. */
async function bootstrap(nodeName: string, settings: KubeletSettings, log: Log, signal: AbortSignal): Promise<void> {
  const { servers, credentials } = loadKubeconfig(settings.bootstrapKubeconfig);
  const client = new HttpClient({ servers, credentials, userAgent: componentAgent("kubelet") });
  const file = clientFile(settings);
  for (let attempt = 0; !existsSync(file); attempt++) {
    try {
      await writeSecureFile(file, joinPem(await orderClientCertificate(client, nodeName, signal)));
    } catch (error) {
      if (!(error instanceof ConnectionError || hasReason(error, "ServiceUnavailable"))) throw error;
      if (attempt % 20 === 0) log.warn("waiting for the API server", { servers: servers.join(","), error });
      await pause(systemClock, retry_ms, signal);
      signal.throwIfAborted();
    }
  }
  const [server = ""] = servers;
  const { ca = "", serverName } = credentials();
  await writeSecureFile(
    settings.kubeconfig,
    renderKubeconfig({
      server,
      serverName,
      caCertificatePem: ca,
      credentials: { files: { certificate: file, key: file } },
      clusterName: "default-cluster",
      userName: "default-auth",
    }),
  );
  log.info("this board has got its certificate", { node: nodeName, kubeconfig: settings.kubeconfig });
}

const orderClientCertificate = (client: Client, nodeName: string, signal: AbortSignal): Promise<KeyAndCertificate> =>
  orderCertificate(client, {
    signer: signerNames.kubeletClient,
    usages: kubeletClientUsages,
    subject: nodeSubject(nodeName),
    namePrefix: "node-csr",
    signal,
  });

function serves({ certificatePem }: KeyAndCertificate, { hostNames, ips }: ServingNames): boolean {
  const { dnsNames, ipAddresses } = certificateSubject(certificatePem);
  return (
    renewalTime(certificatePem) > new Date() &&
    hostNames.every((name) => dnsNames.includes(name)) &&
    ips.every((ip) => ipAddresses.includes(ip))
  );
}
