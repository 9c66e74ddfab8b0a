import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { AgentStart } from "#shared/board/start-agent.ts";
import { pause, systemClock } from "#shared/client/clock.ts";
import type { HttpClient } from "#shared/client/http-client.ts";
import type { Log } from "#shared/client/log.ts";
import type { BoardIdentity } from "#shared/pki/board-identity.ts";
import type { Kubelet } from "./kubelet/kubelet.ts";
import { type Door, openTlsDoor } from "./kubelet/server/doors.ts";
import type { KubeletServer } from "./kubelet/server/kubelet-server.ts";

const look_ms = 60_000;
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

/** Opens the kubelet's port once its serving certificate is there, renews certificates in time, and serves a new one when
 *  the board's addresses change. */
export async function keepCertificates(keeping: CertificateKeeping): Promise<void> {
  const { identity, client, kubelet, server, settings, log, signal } = keeping;
  let served: string | undefined;
  let door: Door | undefined;
  while (!signal.aborted) {
    let next_ms = look_ms;
    try {
      if (identity.renewAt.getTime() <= systemClock.wall_ms()) await identity.renew(client);
      // The signer approves only addresses that the Node shows.
      const addresses = addressesOf(kubelet.node);
      if (addresses && settings.kubeletPort > 0) {
        const serving = await identity.servingCertificate(client, addresses);
        if (serving.certificatePem !== served) {
          await door?.stop();
          const { caCertificatePem: ca } = identity;
          door = await openTlsDoor(server, { port: settings.kubeletPort, ca, serving, client });
          served = serving.certificatePem;
        }
      } else if (!addresses) {
        next_ms = servingRetry_ms;
      }
    } catch (error) {
      if (signal.aborted) break;
      log.warn("certificates: trying again", { error });
      next_ms = servingRetry_ms;
    }
    await pause(systemClock, next_ms, signal).catch(() => undefined);
  }
  await door?.stop();
}

function addressesOf(node: Node | undefined): { hostNames: string[]; ips: string[] } | undefined {
  const addresses = node?.status?.addresses ?? [];
  if (addresses.length === 0) return undefined;
  return {
    hostNames: addresses.filter(({ type }) => type === "Hostname").map(({ address }) => address),
    ips: addresses.filter(({ type }) => type === "InternalIP").map(({ address }) => address),
  };
}
