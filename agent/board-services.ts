import { join } from "node:path";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { AgentStart } from "#shared/board/start-agent.ts";
import type { Log } from "#shared/client/log.ts";
import { dnsAddress, proxyNetworks } from "#shared/config/networks.ts";
import type { Parts } from "#shared/process/parts.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { dropDnsAddress, startClusterDns } from "./dns/cluster-dns.ts";
import { IngressBoard } from "./ingress/ingress.ts";
import { Checkpoint } from "./kubelet/checkpoint.ts";
import { startLocalPathFolders } from "./kubelet/volumes/local-path.ts";
import { foundSettingsFile } from "./network/kernel-settings.ts";
import { ServiceProxy } from "./proxy/service-proxy.ts";
import { tellOfStart } from "./proxy/starting-event.ts";

/** Starts the board's DNS, if it is to have one: the first part to start and among the last to end, since pods that run ask
 *  all the while. */
export async function startBoardDns(
  { settings, disabled }: AgentStart,
  { informers }: ClusterAccess,
  { parts, log }: { parts: Parts; log: Log },
): Promise<void> {
  const { clusterDomain: domain } = settings;
  const address = dnsAddress(settings);
  if (disabled.includes("dns")) {
    await dropDnsAddress(address);
    return;
  }
  parts.add("dns", await startClusterDns({ informers, address, domain, log: log.named("dns") }));
}

/** Starts what a board does for the whole cluster: Services, folders for claims, Ingresses; each can be disabled. */
export async function startBoardServices(
  { settings, disabled }: AgentStart,
  { nodeName, client, informers, seal }: ClusterAccess,
  { parts, log, node, signal }: { parts: Parts; log: Log; node: () => Node | undefined; signal: AbortSignal },
): Promise<void> {
  if (!disabled.includes("proxy")) {
    const proxy = new ServiceProxy({
      informers,
      mode: settings.proxyMode,
      networks: proxyNetworks(
        settings.clusterCidr,
        settings.serviceCidr,
        disabled.includes("dns") ? [] : [dnsAddress(settings)],
      ),
      foundSettings: foundSettingsFile(settings.runDir),
      node: () => ({ name: nodeName, zone: node()?.metadata.labels?.["topology.kubernetes.io/zone"] }),
      log: log.named("proxy"),
    });
    tellOfStart(client, nodeName, log.named("proxy"));
    // Rules need the API's state once; pods do not wait for it.
    proxy.start().catch((error: unknown) => signal.aborted || log.error("the service proxy did not start", { error }));
    parts.add("proxy", proxy);
  }
  if (!disabled.includes("local-storage")) {
    parts.add("local storage", startLocalPathFolders({ nodeName, client, informers, log, signal }));
  }
  if (!disabled.includes("ingress")) {
    const ingress = new IngressBoard({
      informers,
      nodeName,
      httpPort: settings.ingressHttpPort || undefined,
      httpsPort: settings.ingressHttpsPort || undefined,
      idle_ms: settings.ingressTimeout * 1000,
      kept: new Checkpoint(join(settings.dataDir, "agent", "ingress"), log.named("ingress"), seal),
      log: log.named("ingress"),
    });
    ingress.start();
    parts.add("ingress", ingress);
  }
}
