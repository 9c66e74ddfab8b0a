/** Control groups of Kubernetes and of the system that are held to what is reserved for them. */
import { ConfigError } from "#shared/config/option.ts";
import type { AgentSettings } from "#shared/config/settings.ts";
import type { ReservedGroup } from "./kubelet/cgroups/pod-cgroups.ts";
import type { ResourceList } from "./kubelet/pod-qos.ts";
import { milliOf, wholeOf } from "./kubelet/pod-qos.ts";

export type EnforcementSettings = Pick<
  AgentSettings,
  "enforceNodeAllocatable" | "cgroupsPerQos" | "kubeReservedCgroup" | "systemReservedCgroup" | "reservedCpus"
>;

const owners = [
  { key: "system-reserved", what: "System", cgroup: "systemReservedCgroup" },
  { key: "kube-reserved", what: "Kube", cgroup: "kubeReservedCgroup" },
] as const;

const known = owners.flatMap(({ key }) => [key, `${key}-compressible`]);

/** Which parts of --enforce-node-allocatable are asked for. Throws ConfigError, in upstream's words. */
export function enforcedParts(settings: EnforcementSettings): ReadonlySet<string> {
  const given = settings.enforceNodeAllocatable.filter((part) => part !== "");
  const refuse = (why: string): never => {
    throw new ConfigError(`enforce-node-allocatable: ${why}`);
  };
  if (settings.reservedCpus !== "" && (settings.systemReservedCgroup !== "" || settings.kubeReservedCgroup !== ""))
    throw new ConfigError(
      "reserved-cpus: can't use reservedSystemCPUs (--reserved-cpus) with systemReservedCgroup (--system-reserved-cgroup) or kubeReservedCgroup (--kube-reserved-cgroup)",
    );
  const parts = new Set(given);
  if (parts.size < given.length) refuse(`duplicated enforcements in ${given.join(",")}`);
  if (parts.has("none")) {
    if (parts.size > 1) refuse('may not contain additional enforcements when "none" is specified');
    return new Set();
  }
  for (const part of parts)
    if (part !== "pods" && !known.includes(part))
      refuse(`option "${part}" specified. Valid options are ${["pods", ...known, "none"].join(", ")}`);
  for (const { key, cgroup } of owners) {
    const isAsked = parts.has(key) || parts.has(`${key}-compressible`);
    if (parts.has(key) && parts.has(`${key}-compressible`))
      refuse(`both "${key}" and "${key}-compressible" cannot be specified together`);
    if (isAsked && settings[cgroup] === "")
      refuse(`${cgroup} (--${key}-cgroup) must be specified when "${key}" or "${key}-compressible" included`);
  }
  if (!settings.cgroupsPerQos && [...parts].some((part) => part !== "pods"))
    refuse("cgroupsPerQOS (--cgroups-per-qos) must be set to true");
  return parts;
}

/** The groups with what they may take. */
export function reservedGroups(
  settings: EnforcementSettings,
  parts: ReadonlySet<string>,
  reserved: { readonly kube: ResourceList; readonly system: ResourceList },
): ReservedGroup[] {
  return owners.flatMap(({ key, what, cgroup }) => {
    const onlyTime = parts.has(`${key}-compressible`);
    if (!parts.has(key) && !onlyTime) return [];
    const list = key === "kube-reserved" ? reserved.kube : reserved.system;
    const memory_bytes = wholeOf(list, "memory");
    const pids = wholeOf(list, "pid");
    return [
      {
        what,
        group: settings[cgroup],
        cpu_m: milliOf(list, "cpu"),
        memory_bytes: onlyTime || memory_bytes === 0 ? undefined : memory_bytes,
        pids: onlyTime || pids === 0 ? undefined : pids,
      },
    ];
  });
}
