import { readFileSync } from "node:fs";
import { formatGoDuration_ms } from "#shared/api/go-duration.ts";
import { helmCharts } from "#shared/api/helm-chart.ts";
import type { Client } from "#shared/client/client.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { type Log, stderrLog } from "#shared/client/log.ts";
import { agentOfUser } from "#shared/client/user-agent.ts";
import type { ControllerManagerSettings } from "#shared/config/component-settings.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { parseServiceAccountKeys } from "#shared/pki/service-account-key.ts";
import { clusterIssuer } from "../apiserver/authn/service-account-issuer.ts";
import { startControllerManager } from "../control-loops.ts";
import { controllerUser } from "../controllers/manager.ts";
import { AccountTokens } from "./account-tokens.ts";
import { runElected } from "./elected.ts";

/** `bramble controller-manager`: all controllers in a process of their own, each by the token of its service account. */
export async function runControllerManager(settings: ControllerManagerSettings): Promise<void> {
  const log = stderrLog(settings.logLevel);
  // Files are read when they are needed: they change when the CA is rotated.
  const ca = (): KeyAndCertificate => ({
    certificatePem: read("cluster-signing-cert-file", settings.clusterSigningCertFile),
    keyPem: read("cluster-signing-key-file", settings.clusterSigningKeyFile),
  });
  const rootCa = (): string =>
    settings.rootCaFile === "" ? ca().certificatePem : read("root-ca-file", settings.rootCaFile);
  // What is missing is said before anything runs.
  ca();
  rootCa();
  const { serviceAccountPrivateKeyFile: keyFile, clusterDomain } = settings;
  const issuer =
    keyFile === ""
      ? undefined
      : clusterIssuer(clusterDomain, parseServiceAccountKeys(read("service-account-private-key-file", keyFile)));
  const configuration = (): Record<string, unknown> => ({
    "kubecontrollermanager.config.k8s.io": shownConfiguration(settings),
  });
  const component = "kube-controller-manager";
  await runElected({ settings, component, eventSource: component, log, configuration }, async (client) => {
    const { servers, credentials } = loadKubeconfig(settings.kubeconfig);
    const tokens = new AccountTokens(client, log.named("tokens"));
    const clientFor = (account: string): HttpClient =>
      new HttpClient({
        servers,
        credentials: () => tokens.credentials(account, credentials().ca),
        userAgent: agentOfUser(controllerUser(account).name),
      });
    const manager = await startControllerManager({
      settings: (await servesHelmCharts(client, log)) ? settings : withoutHelm(settings),
      ca,
      rootCa,
      issuer,
      client,
      clientFor,
      log,
      prepare: (accounts) => tokens.prepare(accounts),
    });
    return {
      check: () => manager.check(),
      async stop() {
        await manager.stop();
        tokens.stop();
      },
    };
  });
}

/** An API server that is not Bramble's has no such kind, and who waits for it is never ready. */
async function servesHelmCharts(client: Client, log: Log): Promise<boolean> {
  const { group, version, kind } = helmCharts;
  const isServed = (await new ResourceMapper(client).resourceOf(`${group}/${version}`, kind)) !== undefined;
  if (!isServed) log.info("the API server has no HelmCharts: their controller does not run");
  return isServed;
}

const withoutHelm = (settings: ControllerManagerSettings): ControllerManagerSettings => ({
  ...settings,
  disable: [...settings.disable, "helm-controller"],
});

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
      Controllers: ["*"],
    },
    KubeCloudShared: { UseServiceAccountCredentials: true, AllocateNodeCIDRs: true, ClusterCIDR: settings.clusterCidr },
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

function read(name: string, path: string): string {
  if (path === "") throw new ConfigError(`${name}: name the file`);
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`${name}: ${(error as Error).message}`);
  }
}
