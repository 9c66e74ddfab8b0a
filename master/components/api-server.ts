import { stderrLog } from "#shared/client/log.ts";
import type { ApiServerSettings } from "#shared/config/component-settings.ts";
import { metricRulesOf } from "#shared/config/metric-options.ts";
import { assertServiceClusterIpRange } from "#shared/config/networks.ts";
import { useMetricRules } from "#shared/metrics/metric-rules.ts";
import { Parts } from "#shared/process/parts.ts";
import { collectWhenQuiet } from "#shared/process/quiet-collection.ts";
import { untilSignalled } from "#shared/process/signals.ts";
import { componentIdentities } from "../as-pods/component-identities.ts";
import { startServerControllers } from "../control-loops.ts";
import { type CheckedPart, onceInCluster } from "../leadership.ts";
import { startManifests } from "../manifests/manifest-folder.ts";
import { startServing } from "../serving.ts";

/** `bramble apiserver`: the API server in a process of its own, with the kubeconfigs that the other components start with. */
export async function runApiServer(given: ApiServerSettings): Promise<void> {
  const log = stderrLog(given.logLevel);
  if (given.serviceClusterIpRange) assertServiceClusterIpRange(given.serviceClusterIpRange);
  useMetricRules(metricRulesOf(given, (message) => log.error(message)));
  const parts = new Parts(log);
  const serving = await startServing(
    {
      ...given,
      store: given.etcdServers.length > 0 ? `etcd=${given.etcdServers.join(",")}` : given.store,
      httpsPort: given.securePort || given.httpsPort,
      serviceCidr: given.serviceClusterIpRange || given.serviceCidr,
    },
    log,
    parts,
    componentIdentities,
  );
  const { own, components } = serving;
  for (const [name, port] of Object.entries(localHealthPorts)) components.set(name, () => localHealth(port));
  const start = (): CheckedPart => startServerControllers(own, log, serving.server.health.steps);
  const loops = serving.isShared
    ? onceInCluster({ client: own, lease: "kube-apiserver", log }, async () => start())
    : start();
  parts.add("control loops", loops);
  parts.add("manifests", await startManifests(given, own, log));
  parts.add("collections", { stop: collectWhenQuiet(() => serving.server.forgetOld()) });
  const signal = await untilSignalled();
  log.info("ending", { signal });
  await parts.stop();
}

/** Where `kubectl get componentstatuses` looks, as upstream's API server does: on this machine, at the usual ports. */
const localHealthPorts = { scheduler: 10_259, "controller-manager": 10_257 };
const healthWithin_ms = 5_000;

async function localHealth(port: number): Promise<string> {
  const answer = await fetch(`https://127.0.0.1:${port}/healthz`, {
    // Its certificate is one that it signed itself.
    tls: { rejectUnauthorized: false },
    signal: AbortSignal.timeout(healthWithin_ms),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}
