import { basename, dirname, isAbsolute, join } from "node:path";
import { QuantityError, wholeValue } from "#shared/api/quantity.ts";
import { labelKeyProblems, labelValueProblems } from "#shared/api/selector/label-syntax.ts";
import type { Taint } from "#shared/api/types/core-v1.generated.ts";
import type { KubeletSettings } from "#shared/config/board-component-settings.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { AgentSettings } from "#shared/config/settings.ts";
import { type EnforcementSettings, enforcedParts, reservedGroups } from "./enforced-groups.ts";
import type { PodCgroupSettings } from "./kubelet/cgroups/pod-cgroups.ts";
import type { Reserved } from "./kubelet/node/node-status.ts";
import { milliOf, type ResourceList, wholeOf } from "./kubelet/pod-qos.ts";
import type { LogBounds } from "./runtime/runtime.ts";

/** Where the board's static pods are. */
export const staticPodsFolder = ({
  podManifestDir,
  dataDir,
}: Pick<AgentSettings, "podManifestDir" | "dataDir">): string => podManifestDir || join(dataDir, "static-pods");

/** The path in `unix:///path`, or the path itself. Throws ConfigError. */
export function socketPath(endpoint: string): string {
  const path = endpoint.startsWith("unix://") ? endpoint.slice("unix://".length) : endpoint;
  if (!path.startsWith("/"))
    throw new ConfigError(`container-runtime-endpoint: expected unix:///path/of/docker.sock, got ${endpoint}`);
  return path;
}

/** Labels from `KEY=VALUE` texts. Throws ConfigError. */
export function parseLabels(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf("=");
      if (equals <= 0) throw new ConfigError(`node-label: expected KEY=VALUE, got ${text}`);
      const [key, value] = [text.slice(0, equals), text.slice(equals + 1)];
      const [problem] = [...labelKeyProblems(key), ...labelValueProblems(value)];
      if (problem !== undefined) throw new ConfigError(`node-label: ${text}: ${problem}`);
      return [key, value];
    }),
  );
}

/** A taint from `KEY[=VALUE]:EFFECT`. Throws ConfigError. */
export function parseTaint(text: string): Taint {
  const [, key, value, effect] = /^([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(text) ?? [];
  if (key === undefined || effect === undefined)
    throw new ConfigError(`node-taint: expected KEY=VALUE:EFFECT, got ${text}`);
  return { key, ...(value ? { value } : {}), effect };
}

/** What a board keeps from pods, for Kubernetes and for the system together. Throws ConfigError. */
export function reservedOf(settings: Pick<KubeletSettings, "kubeReserved" | "systemReserved">): Reserved {
  const lists = [
    parseResources("kube-reserved", settings.kubeReserved),
    parseResources("system-reserved", settings.systemReserved),
  ];
  const sum = (amountIn: (list: ResourceList) => number): number =>
    lists.reduce((all, list) => all + amountIn(list), 0);
  return {
    cpu_m: sum((list) => milliOf(list, "cpu")),
    memory_bytes: sum((list) => wholeOf(list, "memory")),
    ephemeralStorage_bytes: sum((list) => wholeOf(list, "ephemeral-storage")),
  };
}

/** The same for a board of Bramble's own, whose memory has a setting too. Throws ConfigError. */
export function boardReserved(
  settings: Pick<AgentSettings, "kubeReserved" | "systemReserved" | "kubeReservedMemory">,
): Reserved {
  return reservedOf({ ...settings, kubeReserved: boardKubeReserved(settings) });
}

/** What --kube-reserved and --kube-reserved-memory say together. */
export function boardKubeReserved({
  kubeReserved,
  kubeReservedMemory,
}: Pick<AgentSettings, "kubeReserved" | "kubeReservedMemory">): readonly string[] {
  const saysMemory = kubeReserved.some((text) => text.startsWith("memory="));
  return saysMemory ? kubeReserved : [...kubeReserved, `memory=${kubeReservedMemory}`];
}

/** How pods are grouped; undefined when they are not. Throws ConfigError. */
export function podCgroupSettings(
  settings: EnforcementSettings & Pick<AgentSettings, "cgroupRoot" | "podMaxPids" | "kubeReserved" | "systemReserved">,
): PodCgroupSettings | undefined {
  const parts = enforcedParts(settings);
  if (!settings.cgroupsPerQos) return undefined;
  const reserved = {
    kube: parseResources("kube-reserved", settings.kubeReserved),
    system: parseResources("system-reserved", settings.systemReserved),
  };
  return {
    root: settings.cgroupRoot || "/",
    podPidsLimit: settings.podMaxPids,
    enforceNodeAllocatable: parts.has("pods"),
    reservedGroups: reservedGroups(settings, parts, reserved),
  };
}

/** Process numbers are taken and not counted: a Node offers none. */
const reservable = ["cpu", "memory", "ephemeral-storage", "pid"];

function parseResources(name: string, texts: readonly string[]): ResourceList {
  return Object.fromEntries(
    texts.map((text) => {
      const [, resource = "", quantity = ""] = /^([a-z-]+)=(\S+)$/.exec(text) ?? [];
      try {
        if (reservable.includes(resource) && wholeValue(quantity) >= 0) return [resource, quantity];
      } catch (error) {
        if (!(error instanceof QuantityError)) throw error;
      }
      throw new ConfigError(`${name}: expected RESOURCE=QUANTITY of ${reservable.join(", ")}, got ${text}`);
    }),
  );
}

/** What bounds a container's log. Throws ConfigError. */
export function logBoundsOf({
  containerLogMaxSize: text,
  containerLogMaxFiles: maxFiles,
}: Pick<AgentSettings, "containerLogMaxSize" | "containerLogMaxFiles">): LogBounds {
  try {
    const maxSize_bytes = wholeValue(text);
    if (maxSize_bytes !== 0) return { maxSize_bytes, maxFiles };
  } catch (error) {
    if (!(error instanceof QuantityError)) throw error;
  }
  throw new ConfigError(`container-log-max-size: expected a quantity such as 10Mi, got ${text}`);
}

/** How often logs are looked at. Throws ConfigError, in upstream's words. */
export function logLookOf({
  containerLogMonitorInterval: look_ms,
}: Pick<AgentSettings, "containerLogMonitorInterval">): number {
  if (look_ms >= 3_000) return look_ms;
  throw new ConfigError(
    "container-log-monitor-interval: containerLogMonitorInterval must be a positive time duration greater than or equal to 3s",
  );
}

/** The folder with `pods` and `containers` in it. Throws ConfigError. */
export function logFolderOf(podLogsDir: string): string {
  if (!isAbsolute(podLogsDir) || basename(podLogsDir) !== "pods")
    throw new ConfigError(`pod-logs-dir: expected a path that ends in /pods, got ${podLogsDir}`);
  return dirname(podLogsDir);
}
