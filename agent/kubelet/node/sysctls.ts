import type { Pod } from "#shared/api/types/core-v1.generated.ts";
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

/** Refuses a pod that sets sysctls which reach beyond it. */
export function refuseSysctls(pod: Pod): Refusal | undefined {
  for (const { name } of pod.spec.securityContext?.sysctls ?? []) {
    const dotted = name.replaceAll("/", ".");
    const shared = dotted.startsWith("net.") ? pod.spec.hostNetwork : pod.spec.hostIPC;
    const why = !safe.has(dotted)
      ? `"${dotted}" not allowlisted`
      : shared
        ? `"${dotted}" not allowed with host ${dotted.startsWith("net.") ? "net" : "ipc"} enabled`
        : undefined;
    if (why) return { reason: "SysctlForbidden", message: `forbidden sysctl: ${why}` };
  }
  return undefined;
}
