import {
  appArmor,
  capabilitiesBaseline,
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  privileged,
  probeHosts,
  procMount,
  seccomp,
  seccompAnnotations,
  seLinux,
  sysctls,
  sysctls27,
  sysctls29,
  sysctls32,
  sysctlsOfOld,
  windowsHostProcess,
} from "./baseline-checks.ts";
import { type CheckedPod, type CheckPod, hasUserNamespace, isWindows, unless, type Violation } from "./check.ts";
import type { LevelVersion } from "./levels.ts";
import {
  allowPrivilegeEscalation,
  capabilitiesRestricted,
  restrictedVolumes,
  runAsNonRoot,
  runAsUser,
} from "./restricted-checks.ts";

interface Check {
  readonly id: string;
  readonly level: "baseline" | "restricted";
  /** By the minor version from which on it is the one; the first that is not newer than asked counts. Newest first. */
  readonly versions: readonly (readonly [from: number, check: CheckPod])[];
  /** The baseline check that this one contains. */
  readonly replaces?: string | undefined;
}

/** The newest minor version that the checks know. */
const newest = 35;

/** Where a pod is outside a level of the Pod Security Standards, in upstream's order and words. */
export function violations(policy: LevelVersion, pod: CheckedPod): Violation[] {
  if (policy.level === "privileged") return [];
  const minor = policy.version === "latest" ? newest : Math.min(policy.version, newest);
  const active = checks
    .filter((check) => check.level === "baseline" || policy.level === "restricted")
    .flatMap((check) => {
      const found = check.versions.find(([from]) => from <= minor);
      return found ? [{ ...check, run: found[1] }] : [];
    });
  const replaced = new Set(active.map((check) => check.replaces));
  return active.filter((check) => !replaced.has(check.id)).flatMap((check) => check.run(pod) ?? []);
}

/** `reason (detail), reason (detail)` */
export const describeViolations = (found: readonly Violation[]): string =>
  found.map(({ reason, detail }) => (detail ? `${reason} (${detail})` : reason)).join(", ");

const seLinuxTypes = ["container_t", "container_init_t", "container_kvm_t"];

/** Baseline first, each level by id: the order in which violations are listed. */
const checks: readonly Check[] = [
  { id: "appArmorProfile", level: "baseline", versions: [[0, appArmor]] },
  { id: "capabilities_baseline", level: "baseline", versions: [[0, capabilitiesBaseline]] },
  { id: "hostNamespaces", level: "baseline", versions: [[0, hostNamespaces]] },
  { id: "hostPathVolumes", level: "baseline", versions: [[0, hostPathVolumes]] },
  { id: "hostPorts", level: "baseline", versions: [[0, hostPorts]] },
  { id: "hostProbesAndHostLifecycle", level: "baseline", versions: [[34, probeHosts]] },
  { id: "privileged", level: "baseline", versions: [[0, privileged]] },
  {
    id: "procMount",
    level: "baseline",
    versions: [
      [35, unless(hasUserNamespace, procMount)],
      [0, procMount],
    ],
  },
  {
    id: "seLinuxOptions",
    level: "baseline",
    versions: [
      [31, seLinux([...seLinuxTypes, "container_engine_t"])],
      [0, seLinux(seLinuxTypes)],
    ],
  },
  {
    id: "seccompProfile_baseline",
    level: "baseline",
    versions: [
      [19, seccomp(false)],
      [0, seccompAnnotations],
    ],
  },
  {
    id: "sysctls",
    level: "baseline",
    versions: [
      [32, sysctls(sysctls32)],
      [29, sysctls(sysctls29)],
      [27, sysctls(sysctls27)],
      [0, sysctls(sysctlsOfOld)],
    ],
  },
  { id: "windowsHostProcess", level: "baseline", versions: [[0, windowsHostProcess]] },
  {
    id: "allowPrivilegeEscalation",
    level: "restricted",
    versions: [
      [25, unless(isWindows, allowPrivilegeEscalation)],
      [8, allowPrivilegeEscalation],
    ],
  },
  {
    id: "capabilities_restricted",
    level: "restricted",
    replaces: "capabilities_baseline",
    versions: [
      [25, unless(isWindows, capabilitiesRestricted)],
      [22, capabilitiesRestricted],
    ],
  },
  { id: "procMount_restricted", level: "restricted", replaces: "procMount", versions: [[35, procMount]] },
  { id: "restrictedVolumes", level: "restricted", replaces: "hostPathVolumes", versions: [[0, restrictedVolumes]] },
  {
    id: "runAsNonRoot",
    level: "restricted",
    versions: [
      [35, unless(hasUserNamespace, runAsNonRoot)],
      [0, runAsNonRoot],
    ],
  },
  {
    id: "runAsUser",
    level: "restricted",
    versions: [
      [35, unless(hasUserNamespace, runAsUser)],
      [23, runAsUser],
    ],
  },
  {
    id: "seccompProfile_restricted",
    level: "restricted",
    replaces: "seccompProfile_baseline",
    versions: [
      [25, unless(isWindows, seccomp(true))],
      [19, seccomp(true)],
    ],
  },
];
