import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { ComponentPod, HostMount } from "#shared/board/component-pod.ts";
import type { AgentStart } from "#shared/board/start-agent.ts";
import type { Log } from "#shared/client/log.ts";
import { dnsAddress } from "#shared/config/networks.ts";
import type { AgentSettings } from "#shared/config/settings.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { apiServerName } from "#shared/pki/join-protocol.ts";
import { renderKubeconfig } from "#shared/pki/kubeconfig.ts";
import type { Part } from "#shared/process/parts.ts";
import type { ClusterAccess } from "../cluster-access.ts";
import { staticPodsFolder } from "../node-settings.ts";
import type { ContainerRuntime } from "../runtime/runtime.ts";
import { startComponentPods } from "./component-pods.ts";

const hostResolvFolder = "/etc/bramble-host-resolv";
const dnsHealthPort = 8181;
const proxyMetricsPort = 10_249;

/** Starts what keeps the components of this board as pods: its own, and those that the start names. */
export async function startBoardComponents(
  { settings, disabled, componentPods = [] }: AgentStart,
  { nodeName, masters }: Pick<ClusterAccess, "nodeName" | "masters">,
  { runtime, log }: { readonly runtime: ContainerRuntime; readonly log: Log },
): Promise<Part> {
  const kubeconfig = join(settings.dataDir, "agent", "components", "kubeconfig.yaml");
  const identity = join(settings.dataDir, "agent", "identity");
  const write = async (): Promise<void> => {
    const [server = "", ...furtherServers] = masters.plan.servers;
    const client = join(identity, "client.pem");
    const text = renderKubeconfig({
      server,
      furtherServers,
      serverName: apiServerName,
      caCertificatePem: { file: join(identity, "ca.crt") },
      credentials: { files: { certificate: client, key: client } },
      userName: nodeName,
    });
    if ((await readIfPresent(kubeconfig)) !== text) await writeSecureFile(kubeconfig, text);
  };
  await write();
  masters.onChange(() => {
    write().catch((error: unknown) => log.warn("components are not told of the masters", { error }));
  });
  return startComponentPods({
    runtime,
    folder: staticPodsFolder(settings),
    components: [...componentPods, ...boardComponents({ settings, disabled, nodeName, kubeconfig })],
    log: log.named("components"),
  });
}

export interface BoardComponents {
  readonly settings: AgentSettings;
  readonly disabled: AgentStart["disabled"];
  readonly nodeName: string;
  /** A file that follows the masters and the board's certificate. */
  readonly kubeconfig: string;
}

/** What each board runs for the whole cluster, as pods: the service proxy and DNS. Pure but for a look at resolv.conf. */
function boardComponents(board: BoardComponents): ComponentPod[] {
  const { disabled } = board;
  return [
    ...(disabled.includes("proxy") ? [] : [proxyPod(board)]),
    ...(disabled.includes("dns") ? [] : [dnsPod(board)]),
  ];
}

/** The board's identity, which its components use too. */
const identityMounts = ({ settings, kubeconfig }: BoardComponents, component: string): HostMount[] => [
  { path: join(settings.dataDir, "agent", "identity"), type: "Directory", isReadOnly: true },
  { path: dirname(kubeconfig), type: "Directory", isReadOnly: true },
  { path: checkpointOf(settings, component), type: "DirectoryOrCreate" },
];

const checkpointOf = ({ dataDir }: AgentSettings, component: string): string => join(dataDir, "agent", component);

function proxyPod(board: BoardComponents): ComponentPod {
  const { settings, disabled, nodeName, kubeconfig } = board;
  return {
    name: "kube-proxy",
    tier: "node",
    labels: { "k8s-app": "kube-proxy" },
    args: [
      "proxy",
      `--kubeconfig=${kubeconfig}`,
      `--hostname-override=${nodeName}`,
      `--cluster-cidr=${settings.clusterCidr}`,
      `--service-cidr=${settings.serviceCidr}`,
      `--cluster-dns=${dnsAddress(settings)}`,
      `--proxy-mode=${settings.proxyMode}`,
      `--checkpoint-dir=${checkpointOf(settings, "proxy")}`,
      `--log-level=${settings.logLevel}`,
      ...(disabled.includes("dns") ? ["--disable=dns"] : []),
    ],
    mounts: [
      ...identityMounts(board, "proxy"),
      { path: "/run/xtables.lock", type: "FileOrCreate" },
      { path: "/lib/modules", type: "DirectoryOrCreate", isReadOnly: true },
    ],
    // Whether Services are in place is at 10256; a proxy that waits for a master is not ended for it.
    probes: { port: proxyMetricsPort, scheme: "HTTP", liveness: "/healthz" },
    isPrivileged: true,
  };
}

function dnsPod(board: BoardComponents): ComponentPod {
  const { settings, kubeconfig } = board;
  // Its folder: the file is replaced when the board's network changes.
  const resolvConf = realpathSync("/etc/resolv.conf");
  return {
    name: "kube-dns",
    tier: "node",
    labels: { "k8s-app": "kube-dns" },
    args: [
      "dns",
      `--kubeconfig=${kubeconfig}`,
      `--cluster-dns=${dnsAddress(settings)}`,
      `--cluster-domain=${settings.clusterDomain}`,
      `--resolv-conf=${join(hostResolvFolder, basename(resolvConf))}`,
      `--health-port=${dnsHealthPort}`,
      `--checkpoint-dir=${checkpointOf(settings, "dns")}`,
      `--log-level=${settings.logLevel}`,
    ],
    mounts: [
      ...identityMounts(board, "dns"),
      { path: dirname(resolvConf), at: hostResolvFolder, type: "Directory", isReadOnly: true },
    ],
    probes: { port: dnsHealthPort, scheme: "HTTP", liveness: "/health", readiness: "/ready" },
    // For the address of the DNS Service, which is put on `lo`.
    capabilities: ["NET_ADMIN"],
  };
}
