/**
 * Plays the scenarios to upstream's kube-apiserver, kube-scheduler and kube-controller-manager and writes what they come to:
 *   bun test/differential/scheduling/record.ts KUBECONFIG [SCENARIO…]
 * With names, those alone are played anew. All three have upstream's defaults, but that the controllers take
 * --node-monitor-grace-period=1h: no kubelet renews the Leases of the scenarios' nodes.
 */
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import type { Seen } from "./dump.ts";
import { type Looks, play } from "./play.ts";
import { loadRecorded, saveRecorded } from "./recording.ts";
import { scenarios } from "./scenarios.ts";

/** What has not changed for so long does not change any more: every wait of the scenarios is over by then. */
const quiet_ms = 2_500;

async function settled(look: () => Promise<Seen>): Promise<Seen> {
  let last = await look();
  let since_ms = performance.now();
  while (performance.now() - since_ms < quiet_ms) {
    await Bun.sleep(200);
    const now = await look();
    if (JSON.stringify(now) !== JSON.stringify(last)) since_ms = performance.now();
    last = now;
  }
  return last;
}

const [kubeconfig = "", ...only] = process.argv.slice(2);
const client = new HttpClient(loadKubeconfig(kubeconfig));
const recorded: Record<string, Looks> = { ...loadRecorded() };
for (const scenario of scenarios.filter(({ name }) => only.length === 0 || only.includes(name))) {
  const looks: Record<string, Seen> = {};
  try {
    await play(client, scenario, async (label, look) => {
      looks[label] = await settled(look);
    });
  } catch (error) {
    console.log(`${scenario.name}: ${String(error)}`);
    process.exitCode = 1;
  }
  recorded[scenario.name] = looks;
  saveRecorded(Object.fromEntries(scenarios.map(({ name }) => [name, recorded[name] ?? {}])));
  console.log(scenario.name, Object.keys(looks).length);
}
process.exit();
