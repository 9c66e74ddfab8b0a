import { existsSync } from "node:fs";
import type { MessageOf } from "#shared/grpc/message.ts";
import type { RuntimeHandler, RuntimeVersion } from "../runtime.ts";
import type * as wire from "./messages.ts";

/**
 * What runtimes tell beyond CRI when asked to be verbose: JSON under `info`, much alike at containerd and CRI-O. All of it may
 * be missing; what stands in then is said at each.
 */
type Info = Readonly<Record<string, string>>;

export interface Process {
  /** 0: none, or not told. */
  readonly pid: number;
  readonly hasTerminal: boolean;
}

export function processOf(info: Info | undefined): Process {
  const { pid, runtimeSpec } = parsed(info?.["info"]) as {
    pid?: unknown;
    runtimeSpec?: { process?: { terminal?: unknown } };
  };
  return { pid: typeof pid === "number" ? pid : 0, hasTerminal: runtimeSpec?.process?.terminal === true };
}

interface StatusConfig {
  readonly sandboxImage?: string;
  readonly containerd?: { readonly runtimes?: Readonly<Record<string, { readonly options?: unknown }>> };
}

export function parseVerboseStatus(status: wire.StatusResponse): {
  readonly pauseImage: string | undefined;
  readonly runtimes: readonly string[];
  readonly systemdCgroup: boolean;
} {
  const { sandboxImage, containerd } = parsed(status.info["config"]) as StatusConfig;
  const runtimes = containerd?.runtimes ?? {};
  const options = Object.values(runtimes).map((each) => each.options as { SystemdCgroup?: unknown } | undefined);
  return {
    pauseImage: sandboxImage,
    runtimes: Object.keys(runtimes),
    systemdCgroup: options.some((each) => each?.SystemdCgroup === true),
  };
}

export function versionOf(given: {
  readonly version: MessageOf<typeof wire.VersionResponse>;
  readonly status: wire.StatusResponse;
  /** What the runtime says by CRI; runtimes from 2024 on do. */
  readonly systemdCgroup: boolean | undefined;
  readonly folder: string | undefined;
}): RuntimeVersion {
  const { version, status, folder } = given;
  const verbose = parseVerboseStatus(status);
  return {
    name: version.runtimeName,
    version: version.runtimeVersion.replace(/^v/, ""),
    apiVersion: version.runtimeApiVersion,
    cgroupDriver: (given.systemdCgroup ?? verbose.systemdCgroup) ? "systemd" : "cgroupfs",
    cgroupVersion: existsSync("/sys/fs/cgroup/cgroup.controllers") ? 2 : 1,
    rootDirectory: folder ?? "",
    handlers: handlersOf(status, verbose.runtimes),
    supplementalGroupsPolicy: status.features?.supplementalGroupsPolicy ?? false,
  };
}

function handlersOf({ runtimeHandlers }: wire.StatusResponse, runtimes: readonly string[]): RuntimeHandler[] {
  if (runtimeHandlers.length > 0) {
    return runtimeHandlers.map(({ name, features }) => ({
      name,
      recursiveReadOnlyMounts: features?.recursiveReadOnlyMounts ?? false,
      // Pods say that they want one; nothing is mapped for them yet.
      userNamespaces: false,
    }));
  }
  return ["", ...runtimes].map((name) => ({ name, recursiveReadOnlyMounts: false, userNamespaces: false }));
}

function parsed(text: string | undefined): object {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    // Each runtime words this as it likes.
    return {};
  }
}
