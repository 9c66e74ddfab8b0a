import { hostname } from "node:os";
import { nodes } from "#shared/api/resources.ts";
import { boardAddresses } from "#shared/board/addresses.ts";
import { parseCidr } from "#shared/board/cidr.ts";
import { type Log, stderrLog } from "#shared/client/log.ts";
import type { ProxySettings } from "#shared/config/board-component-settings.ts";
import { dnsAddress, proxyNetworks } from "#shared/config/networks.ts";
import { ConfigError } from "#shared/config/option.ts";
import { type ComponentPages, jsonPage, type Page, textPage } from "#shared/http/component-pages.ts";
import { parseListenAddress, servePages } from "#shared/http/component-server.ts";
import { HealthResults } from "#shared/http/health-results.ts";
import { processFamilies } from "#shared/metrics/process-families.ts";
import { familyOf, hostNetwork, type IpFamily } from "#shared/net/ip-family.ts";
import { Parts } from "#shared/process/parts.ts";
import { collectWhenQuiet } from "#shared/process/quiet-collection.ts";
import { untilSignalled } from "#shared/process/signals.ts";
import { componentAccess } from "./component-access.ts";
import { IptablesMode } from "./proxy/iptables/iptables-mode.ts";
import { kernelSettings, setKernel } from "./proxy/kernel-settings.ts";
import type { ProxyNetwork } from "./proxy/proxy-mode.ts";
import { ServiceProxy } from "./proxy/service-proxy.ts";
import { tellOfStart } from "./proxy/starting-event.ts";

/** `bramble proxy`: this board's service proxy in a process of its own. Rules stay when it ends. */
export async function runProxy(settings: ProxySettings): Promise<void> {
  const log = stderrLog(settings.logLevel);
  if (settings.cleanup) return cleanUp(log);
  setKernel(kernelSettings(settings), log.named("proxy"));
  const parts = new Parts(log);
  const name = (settings.hostnameOverride || hostname()).trim().toLowerCase();
  const { client, informers } = await componentAccess("kube-proxy", settings, parts, log);
  const ownNode = informers.informer(nodes, { fieldSelector: `metadata.name=${name}` });
  const zone = (): string | undefined => ownNode.lister.get(name)?.metadata.labels?.["topology.kubernetes.io/zone"];
  const proxy = new ServiceProxy({
    informers,
    mode: settings.proxyMode,
    networks: networksOf(settings),
    node: () => ({ name, zone: zone() }),
    log: log.named("proxy"),
  });
  const isEligible = (): boolean => ownNode.lister.get(name)?.metadata.deletionTimestamp === undefined;
  if (settings.healthzBindAddress !== "") {
    const address = parseListenAddress("healthz-bind-address", settings.healthzBindAddress);
    parts.add("health", await servePages(healthPages(proxy, isEligible), address, log.named("health")));
  }
  if (settings.metricsBindAddress !== "") {
    const address = parseListenAddress("metrics-bind-address", settings.metricsBindAddress);
    parts.add("metrics", await servePages(metricsPages(settings, name), address, log.named("metrics")));
  }
  parts.add("proxy", proxy);
  const ended = untilSignalled();
  informers.start();
  parts.add("collections", { stop: collectWhenQuiet() });
  tellOfStart(client, name, log.named("proxy"));
  await Promise.race([proxy.start(), ended]);
  const signal = await ended;
  log.info("ending; rules stay", { signal });
  await parts.stop();
}

/** Where a family's program is missing there are no rules either. */
async function cleanUp(log: Log): Promise<void> {
  for (const family of ["IPv4", "IPv6"] as const) {
    const network = { family, clusterCidr: "", serviceCidrs: [], ownClusterIps: new Set<string>() };
    await new IptablesMode({ network, log }).remove().catch((error: unknown) => {
      log.warn("rules of Services were not removed", { family, error });
    });
  }
}

function networksOf(settings: ProxySettings): ProxyNetwork[] {
  const own = settings.disable.includes("dns") ? [] : [dnsAddress(settings)];
  return proxyNetworks(settings.clusterCidr, settings.serviceCidr, own).map((network) => ({
    ...network,
    nodePortCidrs: nodePortCidrsOf(settings.nodeportAddresses, network.family),
    sparesLoopback: !settings.iptablesLocalhostNodeports,
    masqueradesAll: settings.masqueradeAll,
  }));
}

/** Those of a family; undefined: all addresses. Throws ConfigError. */
function nodePortCidrsOf(given: readonly string[], family: IpFamily): readonly string[] | undefined {
  if (given.length === 0) return undefined;
  const isOfFamily = (address: string): boolean => familyOf(address) === family;
  if (given.length === 1 && given[0] === "primary") {
    const [own] = boardAddresses({ family }).filter(isOfFamily);
    return own === undefined ? [] : [hostNetwork(own)];
  }
  return given
    .map((cidr) => {
      const parsed = parseCidr(cidr);
      if (parsed) return cidr;
      throw new ConfigError(`nodeport-addresses: expected networks such as 192.168.1.0/24, got ${cidr}`);
    })
    .filter(isOfFamily);
}

/** As upstream's ProxyHealthServer: /healthz says also whether balancers should send here, /livez only that the proxy works. */
function healthPages(proxy: ServiceProxy, isEligible: () => boolean): ComponentPages {
  const page = (isHealthy: boolean): Page =>
    jsonPage(isHealthy ? 200 : 503, {
      lastUpdated: new Date(proxy.appliedAt_ms ?? 0).toISOString(),
      currentTime: new Date().toISOString(),
      nodeEligible: isEligible(),
    });
  return {
    checks: {},
    results: new HealthResults(),
    more: {
      "/healthz": () => page(proxy.isHealthy && isEligible()),
      "/livez": () => page(proxy.isHealthy),
    },
  };
}

function metricsPages(settings: ProxySettings, nodeName: string): ComponentPages {
  return {
    checks: {},
    results: new HealthResults(),
    families: processFamilies,
    configuration: () => ({
      "kubeproxy.config.k8s.io": {
        hostnameOverride: nodeName,
        healthzBindAddress: settings.healthzBindAddress,
        metricsBindAddress: settings.metricsBindAddress,
        clientConnection: { kubeconfig: settings.kubeconfig },
        mode: settings.proxyMode,
        clusterCIDR: settings.clusterCidr,
      },
    }),
    more: { "/proxyMode": () => textPage(200, settings.proxyMode), "/healthz": () => textPage(200, "ok") },
  };
}
