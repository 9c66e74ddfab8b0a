import { formatGoDuration_ms } from "#shared/api/go-duration.ts";
import { formatQuantity, quantityOf } from "#shared/api/quantity.ts";
import type { Placement } from "../cpus/cpu-settings.ts";
import { defaultImageRules } from "../images/image-gc.ts";
import { defaultVerification } from "../images/pull-records.ts";
import type { Kubelet } from "../kubelet.ts";
import { defaultTuning, type KubeletTuning } from "../kubelet-tuning.ts";
import {
  type Amount,
  defaultEvictionRules,
  type EvictionRules,
  isHard,
  type Threshold,
} from "../node/eviction-rules.ts";
import { reservedResources } from "../node/node-status.ts";

function evictionFields({ thresholds, longestGrace_s, transition_ms }: EvictionRules): Record<string, unknown> {
  const shown = (amount: Amount): string =>
    amount.kind === "absolute"
      ? formatQuantity(quantityOf(amount.value, "BinarySI"))
      : `${Number((amount.of1 * 100).toPrecision(6))}%`;
  const map = (of: (threshold: Threshold) => string | undefined): Record<string, string> =>
    Object.fromEntries(
      thresholds.flatMap((threshold) => {
        const value = of(threshold);
        return value === undefined ? [] : [[threshold.signal, value]];
      }),
    );
  const lists = {
    evictionSoft: map((each) => (isHard(each) ? undefined : shown(each.least))),
    evictionSoftGracePeriod: map((each) => (isHard(each) ? undefined : formatGoDuration_ms(each.grace_ms))),
    evictionMinimumReclaim: map(({ reclaim }) => reclaim && shown(reclaim)),
  };
  return {
    evictionHard: map((each) => (isHard(each) ? shown(each.least) : undefined)),
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => Object.keys(list).length > 0)),
    evictionPressureTransitionPeriod: formatGoDuration_ms(transition_ms),
    ...(longestGrace_s > 0 ? { evictionMaxPodGracePeriod: longestGrace_s } : {}),
  };
}

function tuningFields(tuning: KubeletTuning): Record<string, unknown> {
  const { pulls, events, cpuQuota, memoryEnd, server, allowedSysctls, gates } = tuning;
  const isBounded = Number.isFinite(pulls.parallel);
  return {
    enableDebuggingHandlers: server.hasDebuggingHandlers,
    enableSystemLogHandler: server.hasSystemLogs,
    streamingConnectionIdleTimeout: formatGoDuration_ms(server.streamIdle_ms),
    nodeStatusUpdateFrequency: formatGoDuration_ms(tuning.look_ms),
    nodeStatusReportFrequency: formatGoDuration_ms(tuning.report_ms),
    nodeStatusMaxImages: tuning.mostImages,
    volumeStatsAggPeriod: formatGoDuration_ms(tuning.volumeStatsAge_ms),
    serializeImagePulls: pulls.parallel === 1,
    ...(isBounded ? { maxParallelImagePulls: pulls.parallel } : {}),
    registryPullQPS: pulls.perSecond,
    registryBurst: pulls.burst,
    eventRecordQPS: events.perSecond,
    eventBurst: events.burst,
    ...(tuning.podsPerCore > 0 ? { podsPerCore: tuning.podsPerCore } : {}),
    cpuCFSQuota: cpuQuota.isEnforced,
    cpuCFSQuotaPeriod: formatGoDuration_ms(cpuQuota.period_us / 1000),
    memorySwap: { swapBehavior: memoryEnd.swap },
    singleProcessOOMKill: !memoryEnd.endsWhole,
    seccompDefault: tuning.seccompDefault,
    crashLoopBackOff: { maxContainerRestartPeriod: formatGoDuration_ms(tuning.longestCrashBackOff_ms) },
    localStorageCapacityIsolation: tuning.countsLocalStorage,
    ...(allowedSysctls.length > 0
      ? { allowedUnsafeSysctls: allowedSysctls.map(({ text, isPrefix }) => (isPrefix ? `${text}*` : text)) }
      : {}),
    ...(tuning.providerId ? { providerID: tuning.providerId } : {}),
    ...(gates.size > 0 ? { featureGates: Object.fromEntries(gates) } : {}),
  };
}

function placementFields(placement: Placement | undefined): Record<string, unknown> {
  if (!placement) return {};
  const { shown, cpus } = placement;
  const chosen = { "full-pcpus-only": cpus?.wholeCores, "strict-cpu-reservation": cpus?.keepsReserved };
  const options = Object.entries(chosen).filter(([, isChosen]) => isChosen);
  return {
    cpuManagerPolicy: shown.cpuManagerPolicy,
    ...(options.length > 0
      ? { cpuManagerPolicyOptions: Object.fromEntries(options.map(([name]) => [name, "true"])) }
      : {}),
    ...(shown.reservedCpus ? { reservedSystemCPUs: shown.reservedCpus } : {}),
    memoryManagerPolicy: shown.memoryManagerPolicy,
    topologyManagerPolicy: shown.topologyManagerPolicy,
    topologyManagerScope: shown.topologyManagerScope,
  };
}

/** What no option of ours changes. */
const unchangeable = { enableControllerAttachDetach: true };

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
    imagePullCredentialsVerificationPolicy: policy,
    ...(allowlist.length > 0 ? { preloadedImagesVerificationAllowlist: allowlist } : {}),
    imageMinimumGCAge: formatGoDuration_ms(youngest_ms),
    imageMaximumGCAge: formatGoDuration_ms(oldest_ms),
    imageGCHighThresholdPercent: Math.round(high * 100),
    imageGCLowThresholdPercent: Math.round(low * 100),
    ...placementFields(options.placement),
    ...evictionFields(options.eviction ?? defaultEvictionRules),
    ...tuningFields(options.tuning ?? defaultTuning),
    ...unchangeable,
  };
}
