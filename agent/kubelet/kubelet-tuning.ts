/** What a kubelet can be told besides: the settings of upstream's flags and fields, read and checked in upstream's words. */
import { existsSync, readFileSync } from "node:fs";
import { featureGates, switchedGates } from "#shared/config/feature-gates.ts";
import { ConfigError, type ValuesOf } from "#shared/config/option.ts";
import { tuningOptions } from "#shared/config/tuning-options.ts";
import type { Rate } from "#shared/process/token-bucket.ts";
import type { CpuQuota, MemoryEnd } from "./container/container-resources.ts";
import { allowedSysctls, type SysctlPattern } from "./node/sysctls.ts";

const read = { ...tuningOptions, featureGates } as const;
export type TuningSettings = ValuesOf<typeof read>;

export interface KubeletTuning {
  readonly allowedSysctls: readonly SysctlPattern[];
  readonly seccompDefault: boolean;
  readonly longestCrashBackOff_ms: number;
  /** 0: as many as fit on the board. */
  readonly podsPerCore: number;
  readonly cpuQuota: CpuQuota;
  readonly memoryEnd: MemoryEnd;
  readonly countsLocalStorage: boolean;
  readonly pulls: Rate & { readonly parallel: number };
  readonly look_ms: number;
  readonly report_ms: number;
  /** -1: all. */
  readonly mostImages: number;
  readonly providerId: string | undefined;
  readonly volumeStatsAge_ms: number;
  readonly events: Rate;
  readonly server: ServerTuning;
  /** Feature gates that are other than by default. */
  readonly gates: ReadonlyMap<string, boolean>;
}

export interface ServerTuning {
  readonly hasDebuggingHandlers: boolean;
  readonly hasSystemLogs: boolean;
  /** 0: streams may rest for ever. */
  readonly streamIdle_ms: number;
}

const usualPeriod_ms = 100;

/** Does the board have version 2 of control groups alone? */
export const hasUnifiedGroups = (mount = "/sys/fs/cgroup"): boolean => existsSync(`${mount}/cgroup.controllers`);

/** Throws ConfigError. @param isUnified whether the board has version 2 of control groups */
export function tuningOf(settings: TuningSettings, isUnified: boolean): KubeletTuning {
  const gates = switchedGates(settings.featureGates);
  return {
    allowedSysctls: allowedSysctls(settings.allowedUnsafeSysctls),
    seccompDefault: settings.seccompDefault,
    longestCrashBackOff_ms: crashBackOff_ms(settings),
    podsPerCore: settings.podsPerCore,
    cpuQuota: cpuQuota(settings, gates),
    memoryEnd: memoryEnd(settings, isUnified),
    countsLocalStorage: settings.localStorageCapacityIsolation,
    pulls: {
      parallel: settings.serializeImagePulls ? 1 : settings.maxParallelImagePulls || Number.POSITIVE_INFINITY,
      perSecond: settings.registryQps,
      burst: settings.registryBurst,
    },
    look_ms: settings.nodeStatusUpdateFrequency,
    report_ms: settings.nodeStatusReportFrequency,
    mostImages: settings.nodeStatusMaxImages,
    providerId: settings.providerId || undefined,
    volumeStatsAge_ms: settings.volumeStatsAggPeriod,
    events: { perSecond: settings.eventQps, burst: settings.eventBurst },
    server: {
      hasDebuggingHandlers: settings.enableDebuggingHandlers,
      hasSystemLogs: settings.enableSystemLogHandler,
      streamIdle_ms: settings.streamingConnectionIdleTimeout,
    },
    gates,
  };
}

/** Of a board that was told nothing else. */
export const usualTuningSettings = Object.fromEntries(
  Object.entries(read).map(([key, { fallback }]) => [key, fallback]),
) as TuningSettings;

/** What such a board goes by. */
export const defaultTuning: KubeletTuning = tuningOf(usualTuningSettings, hasUnifiedGroups());

function crashBackOff_ms({ crashLoopBackOffMax: longest_ms }: TuningSettings): number {
  if (longest_ms >= 1_000 && longest_ms <= 300_000) return longest_ms;
  throw new ConfigError(
    `crash-loop-back-off-max: CrashLoopBackOff.MaxContainerRestartPeriod (got: ${longest_ms / 1000} seconds) must be set between 1s and 300s`,
  );
}

function cpuQuota(
  { cpuCfsQuota, cpuCfsQuotaPeriod: period_ms }: TuningSettings,
  gates: ReadonlyMap<string, boolean>,
): CpuQuota {
  if (gates.get("CustomCPUCFSQuotaPeriod") !== true && period_ms !== usualPeriod_ms)
    throw new ConfigError(
      `cpu-cfs-quota-period: cpuCFSQuotaPeriod (--cpu-cfs-quota-period) ${period_ms}ms requires feature gate CustomCPUCFSQuotaPeriod`,
    );
  if (period_ms < 1 || period_ms > 1_000)
    throw new ConfigError(
      `cpu-cfs-quota-period: cpuCFSQuotaPeriod (--cpu-cfs-quota-period) ${period_ms}ms must be between 1ms and 1sec, inclusive`,
    );
  return { isEnforced: cpuCfsQuota, period_us: period_ms * 1000 };
}

function memoryEnd({ swapBehavior, failSwapOn, singleProcessOomKill }: TuningSettings, isUnified: boolean): MemoryEnd {
  if (swapBehavior === "LimitedSwap" && !isUnified)
    throw new ConfigError(
      "swap-behavior: swap feature is enabled and LimitedSwap but it is only supported with cgroupv2",
    );
  if (singleProcessOomKill === "false" && !isUnified)
    throw new ConfigError(
      "single-process-oom-kill: singleProcessOOMKill must not be explicitly set to false when using cgroup v1",
    );
  if (failSwapOn && isSwapOn())
    throw new ConfigError(
      "fail-swap-on: running with swap on is not supported, please disable swap or set --fail-swap-on flag to false",
    );
  return { isUnified, swap: swapBehavior, endsWhole: isUnified && singleProcessOomKill !== "true" };
}

/** The first line of /proc/swaps is a heading. */
const isSwapOn = (): boolean => readFileSync("/proc/swaps", "utf8").trim().split("\n").length > 1;
