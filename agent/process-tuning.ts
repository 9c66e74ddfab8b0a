/** What a kubelet is told of its own process and of the kernel that it runs on. */
import { readFileSync, writeFileSync } from "node:fs";
import { ConfigError, type ValuesOf } from "#shared/config/option.ts";
import type { tuningOptions } from "#shared/config/tuning-options.ts";
import { limitOpenFiles } from "./host/system-calls.ts";
import { hasUnifiedGroups } from "./kubelet/kubelet-tuning.ts";

export type ProcessSettings = Pick<
  ValuesOf<typeof tuningOptions>,
  "maxOpenFiles" | "oomScoreAdj" | "protectKernelDefaults" | "failCgroupV1"
>;

/** What upstream's kubelet wants of the kernel. */
const kernelDefaults = {
  "vm/overcommit_memory": 1,
  "vm/panic_on_oom": 0,
  "kernel/panic": 10,
  "kernel/panic_on_oops": 1,
  "kernel/keys/root_maxkeys": 1_000_000,
  "kernel/keys/root_maxbytes": 25_000_000,
} as const;

/** Throws ConfigError where the board is not as the settings want it; what cannot be had for the process is told.
 *  @param root where /proc is */
export function applyProcessTuning(settings: ProcessSettings, warn: (message: string) => void, root = "/"): void {
  if (settings.failCgroupV1 && !hasUnifiedGroups(`${root}sys/fs/cgroup`))
    throw new ConfigError(
      "fail-cgroup-v1: kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported and will be removed in a future release",
    );
  if (settings.protectKernelDefaults) checkKernel(root);
  const { oomScoreAdj, maxOpenFiles } = settings;
  const attempt = (what: string, run: () => void): void => {
    try {
      run();
    } catch (error) {
      warn(`${what}: ${(error as Error).message}`);
    }
  };
  if (oomScoreAdj !== undefined)
    attempt("oom-score-adj", () => writeFileSync(`${root}proc/self/oom_score_adj`, String(oomScoreAdj)));
  if (maxOpenFiles > 0) attempt("max-open-files", () => limitOpenFiles(maxOpenFiles));
}

function checkKernel(root: string): void {
  const wrong = Object.entries(kernelDefaults).flatMap(([path, expected]) => {
    const actual = Number(readFileSync(`${root}proc/sys/${path}`, "utf8"));
    return actual === expected
      ? []
      : [`invalid kernel flag: ${path}, expected value: ${expected}, actual value: ${actual}`];
  });
  if (wrong.length > 0) throw new ConfigError(`protect-kernel-defaults: ${wrong.join("; ")}`);
}
