import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { Refusal } from "./pod-admission.ts";

/** Sysctls that have effect in a pod's own namespaces alone. */
const safe: ReadonlySet<string> = new Set([
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.ping_group_range",
  "net.ipv4.ip_unprivileged_port_start",
  "net.ipv4.ip_local_reserved_ports",
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
  "net.ipv4.tcp_rmem",
  "net.ipv4.tcp_wmem",
]);

type Namespace = "ipc" | "net";

/** Sysctls that an administrator allows besides: one, or all that begin so. */
export interface SysctlPattern {
  readonly text: string;
  readonly isPrefix: boolean;
  readonly namespace: Namespace;
}

const ofIpc: ReadonlySet<string> = new Set(
  "sem shmall shmmax shmmni shm_rmid_forced shm msgmax msgmnb msgmni msg".split(" ").map((name) => `kernel.${name}`),
);

/** What a sysctl, or the beginning of some, belongs to; undefined where it is not known to be a pod's own. */
function namespaceOf(name: string): Namespace | undefined {
  if (ofIpc.has(name) || name.startsWith("fs.mqueue.")) return "ipc";
  return name.startsWith("net.") ? "net" : undefined;
}

const longestSysctl = 253;
const syntax = "([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*([a-z0-9][-_a-z0-9]*)?[a-z0-9*]";
const wellFormed = new RegExp(`^${syntax}$`);

/** Throws ConfigError, in upstream's words. */
export function allowedSysctls(patterns: readonly string[]): SysctlPattern[] {
  return patterns.map((pattern) => {
    if (pattern.length > longestSysctl || !wellFormed.test(pattern))
      throw new ConfigError(
        `allowed-unsafe-sysctls: sysctl ${JSON.stringify(pattern)} must have at most ${longestSysctl} characters and match regex ${syntax}`,
      );
    const [text = ""] = dotted(pattern).split("*");
    const namespace = namespaceOf(text);
    if (!namespace)
      throw new ConfigError(
        `allowed-unsafe-sysctls: the sysctls ${JSON.stringify(text)} are not known to be namespaced`,
      );
    return { text, isPrefix: pattern.includes("*"), namespace };
  });
}

/** The kernel's separator may be a dot or a slash; where the slash comes first, a dot belongs to a name. */
const dotted = (name: string): string => {
  const [first] = /[./]/.exec(name) ?? [];
  if (first !== "/") return name;
  return name.replace(/[./]/g, (each) => (each === "/" ? "." : "/"));
};

/** Refuses a pod that sets sysctls which reach beyond it. */
export function refuseSysctls(pod: Pod, allowed: readonly SysctlPattern[] = []): Refusal | undefined {
  const { hostNetwork, hostIPC, securityContext } = pod.spec;
  for (const { name: given } of securityContext?.sysctls ?? []) {
    const name = dotted(given);
    const namespace = allowedIn(name, allowed);
    const isShared = namespace === "net" ? hostNetwork : hostIPC;
    const why = !namespace
      ? `"${name}" not allowlisted`
      : isShared
        ? `"${name}" not allowed with host ${namespace} enabled`
        : undefined;
    if (why) return { reason: "SysctlForbidden", message: `forbidden sysctl: ${why}` };
  }
  return undefined;
}

function allowedIn(name: string, allowed: readonly SysctlPattern[]): Namespace | undefined {
  if (safe.has(name)) return namespaceOf(name);
  return allowed.find(({ text, isPrefix }) => (isPrefix ? name.startsWith(text) : name === text))?.namespace;
}
