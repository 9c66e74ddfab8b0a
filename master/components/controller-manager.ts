import { formatGoDuration_ms } from "#shared/api/go-duration.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { stderrLog } from "#shared/client/log.ts";
import { agentOfUser } from "#shared/client/user-agent.ts";
import type { ControllerManagerSettings } from "#shared/config/component-settings.ts";
import { readNamedFile } from "#shared/config/named-file.ts";
import { parseServiceAccountKeys } from "#shared/pki/service-account-key.ts";
import { clusterIssuer } from "../apiserver/authn/service-account-issuer.ts";
import { startControllerManager } from "../control-loops.ts";
import { type ControllerManager, controllerUser } from "../controllers/manager.ts";
import { AccountTokens } from "./account-tokens.ts";
import { requestRateOf, runElected } from "./elected.ts";
import { signingAuthority } from "./signing-files.ts";

/** `bramble controller-manager`: all controllers in a process of their own, each by the token of its service account. */
export async function runControllerManager(settings: ControllerManagerSettings): Promise<void> {
  const log = stderrLog(settings.logLevel);
  const ca = signingAuthority(settings);
  const rootCaFile = settings.rootCaFile || settings.clusterSigningCertFile;
  const namedRootCa = (): string => readNamedFile("root-ca-file", rootCaFile);
  // What is missing is said before anything runs.
  if (rootCaFile !== "") namedRootCa();
  const { serviceAccountPrivateKeyFile: keyFile, clusterDomain } = settings;
  const issuer =
    keyFile === ""
      ? undefined
      : clusterIssuer(
          clusterDomain,
          parseServiceAccountKeys(readNamedFile("service-account-private-key-file", keyFile)),
        );
  const configuration = (): Record<string, unknown> => ({
    "kubecontrollermanager.config.k8s.io": shownConfiguration(settings),
  });
  const component = "kube-controller-manager";
  let running: ControllerManager | undefined;
  await runElected(
    { settings, component, eventSource: component, log, configuration, partChecks: () => running?.checks() ?? {} },
    async (client, { signal, givenUp }) => {
      const { servers, credentials } = loadKubeconfig(settings.kubeconfig);
      const tokens = new AccountTokens(client, log.named("tokens"));
      const isByAccount = settings.useServiceAccountCredentials;
      const clientFor = (account: string): HttpClient => {
        if (!isByAccount) return client;
        return new HttpClient({
          servers,
          credentials: () => tokens.credentials(account, credentials()),
          userAgent: agentOfUser(controllerUser(account).name),
          rate: requestRateOf(settings),
          signal: givenUp,
        });
      };
      const manager = await startControllerManager({
        settings,
        ca,
        // Without a file the cluster's CA is the one by which this component itself trusts the API server.
        rootCa: rootCaFile === "" ? () => credentials().ca ?? "" : namedRootCa,
        issuer,
        client,
        clientFor,
        log,
        signal,
        prepare: isByAccount ? (accounts) => tokens.prepare(accounts) : undefined,
      });
      running = manager;
      return {
        check: () => manager.check(),
        async stop() {
          running = undefined;
          await manager.stop();
          tokens.stop();
        },
      };
    },
  );
}

/** The fields of KubeControllerManagerConfiguration that say how these controllers run. */
function shownConfiguration(settings: ControllerManagerSettings): Readonly<Record<string, unknown>> {
  return {
    Generic: {
      ClientConnection: { Kubeconfig: settings.kubeconfig },
      LeaderElection: {
        LeaderElect: settings.leaderElect,
        ResourceLock: "leases",
        ResourceName: settings.leaderElectResourceName,
        ResourceNamespace: settings.leaderElectResourceNamespace,
      },
      Controllers: settings.controllers,
    },
    KubeCloudShared: {
      UseServiceAccountCredentials: settings.useServiceAccountCredentials,
      AllocateNodeCIDRs: settings.allocateNodeCidrs,
      ClusterCIDR: settings.clusterCidr,
    },
    NodeLifecycleController: { NodeMonitorGracePeriod: `${settings.nodeMonitorGracePeriod}s` },
    HPAController: {
      HorizontalPodAutoscalerSyncPeriod: formatGoDuration_ms(settings.horizontalPodAutoscalerSyncPeriod),
      HorizontalPodAutoscalerDownscaleStabilizationWindow: formatGoDuration_ms(
        settings.horizontalPodAutoscalerDownscaleStabilization,
      ),
      HorizontalPodAutoscalerTolerance: settings.horizontalPodAutoscalerTolerance,
      HorizontalPodAutoscalerCPUInitializationPeriod: formatGoDuration_ms(
        settings.horizontalPodAutoscalerCpuInitializationPeriod,
      ),
      HorizontalPodAutoscalerInitialReadinessDelay: formatGoDuration_ms(
        settings.horizontalPodAutoscalerInitialReadinessDelay,
      ),
    },
    CSRSigningController: {
      ClusterSigningCertFile: settings.clusterSigningCertFile,
      ClusterSigningKeyFile: settings.clusterSigningKeyFile,
    },
    SAController: {
      ServiceAccountKeyFile: settings.serviceAccountPrivateKeyFile,
      RootCAFile: settings.rootCaFile,
    },
  };
}
