import { endpointSlices, namespaces, services } from "#shared/api/resources.ts";
import { stderrLog } from "#shared/client/log.ts";
import type { DnsSettings } from "#shared/config/board-component-settings.ts";
import { textPage } from "#shared/http/component-pages.ts";
import { servePages } from "#shared/http/component-server.ts";
import { HealthResults } from "#shared/http/health-results.ts";
import { Parts } from "#shared/process/parts.ts";
import { collectWhenQuiet } from "#shared/process/quiet-collection.ts";
import { untilSignalled } from "#shared/process/signals.ts";
import { componentAccess } from "./component-access.ts";
import { startClusterDns } from "./dns/cluster-dns.ts";

/** `bramble dns`: this board's cluster DNS in a process of its own. */
export async function runDns(settings: DnsSettings): Promise<void> {
  const log = stderrLog(settings.logLevel);
  const parts = new Parts(log);
  const ended = untilSignalled();
  const { informers } = await componentAccess("bramble-dns", settings, parts, log);
  const { clusterDns: address, clusterDomain: domain, resolvConf } = settings;
  parts.add("dns", await startClusterDns({ informers, address, domain, resolvConf, log: log.named("dns") }));
  const sources = [informers.informer(services), informers.informer(endpointSlices), informers.informer(namespaces)];
  if (settings.healthPort > 0) {
    // At the paths of CoreDNS' plugins.
    const more = {
      "/health": () => textPage(200, "OK"),
      "/ready": () => (sources.every(({ isUsable }) => isUsable) ? textPage(200, "OK") : textPage(503, "kubernetes")),
    };
    const listen = { host: "127.0.0.1", port: settings.healthPort };
    parts.add(
      "health",
      await servePages({ checks: {}, results: new HealthResults(), more }, listen, log.named("health")),
    );
  }
  informers.start();
  parts.add("collections", { stop: collectWhenQuiet() });
  log.info("ending", { signal: await ended });
  await parts.stop();
}
