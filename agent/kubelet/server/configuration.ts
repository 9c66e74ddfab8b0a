import { formatGoDuration_ms } from "#shared/api/go-duration.ts";
import { thresholds, transition_ms } from "../../telemetry/pressure.ts";
import { defaultImageRules } from "../images/image-gc.ts";
import { defaultVerification } from "../images/pull-records.ts";
import type { Kubelet } from "../kubelet.ts";
import { look_ms, report_ms } from "../node/node-registrar.ts";
import { mostImages, reservedResources } from "../node/node-status.ts";
import { volumeStatsAge_ms } from "../volumes/volume-stats.ts";

const percent = (fraction: number): string => `${Math.round(fraction * 100)}%`;

/** What no option of ours changes. */
const unchangeable = {
  nodeStatusUpdateFrequency: formatGoDuration_ms(look_ms),
  nodeStatusReportFrequency: formatGoDuration_ms(report_ms),
  nodeStatusMaxImages: mostImages,
  volumeStatsAggPeriod: formatGoDuration_ms(volumeStatsAge_ms),
  evictionHard: {
    "imagefs.available": percent(thresholds.imageDiskAvailable),
    "memory.available": `${thresholds.memoryAvailable_bytes / 2 ** 20}Mi`,
    "nodefs.available": percent(thresholds.diskAvailable),
    "nodefs.inodesFree": percent(thresholds.inodesFree),
  },
  evictionPressureTransitionPeriod: formatGoDuration_ms(transition_ms),
  enableControllerAttachDetach: true,
  failSwapOn: false,
};

/** What /configz shows: the fields of KubeletConfiguration (kubelet.config.k8s.io/v1beta1) that say how this kubelet runs. */
export function configurationOf({ options }: Kubelet): Readonly<Record<string, unknown>> {
  const {
    staticPodsFolder,
    kubeletPort,
    clusterDomain,
    clusterDns,
    maxPods,
    nodeTaints,
    resolvConf,
    shutdown = [],
    cgroups,
  } = options;
  const { high, low, youngest_ms, oldest_ms } = options.imageRules ?? defaultImageRules;
  const { policy, allowlist } = options.imageVerification ?? defaultVerification;
  return {
    kind: "KubeletConfiguration",
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    enableServer: true,
    ...(staticPodsFolder ? { staticPodPath: staticPodsFolder } : {}),
    port: kubeletPort,
    authentication: { webhook: { enabled: true }, anonymous: { enabled: false } },
    authorization: { mode: "Webhook" },
    clusterDomain,
    clusterDNS: clusterDns,
    maxPods,
    resolvConf: resolvConf ?? "/etc/resolv.conf",
    ...(options.reserved ? { kubeReserved: reservedResources(options.reserved) } : {}),
    ...(nodeTaints?.length ? { registerWithTaints: nodeTaints } : {}),
    ...(shutdown.length > 0
      ? {
          shutdownGracePeriodByPodPriority: shutdown.map(({ priority, grace_s }) => ({
            priority,
            shutdownGracePeriodSeconds: grace_s,
          })),
        }
      : {}),
    cgroupsPerQOS: cgroups !== undefined,
    ...(cgroups
      ? {
          cgroupRoot: cgroups.root,
          podPidsLimit: cgroups.podPidsLimit,
          enforceNodeAllocatable: cgroups.enforceNodeAllocatable ? ["pods"] : ["none"],
        }
      : { enforceNodeAllocatable: ["none"] }),
    serializeImagePulls: false,
    imagePullCredentialsVerificationPolicy: policy,
    ...(allowlist.length > 0 ? { preloadedImagesVerificationAllowlist: allowlist } : {}),
    imageMinimumGCAge: formatGoDuration_ms(youngest_ms),
    imageMaximumGCAge: formatGoDuration_ms(oldest_ms),
    imageGCHighThresholdPercent: Math.round(high * 100),
    imageGCLowThresholdPercent: Math.round(low * 100),
    ...unchangeable,
  };
}
