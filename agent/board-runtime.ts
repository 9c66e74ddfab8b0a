import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { AgentSettings } from "#shared/config/settings.ts";
import { linuxHost } from "./host/linux-host.ts";
import { type Isolation, PolicedNetwork } from "./network-policy/policed-network.ts";
import { logBoundsOf, logLookOf, socketPath } from "./node-settings.ts";
import type { ContainerRuntime } from "./runtime/runtime.ts";

/** What the runtime and its pods' network need to know. */
export type RuntimeSettings = Pick<
  AgentSettings,
  | "containerRuntimeEndpoint"
  | "runDir"
  | "cniConfDir"
  | "cniBinDir"
  | "privateRegistry"
  | "registryProxyPort"
  | "disableDefaultRegistryEndpoint"
  | "containerLogMaxSize"
  | "containerLogMaxFiles"
  | "runtimeRequestTimeout"
  | "containerLogMonitorInterval"
>;

export interface BoardRuntimeInput {
  readonly settings: RuntimeSettings;
  /** Where log collectors look; /var/log if absent. A runtime that speaks CRI writes there. */
  readonly logFolder?: string | undefined;
  /** Puts a pod's network policies in force before its first container starts; undefined: there are none. */
  readonly isolation?: Isolation | undefined;
  readonly warn: (message: string) => void;
}

export interface BoardRuntime {
  readonly runtime: ContainerRuntime;
  /** Why pods get no network; undefined when they do. */
  readonly networkTrouble: () => Promise<string | undefined>;
}

/** Does a runtime's socket speak CRI? Its name tells: containerd.sock, crio.sock, cri-dockerd.sock. */
export const speaksCri = (path: string): boolean => /containerd|cri/.test(basename(path));

/** The container runtime that a board's settings name. Loads only what that one needs. */
export async function boardRuntime(input: BoardRuntimeInput): Promise<BoardRuntime> {
  const path = socketPath(input.settings.containerRuntimeEndpoint);
  return speaksCri(path) ? await criRuntime(path, input) : await dockerRuntime(path, input);
}

async function dockerRuntime(path: string, { settings, isolation, warn }: BoardRuntimeInput): Promise<BoardRuntime> {
  const [{ DockerRuntime }, { RegistryMirrors }, { CniNetwork }] = await Promise.all([
    import("./runtime/docker.ts"),
    import("./runtime/registries/registry-mirrors.ts"),
    import("./network/cni-network.ts"),
  ]);
  const network = new CniNetwork({
    configDirectory: settings.cniConfDir,
    binDirectories: settings.cniBinDir,
    stateDirectory: join(settings.runDir, "cni"),
    warn,
  });
  const runtime = new DockerRuntime({
    socketPath: path,
    logBounds: logBoundsOf(settings),
    network: isolation ? new PolicedNetwork(network, isolation) : network,
    host: linuxHost(),
    resolvConfDirectory: join(settings.runDir, "resolv"),
    request_ms: settings.runtimeRequestTimeout,
    mirrors: new RegistryMirrors({
      file: settings.privateRegistry,
      port: settings.registryProxyPort,
      useRegistryItself: !settings.disableDefaultRegistryEndpoint,
      warn,
    }),
    warn,
  });
  return { runtime, networkTrouble: () => network.notReadyReason() };
}

async function criRuntime(
  path: string,
  { settings, logFolder = "/var/log", isolation, warn }: BoardRuntimeInput,
): Promise<BoardRuntime> {
  const { CriRuntime } = await import("./runtime/cri/cri-runtime.ts");
  if (existsSync(settings.privateRegistry)) {
    warn(`${settings.privateRegistry} is not used: a runtime that speaks CRI takes mirrors from its own configuration`);
  }
  const runtime = new CriRuntime({
    socketPath: path,
    host: linuxHost(),
    logBounds: logBoundsOf(settings),
    isolation,
    logRoot: join(logFolder, "pods"),
    call_ms: settings.runtimeRequestTimeout,
    logLook_ms: logLookOf(settings),
    warn,
  });
  return { runtime, networkTrouble: () => runtime.networkNotReadyReason() };
}
