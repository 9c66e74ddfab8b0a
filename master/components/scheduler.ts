import { stderrLog } from "#shared/client/log.ts";
import type { SchedulerSettings } from "#shared/config/component-settings.ts";
import { type SchedulerPart, startScheduler } from "../control-loops.ts";
import {
  leaderEventSource,
  type SchedulerConfiguration,
  schedulerConfigurationOf,
} from "../scheduler/configuration/configuration.ts";
import { runElected } from "./elected.ts";

/** `bramble scheduler`: the scheduler in a process of its own. */
export async function runScheduler(given: SchedulerSettings): Promise<void> {
  const log = stderrLog(given.logLevel);
  const configuration = schedulerConfigurationOf(given.schedulerConfig);
  const { leaderElect, resourceName, resourceNamespace } = configuration.leaderElection;
  const settings: SchedulerSettings = {
    ...given,
    kubeconfig: given.kubeconfig || configuration.kubeconfig,
    kubeApiQps: configuration.qps ?? given.kubeApiQps,
    kubeApiBurst: configuration.burst ?? given.kubeApiBurst,
    leaderElect: leaderElect === false ? false : given.leaderElect,
    leaderElectResourceName: resourceName ?? given.leaderElectResourceName,
    leaderElectResourceNamespace: resourceNamespace ?? given.leaderElectResourceNamespace,
  };
  let scheduler: SchedulerPart | undefined;
  await runElected(
    {
      settings,
      component: "kube-scheduler",
      eventSource: leaderEventSource(configuration),
      log,
      configuration: () => ({ componentconfig: shownConfiguration(settings, configuration) }),
      // Who waits for its Lease could take over at once.
      readiness: { "sched-handler-sync": async () => scheduler?.checkCaches() },
      // Only who decides follows pods.
      moreMetrics: { "/metrics/resources": () => scheduler?.podResources() ?? [] },
    },
    async (client) => {
      scheduler = startScheduler(client, log, configuration);
      return scheduler;
    },
  );
}

/** The fields of KubeSchedulerConfiguration that say how this scheduler runs. */
function shownConfiguration(
  settings: SchedulerSettings,
  { profiles, podInitialBackoffSeconds, podMaxBackoffSeconds }: SchedulerConfiguration,
): Readonly<Record<string, unknown>> {
  return {
    LeaderElection: {
      LeaderElect: settings.leaderElect,
      LeaseDuration: `${settings.leaderElectLeaseDuration / 1000}s`,
      RenewDeadline: `${settings.leaderElectRenewDeadline / 1000}s`,
      RetryPeriod: `${settings.leaderElectRetryPeriod / 1000}s`,
      ResourceLock: "leases",
      ResourceName: settings.leaderElectResourceName,
      ResourceNamespace: settings.leaderElectResourceNamespace,
    },
    ClientConnection: { Kubeconfig: settings.kubeconfig },
    PodInitialBackoffSeconds: podInitialBackoffSeconds,
    PodMaxBackoffSeconds: podMaxBackoffSeconds,
    Profiles: profiles.map(({ schedulerName }) => ({ SchedulerName: schedulerName })),
  };
}
