/**
 * Plays the scenarios to upstream's control plane and writes what its scheduler and controllers come to:
 *   UPSTREAM_ADMISSION=default UPSTREAM_CONTROLLERS=1 UPSTREAM_SCHEDULER=1 \
 *     UPSTREAM_CONTROLLER_FLAGS=--node-monitor-grace-period=1h test/differential/upstream.sh DIR
 *   bun test/differential/scheduling/record.ts DIR/kubeconfig; test/differential/upstream.sh DIR stop
 * No kubelet renews the Leases of the scenarios' nodes. Names of scenarios after the kubeconfig record those alone.
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
