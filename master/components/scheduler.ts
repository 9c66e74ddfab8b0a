import { stderrLog } from "#shared/client/log.ts";
import type { SchedulerSettings } from "#shared/config/component-settings.ts";
import { startScheduler } from "../control-loops.ts";
import { schedulerConfigurationOf } from "../scheduler/configuration/configuration.ts";
import { runElected } from "./elected.ts";

/** `bramble scheduler`: the scheduler in a process of its own. */
export async function runScheduler(settings: SchedulerSettings): Promise<void> {
  const log = stderrLog(settings.logLevel);
  const configuration = schedulerConfigurationOf(settings.schedulerConfig);
  const { leaderElect, resourceName, resourceNamespace } = configuration.leaderElection;
  await runElected(
    {
      kubeconfig: settings.kubeconfig || configuration.kubeconfig,
      leaderElect: leaderElect === false ? "false" : settings.leaderElect,
      lease: resourceName ?? "kube-scheduler",
      leaseNamespace: resourceNamespace,
      log,
    },
    async (client) => startScheduler(client, log, configuration),
  );
}
