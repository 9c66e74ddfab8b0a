import type { ControllerDefinition } from "#shared/client/controller.ts";
import type { ResourceMapper } from "#shared/client/discovery.ts";
import type { ControllerValues } from "#shared/config/controller-settings.ts";
import { boardAuthorities } from "./board-authorities.ts";
import { bootstrapSigner } from "./bootstrap-signer.ts";
import { certificateApprover } from "./certificates/approver.ts";
import { certificateCleaner } from "./certificates/cleaner.ts";
import { certificateSigner, type SigningAuthority } from "./certificates/signer.ts";
import { clusterRoleAggregation } from "./cluster-role-aggregation.ts";
import { endpointSliceController } from "./endpoints/endpoint-slice.ts";
import { endpointSliceMirroringController } from "./endpoints/endpoint-slice-mirroring.ts";
import { endpointsController } from "./endpoints/endpoints.ts";
import { garbageCollector } from "./garbage-collector/garbage-collector.ts";
import type { JobDefaults } from "./helm-chart/chart-job.ts";
import { helmChartController } from "./helm-chart/helm-chart.ts";
import { ingressStatus } from "./ingress-status.ts";
import { legacyTokenCleaner } from "./legacy-token-cleaner.ts";
import type { Service } from "./manager.ts";
import { namespaceController } from "./namespace/namespace.ts";
import { usualEvictionRates } from "./node/eviction-pace.ts";
import { defaultHealthSettings } from "./node/health.ts";
import { type NodeRangeSettings, nodeIpamController } from "./node/node-ipam.ts";
import { nodeLifecycleController } from "./node/node-lifecycle.ts";
import { nodeTtlController } from "./node/node-ttl.ts";
import { taintEvictionController } from "./node/taint-eviction.ts";
import type { StrainPolicy } from "./node/taints.ts";
import { attachDetachController } from "./persistent-volume/attach-detach.ts";
import { volumeBinder } from "./persistent-volume/binder.ts";
import { ephemeralVolumeController } from "./persistent-volume/ephemeral-volumes.ts";
import { volumeExpander } from "./persistent-volume/expansion.ts";
import { localPathProvisioner } from "./persistent-volume/local-path.ts";
import { attributesClassProtection, claimProtection, volumeProtection } from "./persistent-volume/protection.ts";
import { defaultPodGcSettings, type PodGcSettings, podGarbageCollector } from "./pod-gc.ts";
import { resourceClaimController } from "./resource-claim/resource-claim.ts";
import { resourceQuotaController } from "./resource-quota/resource-quota.ts";
import { rootCaPublisher } from "./root-ca-publisher.ts";
import { serviceAccountController } from "./service-account.ts";
import { type ServiceAccountTokenOptions, serviceAccountTokenController } from "./service-account-token.ts";
import { serviceCIDRController } from "./service-cidr/service-cidr.ts";
import { serviceLoadBalancer } from "./service-load-balancer/service-load-balancer.ts";
import { tokenCleaner } from "./token-cleaner.ts";
import { ttlAfterFinishedController } from "./ttl-after-finished.ts";

export interface SystemControllerOptions {
  /** PEM of the authority that signs the API server's certificates. */
  readonly rootCa: () => string;
  /** Signs what the certificates API approves. */
  readonly clientAuthority: SigningAuthority;
  /** How the controllers work, where that is not as usual. */
  readonly tuning?: Partial<ControllerValues & NodeRangeSettings> | undefined;
  readonly clusterCidr: string;
  /** Silence after which a node is not ready, where its session did not tell sooner. */
  readonly nodeMonitorGracePeriod_ms: number;
  readonly strainedBoardTaint?: StrainPolicy | undefined;
  /** Folder on every board for volumes made out of folders; absent: none are made. */
  readonly localStoragePath?: string | undefined;
  /** `TCP/6443` and the like with who has it, for Services of type LoadBalancer; absent: the boards do not serve those. */
  readonly reservedBoardPorts?: ReadonlyMap<string, string> | undefined;
  /** How HelmCharts are installed; absent: they are not. */
  readonly helm?: JobDefaults | undefined;
  readonly mapper: ResourceMapper;
  /** Names and addresses of API servers that the cluster's objects do not tell; no board gets a certificate for them. */
  readonly apiServerNames?: readonly string[] | undefined;
  /** Signs the tokens of Secrets for service accounts; absent: such Secrets stay empty. */
  readonly issueSecretToken?: ServiceAccountTokenOptions["issue"] | undefined;
}

/** The controllers that keep the cluster itself in order; workloads have their own list. */
export function systemControllers(options: SystemControllerOptions): {
  readonly controllers: readonly ControllerDefinition[];
  readonly services: readonly Service[];
} {
  const { tuning = {} } = options;
  const { mapper, rootCa, reservedBoardPorts, issueSecretToken: issue, localStoragePath: storagePath } = options;
  return {
    controllers: [
      namespaceController(mapper),
      serviceAccountController,
      rootCaPublisher(rootCa),
      boardAuthorities(rootCa),
      nodeIpamController(options.clusterCidr, tuning),
      nodeLifecycleController(
        { ...defaultHealthSettings, grace_ms: options.nodeMonitorGracePeriod_ms },
        options.strainedBoardTaint,
        { ...usualEvictionRates, ...tuning },
      ),
      taintEvictionController(),
      nodeTtlController(),
      podGarbageCollector(podGcSettingsOf(tuning)),
      endpointsController(),
      endpointSliceController(),
      endpointSliceMirroringController(),
      serviceCIDRController,
      ingressStatus,
      ...(options.helm === undefined ? [] : [helmChartController(options.helm)]),
      ...(reservedBoardPorts === undefined ? [] : [serviceLoadBalancer(reservedBoardPorts)]),
      ttlAfterFinishedController,
      clusterRoleAggregation,
      resourceQuotaController(mapper),
      volumeBinder,
      claimProtection,
      volumeProtection,
      attributesClassProtection,
      ephemeralVolumeController,
      volumeExpander,
      attachDetachController(),
      resourceClaimController,
      ...(storagePath === undefined ? [] : [localPathProvisioner({ storagePath })]),
      tokenCleaner,
      bootstrapSigner,
      legacyTokenCleaner(tuning.legacyServiceAccountTokenCleanUpPeriod),
      ...(issue ? [serviceAccountTokenController({ rootCa, issue })] : []),
      certificateApprover(options.apiServerNames),
      certificateSigner(options.clientAuthority, inSeconds(tuning.clusterSigningDuration)),
      certificateCleaner,
    ],
    services: [garbageCollector(mapper)],
  };
}

const inSeconds = (duration_ms: number | undefined): number | undefined =>
  duration_ms === undefined ? undefined : duration_ms / 1000;

/** No number stands for any number. */
function podGcSettingsOf({ terminatedPodGcThreshold: most }: Partial<ControllerValues>): PodGcSettings {
  const mostTerminated = most === 0 ? Number.POSITIVE_INFINITY : (most ?? defaultPodGcSettings.mostTerminated);
  return { ...defaultPodGcSettings, mostTerminated };
}
