import { hostname } from "node:os";
import { nodes } from "#shared/api/resources.ts";
import { untilSignalled } from "#shared/board/signals.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { InformerFactory, withoutManagedFields } from "#shared/client/informer.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { stderrLog } from "#shared/client/log.ts";
import type { ProxySettings } from "#shared/config/component-settings.ts";
import { ConfigError } from "#shared/config/option.ts";
import { ServiceProxy } from "./proxy/service-proxy.ts";

/** `bramble proxy`: this board's service proxy in a process of its own. Rules stay when it ends. */
export async function runProxy(settings: ProxySettings): Promise<void> {
  const log = stderrLog(settings.logLevel);
  if (settings.kubeconfig === "") {
    throw new ConfigError("kubeconfig: name the file that says where the API server is");
  }
  const name = settings.hostnameOverride || hostname();
  const { servers, credentials } = loadKubeconfig(settings.kubeconfig);
  const client = new HttpClient({ servers, credentials });
  const informers = new InformerFactory(client, { transform: withoutManagedFields, log });
  const zone = async (): Promise<string | undefined> =>
    (await client.get(nodes, { name })).metadata.labels?.["topology.kubernetes.io/zone"];
  const unknown = (error: unknown): undefined => {
    log.warn("this board's zone is not known: endpoints of all zones are used", { error });
  };
  const node = { name, zone: await zone().catch(unknown) };
  const proxy = new ServiceProxy({
    informers,
    mode: settings.proxyMode,
    networks: [
      {
        family: "IPv4",
        clusterCidr: settings.clusterCidr,
        serviceCidr: settings.serviceCidr,
        ownClusterIps: new Set(settings.disable.includes("dns") ? [] : [settings.clusterDns]),
      },
    ],
    node: () => node,
    log: log.named("proxy"),
  });
  const ended = untilSignalled();
  informers.start();
  await Promise.race([proxy.start(), ended]);
  const signal = await ended;
  log.info("ending; rules stay", { signal });
  await proxy.stop();
  await informers.stop();
}
