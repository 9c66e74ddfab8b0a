import type Docker from "dockerode";
import { attemptOf, label, parseLabels } from "./docker-names.ts";
import type { ContainerStatus, SandboxStatus } from "./runtime.ts";

/** @param details not needed where the list tells all. @param ips undefined: it has no network of its own yet. */
export function sandboxStatus(
  listed: Docker.ContainerInfo,
  details: Docker.ContainerInspectInfo | undefined,
  ips: readonly string[] | undefined,
): SandboxStatus {
  const running = listed.State === "running";
  // Podman's list has no HostConfig.
  const network = (listed.HostConfig as typeof listed.HostConfig | undefined)?.NetworkMode;
  const hostNetwork = (network ?? details?.HostConfig.NetworkMode) === "host";
  return {
    id: listed.Id,
    attempt: attemptOf(listed.Names),
    // Running without an address: the agent died between start and CNI. Only a new sandbox helps.
    state: running && (hostNetwork || ips !== undefined) ? "ready" : "not-ready",
    createdAt_ms: details === undefined ? listed.Created * 1000 : Date.parse(details.Created),
    ips: hostNetwork ? [] : (ips ?? []),
    pid: running ? (details?.State.Pid ?? 0) : 0,
    ...parseLabels(listed.Labels),
  };
}

/** `details` may be missing for a container that vanished meanwhile: what the list said must do. */
export function containerStatus(
  listed: Docker.ContainerInfo,
  details: Docker.ContainerInspectInfo | undefined,
  imageId: string,
): ContainerStatus {
  const state = details?.State;
  const current = stateOf(state?.Status ?? listed.State);
  const error = state?.Error;
  const startedAt_ms = parseTime(state?.StartedAt);
  return {
    id: listed.Id,
    sandboxId: listed.Labels[label.sandboxId] ?? "",
    name: listed.Labels[label.containerName] ?? "",
    attempt: attemptOf(listed.Names),
    state: current,
    createdAt_ms: details === undefined ? listed.Created * 1000 : Date.parse(details.Created),
    startedAt_ms,
    finishedAt_ms: current === "exited" ? finishTime(state?.FinishedAt, startedAt_ms) : undefined,
    exitCode: current === "exited" || error ? state?.ExitCode : undefined,
    signal: undefined,
    oomKilled: state?.OOMKilled ?? false,
    error: error === "" ? undefined : error,
    image: details?.Config.Image ?? listed.Image,
    imageId,
    pid: state?.Pid ?? 0,
    logPath: details?.LogPath === "" ? undefined : details?.LogPath,
    ...parseLabels(listed.Labels),
  };
}

/** Docker's words, and Podman's for what is on its way: stopping still runs, stopped has ended and is not cleaned up yet. */
function stateOf(status: string): ContainerStatus["state"] {
  switch (status) {
    case "created":
    case "initialized":
      return "created";
    case "running":
    case "paused":
    case "restarting":
    case "stopping":
      return "running";
    case "exited":
    case "stopped":
    case "dead":
      return "exited";
    default:
      return "unknown";
  }
}

/** Docker notes a start a little late: a process that ends at once would have ended before. */
function finishTime(text: string | undefined, startedAt_ms: number | undefined): number | undefined {
  const finishedAt_ms = parseTime(text);
  return finishedAt_ms === undefined ? undefined : Math.max(finishedAt_ms, startedAt_ms ?? finishedAt_ms);
}

/** Docker says year 1 for "never". */
function parseTime(text: string | undefined): number | undefined {
  const time_ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(time_ms) || time_ms <= 0 ? undefined : time_ms;
}
