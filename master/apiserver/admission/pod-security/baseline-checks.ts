import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { LifecycleHandler, Probe, SELinuxOptions } from "#shared/api/types/core-v1.generated.ts";
import { badContainers, type CheckPod } from "./check.ts";
import { containersOf, joinQuoted, named, pluralize, sorted } from "./wording.ts";

/** Checks of the level baseline: known ways from a pod to its board. */

const capabilitiesAllowed = [
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
];

export const appArmor: CheckPod = ({ metadata, spec }) => {
  const allowed = ["RuntimeDefault", "Localhost"];
  const values = new Set<string>();
  const setters: string[] = [];
  const podType = spec.securityContext?.appArmorProfile?.type;
  if (podType !== undefined && !allowed.includes(podType)) {
    setters.push("pod");
    values.add(podType);
  }
  const containers = containersOf(spec).filter(({ securityContext }) => {
    const type = securityContext?.appArmorProfile?.type;
    if (type === undefined || allowed.includes(type)) return false;
    values.add(type);
    return true;
  });
  if (containers.length > 0)
    setters.push(
      named(
        "container",
        containers.map(({ name }) => name),
      ),
    );
  const annotations = Object.entries(metadata.annotations ?? {})
    .filter(
      ([key, value]) =>
        key.startsWith("container.apparmor.security.beta.kubernetes.io/") &&
        value !== "" &&
        value !== "runtime/default" &&
        !value.startsWith("localhost/"),
    )
    .map(([key, value]) => `${key}=${goQuote(value)}`)
    .sort();
  const shown = [...sorted(values), ...annotations];
  if (annotations.length > 0) setters.push(pluralize("annotation", annotations.length));
  if (setters.length === 0) return undefined;
  return {
    reason: pluralize("forbidden AppArmor profile", shown.length),
    detail: `${setters.join(" and ")} must not set AppArmor profile type to ${joinQuoted(shown)}`,
  };
};

export const capabilitiesBaseline: CheckPod = (pod) => {
  const added = new Set<string>();
  const bad = badContainers(pod, ({ securityContext }) => {
    const wrong = (securityContext?.capabilities?.add ?? []).filter((one) => !capabilitiesAllowed.includes(one));
    for (const one of wrong) added.add(one);
    return wrong.length > 0;
  });
  if (bad.length === 0) return undefined;
  return {
    reason: "non-default capabilities",
    detail: `${named("container", bad)} must not include ${joinQuoted(sorted(added))} in securityContext.capabilities.add`,
  };
};

export const hostNamespaces: CheckPod = ({ spec }) => {
  const used = (["hostNetwork", "hostPID", "hostIPC"] as const).filter((field) => spec[field]);
  return used.length > 0
    ? { reason: "host namespaces", detail: used.map((field) => `${field}=true`).join(", ") }
    : undefined;
};

export const hostPathVolumes: CheckPod = ({ spec }) => {
  const bad = (spec.volumes ?? []).filter((volume) => volume.hostPath).map(({ name }) => name);
  return bad.length > 0 ? { reason: "hostPath volumes", detail: named("volume", bad) } : undefined;
};

export const hostPorts: CheckPod = (pod) => {
  const used = new Set<string>();
  const bad = badContainers(pod, ({ ports }) => {
    const found = (ports ?? []).filter((port) => port.hostPort);
    for (const { hostPort } of found) used.add(String(hostPort));
    return found.length > 0;
  });
  if (bad.length === 0) return undefined;
  const verb = bad.length === 1 ? "uses" : "use";
  return {
    reason: "hostPort",
    detail: `${named("container", bad)} ${verb} ${pluralize("hostPort", used.size)} ${sorted(used).join(", ")}`,
  };
};

export const probeHosts: CheckPod = (pod) => {
  const hosts = new Set<string>();
  const of = (handler: Probe | LifecycleHandler | undefined): string[] =>
    [handler?.httpGet?.host, handler?.tcpSocket?.host].flatMap((host) => host || []);
  const bad = badContainers(pod, ({ livenessProbe, readinessProbe, startupProbe, lifecycle }) => {
    const found = [livenessProbe, readinessProbe, startupProbe, lifecycle?.postStart, lifecycle?.preStop].flatMap(of);
    for (const host of found) hosts.add(host);
    return found.length > 0;
  });
  if (bad.length === 0) return undefined;
  const names = [...new Set(bad)].sort();
  const verb = names.length === 1 ? "uses" : "use";
  return {
    reason: "probe or lifecycle host",
    detail: `${named("container", names)} ${verb} ${pluralize("probe or lifecycle host", hosts.size)} ${joinQuoted(sorted(hosts))}`,
  };
};

export const privileged: CheckPod = (pod) => {
  const bad = badContainers(pod, ({ securityContext }) => securityContext?.privileged === true);
  return bad.length > 0
    ? { reason: "privileged", detail: `${named("container", bad)} must not set securityContext.privileged=true` }
    : undefined;
};

export const procMount: CheckPod = (pod) => {
  const types = new Set<string>();
  const bad = badContainers(pod, ({ securityContext }) => {
    const type = securityContext?.procMount;
    if (type === undefined || type === "Default") return false;
    types.add(type);
    return true;
  });
  if (bad.length === 0) return undefined;
  return {
    reason: "procMount",
    detail: `${named("container", bad)} must not set securityContext.procMount to ${joinQuoted(sorted(types))}`,
  };
};

export const seLinux =
  (allowed: readonly string[]): CheckPod =>
  (pod) => {
    const types = new Set<string>();
    let [setsUser, setsRole] = [false, false];
    const isBad = (options: SELinuxOptions | undefined): boolean => {
      if (!options) return false;
      const badType = Boolean(options.type) && !allowed.includes(options.type ?? "");
      if (badType) types.add(options.type ?? "");
      setsUser ||= Boolean(options.user);
      setsRole ||= Boolean(options.role);
      return badType || Boolean(options.user) || Boolean(options.role);
    };
    const setters = isBad(pod.spec.securityContext?.seLinuxOptions) ? ["pod"] : [];
    const bad = badContainers(pod, ({ securityContext }) => isBad(securityContext?.seLinuxOptions));
    if (bad.length > 0) setters.push(named("container", bad));
    if (setters.length === 0) return undefined;
    const data = [
      ...(types.size > 0 ? [`${pluralize("type", types.size)} ${joinQuoted(sorted(types))}`] : []),
      ...(setsUser ? ["user may not be set"] : []),
      ...(setsRole ? ["role may not be set"] : []),
    ];
    return {
      reason: "seLinuxOptions",
      detail: `${setters.join(" and ")} set forbidden securityContext.seLinuxOptions: ${data.join("; ")}`,
    };
  };

export const seccompAnnotations: CheckPod = ({ metadata, spec }) => {
  const keys = [
    "seccomp.security.alpha.kubernetes.io/pod",
    ...containersOf(spec).map(({ name }) => `container.seccomp.security.alpha.kubernetes.io/${name}`),
  ];
  const bad = keys.flatMap((key) => {
    const value = metadata.annotations?.[key];
    const isGood =
      value === undefined ||
      value === "runtime/default" ||
      value === "docker/default" ||
      value.startsWith("localhost/");
    return isGood ? [] : [`${key}=${goQuote(value)}`];
  });
  const shown = [...new Set(bad)].sort();
  return shown.length > 0
    ? { reason: "seccompProfile", detail: `forbidden ${pluralize("annotation", shown.length)} ${shown.join(", ")}` }
    : undefined;
};

export const seccomp =
  (mustBeSet: boolean): CheckPod =>
  (pod) => {
    const allowed = ["RuntimeDefault", "Localhost"];
    const values = new Set<string>();
    const podType = pod.spec.securityContext?.seccompProfile?.type;
    const setters: string[] = [];
    if (podType !== undefined && !allowed.includes(podType)) {
      setters.push("pod");
      values.add(podType);
    }
    const bad = badContainers(pod, ({ securityContext }) => {
      const type = securityContext?.seccompProfile?.type;
      if (type === undefined || allowed.includes(type)) return false;
      values.add(type);
      return true;
    });
    if (bad.length > 0) setters.push(named("container", bad));
    if (setters.length > 0)
      return {
        reason: "seccompProfile",
        detail: `${setters.join(" and ")} must not set securityContext.seccompProfile.type to ${joinQuoted(sorted(values))}`,
      };
    const silent =
      mustBeSet && podType === undefined
        ? badContainers(pod, ({ securityContext }) => securityContext?.seccompProfile === undefined)
        : [];
    return silent.length > 0
      ? {
          reason: "seccompProfile",
          detail: `pod or ${named("container", silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
        }
      : undefined;
  };

export const sysctlsOfOld = [
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.ping_group_range",
  "net.ipv4.ip_unprivileged_port_start",
];
export const sysctls27 = [...sysctlsOfOld, "net.ipv4.ip_local_reserved_ports"];
export const sysctls29 = [
  ...sysctls27,
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
];
export const sysctls32 = [...sysctls29, "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"];

export const sysctls =
  (allowed: readonly string[]): CheckPod =>
  ({ spec }) => {
    const bad = (spec.securityContext?.sysctls ?? []).map(({ name }) => name).filter((name) => !allowed.includes(name));
    return bad.length > 0 ? { reason: "forbidden sysctls", detail: bad.join(", ") } : undefined;
  };

export const windowsHostProcess: CheckPod = (pod) => {
  const setters = pod.spec.securityContext?.windowsOptions?.hostProcess ? ["pod"] : [];
  const bad = badContainers(pod, ({ securityContext }) => securityContext?.windowsOptions?.hostProcess === true);
  if (bad.length > 0) setters.push(named("container", bad));
  return setters.length > 0
    ? {
        reason: "hostProcess",
        detail: `${setters.join(" and ")} must not set securityContext.windowsOptions.hostProcess=true`,
      }
    : undefined;
};
