import { rm } from "node:fs/promises";
import { nodes } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { AgentStart } from "#shared/board/start-agent.ts";
import type { Client } from "#shared/client/client.ts";
import { pause, systemClock } from "#shared/client/clock.ts";
import type { HttpClient } from "#shared/client/http-client.ts";
import type { Log } from "#shared/client/log.ts";
import { authorityAnnotations } from "#shared/pki/authority-annotations.ts";
import type { BoardIdentity } from "#shared/pki/board-identity.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { readIfPresent } from "#shared/pki/secure-file.ts";
import type { Kubelet } from "./kubelet/kubelet.ts";
import { openTlsDoor, type TlsDoor } from "./kubelet/server/doors.ts";
import type { KubeletServer } from "./kubelet/server/kubelet-server.ts";

const look_ms = 15_000;
const askForTrust_ms = 60_000;
const servingRetry_ms = 5_000;

export interface CertificateKeeping {
  readonly identity: BoardIdentity;
  readonly client: HttpClient;
  readonly kubelet: Kubelet;
  readonly server: KubeletServer;
  readonly settings: AgentStart["settings"];
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Keeps a board's certificates while it runs: follows the cluster's authorities, renews in time or when `bramble certificate
 *  renew` asks, and opens the kubelet's port with a serving certificate that fits the board's addresses. */
export async function keepCertificates(keeping: CertificateKeeping): Promise<void> {
  const { identity, client, server, kubelet, settings, log, signal } = keeping;
  const door = new ServingDoor({
    server,
    client,
    port: settings.kubeletPort,
    clientAuthorities: () => identity.caCertificatePem,
    certificate: (names) => identity.servingCertificate(client, names),
  });
  let askAgain_ms = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    let next_ms = look_ms;
    try {
      if (systemClock.now_ms() >= askAgain_ms) {
        // Its failure is no hindrance to a renewal, which may be what is missing.
        await keeping.identity.refreshTrust().catch((error: unknown) => log.info("the cluster's CA", { error }));
        askAgain_ms = systemClock.now_ms() + askForTrust_ms;
      }
      await renewWhenDue(keeping);
      // The signer approves only addresses that the Node shows.
      const addresses = addressesOf(kubelet.node);
      if (addresses && settings.kubeletPort > 0) await door.serve(addresses);
      else if (!addresses) next_ms = servingRetry_ms;
      await tellAuthorities(keeping);
    } catch (error) {
      if (signal.aborted) break;
      log.warn("certificates: trying again", { error });
      next_ms = servingRetry_ms;
    }
    await pause(systemClock, next_ms, signal).catch(() => undefined);
  }
  await door.stop();
}

async function renewWhenDue({ identity, client, log }: CertificateKeeping): Promise<void> {
  const isAsked = (await readIfPresent(identity.renewalMark)) !== undefined;
  if (!isAsked && identity.renewAt.getTime() > systemClock.wall_ms()) return;
  await identity.renew(client);
  if (isAsked) {
    await identity.forgetServing();
    await rm(identity.renewalMark, { force: true });
  }
  log.info("the board's certificate was renewed");
}

/** Says at the Node which authorities the board goes by: a rotation waits for that. */
async function tellAuthorities({ identity, client, kubelet }: CertificateKeeping): Promise<void> {
  const { node } = kubelet;
  if (!node) return;
  const annotations = authorityAnnotations(identity.caCertificatePem, identity.issuer);
  if (Object.entries(annotations).every(([name, value]) => node.metadata.annotations?.[name] === value)) return;
  await client.patch(nodes, { name: identity.nodeName }, { type: "merge", body: { metadata: { annotations } } });
}

/** The kubelet's port, open with the certificate and the authorities of the moment. */
export class ServingDoor {
  #served: string | undefined;
  #door: TlsDoor | undefined;

  constructor(private readonly options: ServingDoorOptions) {}

  /** Opens the port, or takes the certificate that fits these addresses now. */
  async serve(addresses: BoardNames): Promise<void> {
    const { client, server, port, host } = this.options;
    const serving = await this.options.certificate(addresses);
    const ca = this.options.clientAuthorities();
    const wanted = serving.certificatePem + (ca ?? "");
    if (wanted === this.#served) return;
    if (this.#door) this.#door.use({ ca, serving });
    else this.#door = await openTlsDoor(server, { port, host, ca, serving, client });
    this.#served = wanted;
  }

  async stop(): Promise<void> {
    await this.#door?.stop();
  }
}

export interface ServingDoorOptions {
  readonly server: KubeletServer;
  readonly client: Client;
  /** All addresses when absent. */
  readonly host?: string | undefined;
  readonly port: number;
  /** Whose clients count, PEM; undefined: nobody's by a certificate. */
  readonly clientAuthorities: () => string | undefined;
  readonly certificate: (names: BoardNames) => Promise<KeyAndCertificate>;
}

export interface BoardNames {
  readonly hostNames: readonly string[];
  readonly ips: readonly string[];
}

/** By which names and addresses the Node says that its board is reached; undefined before it says so. */
export function addressesOf(node: Node | undefined): BoardNames | undefined {
  const addresses = node?.status?.addresses ?? [];
  if (addresses.length === 0) return undefined;
  return {
    hostNames: addresses.filter(({ type }) => type === "Hostname").map(({ address }) => address),
    ips: addresses.filter(({ type }) => type === "InternalIP").map(({ address }) => address),
  };
}
