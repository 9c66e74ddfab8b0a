import { rm } from "node:fs/promises";
import { nodes } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { AgentStart } from "#shared/board/start-agent.ts";
import type { Client } from "#shared/client/client.ts";
import { systemClock } from "#shared/client/clock.ts";
import { workOn } from "#shared/client/controller.ts";
import type { HttpClient } from "#shared/client/http-client.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { outsideBrokerOf } from "#shared/heartbeat/outside-broker.ts";
import { tellAlso } from "#shared/metrics/process-families.ts";
import { type TlsChoice, tlsChoiceOf } from "#shared/net/tls-choice.ts";
import { authoritiesSaid, authorityAnnotations, isBehindAuthorities } from "#shared/pki/authority-annotations.ts";
import type { BoardIdentity } from "#shared/pki/board-identity.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { followRenewalMark } from "#shared/pki/renewal-mark.ts";
import type { Part } from "#shared/process/parts.ts";
import { CertificateTimes } from "./certificate-times.ts";
import type { Heartbeat } from "./heartbeat/heartbeat.ts";
import type { Kubelet } from "./kubelet/kubelet.ts";
import { openTlsDoor, type TlsDoor } from "./kubelet/server/doors.ts";
import type { KubeletServer } from "./kubelet/server/kubelet-server.ts";

/** The longest time between two looks: finds what an event missed, and what a leap of the clock has made due. */
const look_ms = 3_600_000;
/** Of a board that no broker hears: it may be that the cluster's authorities have changed while it was away. */
const lostLook_ms = 60_000;
/** A master that tells of new authorities may hold them before the one that is asked does. */
const firstRetry_ms = 1_000;
const longestRetry_ms = 60_000;
const key = "certificates";

export interface CertificateKeeping {
  readonly identity: BoardIdentity;
  readonly client: HttpClient;
  readonly informers: InformerFactory;
  readonly kubelet: Kubelet;
  readonly heartbeat: Heartbeat;
  readonly server: KubeletServer;
  readonly settings: AgentStart["settings"];
  readonly log: Log;
}

/**
 * Keeps a board's certificates while it runs: follows the cluster's authorities, renews in time or when `bramble certificate
 * renew` asks, and opens the kubelet's port with a serving certificate that fits the board's addresses. It looks when the
 * board's Node says something new of either, when that file appears, and when a certificate falls due.
 */
export async function keepCertificates(keeping: CertificateKeeping): Promise<Part> {
  const { identity, client, server, informers, heartbeat, settings, log } = keeping;
  const queue = new WorkQueue({ firstBackOff_ms: firstRetry_ms, longestBackOff_ms: longestRetry_ms });
  const wake = (): void => {
    queue.forget(key);
    queue.add(key);
  };
  const detach = informers
    .informer(nodes, { fieldSelector: `metadata.name=${identity.nodeName}` })
    .addHandler((event) => {
      if (event.type !== "update" || bearing(event.old) !== bearing(event.object)) wake();
    });
  const unwatch = await followRenewalMark(identity.renewalMark, wake, log);
  heartbeat.onEnd(() => queue.addAfter(key, lostLook_ms));
  const times = new CertificateTimes(() => identity.credentials().certificate);
  const tellNoMore = tellAlso(() => times.families());
  const door = new ServingDoor({
    server,
    client,
    nodeName: identity.nodeName,
    port: settings.kubeletPort,
    tls: tlsChoiceOf(settings),
    clientAuthorities: () => identity.caCertificatePem,
    certificate: (names) => times.serving(() => identity.servingCertificate(client, names)),
  });
  queue.add(key);
  const trust = new StandingTrouble(log, {
    wrong: "the cluster's CA cannot be read",
    over: "the cluster's CA can be read again",
  });
  const working = workOn(queue, () => look(keeping, door, times, trust), log);
  return {
    async stop() {
      tellNoMore();
      detach();
      unwatch();
      queue.shutDown();
      await working;
      await door.stop();
    },
  };
}

/** What a Node says that certificates depend on. */
const bearing = (node: Node): string =>
  JSON.stringify([authoritiesSaid(node.metadata.annotations), node.status?.addresses]);

async function look(
  keeping: CertificateKeeping,
  door: ServingDoor,
  times: CertificateTimes,
  trust: StandingTrouble,
): Promise<{ requeueAfter_ms: number }> {
  const { identity, kubelet, settings } = keeping;
  // Its failure is no hindrance to a renewal, which may be what is missing.
  await identity.refreshTrust().then(
    () => trust.end(),
    (error: unknown) => trust.tell(error),
  );
  await renewWhenDue(keeping, times);
  // The signer approves only addresses that the Node shows.
  const addresses = addressesOf(kubelet.node);
  if (addresses && settings.kubeletPort > 0) await door.serve(addresses);
  await tellAuthorities(keeping);
  if (isBehindAuthorities(kubelet.node?.metadata.annotations, identity.caCertificatePem))
    throw new Error("the cluster has other authorities by now than this board was given");
  return { requeueAfter_ms: untilNextLook_ms(keeping) };
}

function untilNextLook_ms({ identity, heartbeat, settings }: CertificateKeeping): number {
  // Another broker than the master's knows nothing of the cluster's authorities.
  if (!heartbeat.isConnected || outsideBrokerOf(settings)) return lostLook_ms;
  const untilDue_ms = identity.renewAt.getTime() - systemClock.wall_ms();
  return Math.max(firstRetry_ms, Math.min(look_ms, untilDue_ms));
}

async function renewWhenDue({ identity, client, log }: CertificateKeeping, times: CertificateTimes): Promise<void> {
  const isAsked = (await readIfPresent(identity.renewalMark)) !== undefined;
  if (!isAsked && identity.renewAt.getTime() > systemClock.wall_ms()) return;
  await times.renewing(() => identity.renew(client));
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
    const { client, server, port, host, nodeName, tls } = this.options;
    const serving = await this.options.certificate(addresses);
    const ca = this.options.clientAuthorities();
    const wanted = serving.certificatePem + (ca ?? "");
    if (wanted === this.#served) return;
    if (this.#door) this.#door.use({ ca, serving });
    else this.#door = await openTlsDoor(server, { port, host, ca, serving, client, nodeName, tls });
    this.#served = wanted;
  }

  async stop(): Promise<void> {
    await this.#door?.stop();
  }
}

export interface ServingDoorOptions {
  readonly server: KubeletServer;
  readonly client: Client;
  readonly nodeName: string;
  /** All addresses when absent. */
  readonly host?: string | undefined;
  readonly tls?: TlsChoice | undefined;
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
