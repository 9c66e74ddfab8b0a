import { createHash } from "node:crypto";
import { dirname, isAbsolute, join } from "node:path";
import { stringify } from "yaml";
import type { ComponentPod, HostMount } from "#shared/board/component-pod.ts";
import type { Option } from "#shared/config/option.ts";
import { type MasterSettings, masterOptions } from "#shared/config/settings.ts";
import { healthPort as etcdHealthPort } from "../etcd/files.ts";
import { trustedFile } from "../pki/master-pki.ts";
import { isOwnEtcd } from "../store/store-choice.ts";

const schedulerPort = 10_259;
const controllerManagerPort = 10_257;

/** Files that are written, or that only this board's agent reads. */
const othersFiles: ReadonlySet<string> = new Set([
  "writeKubeconfig",
  "auditLogPath",
  "privateRegistry",
  "imageCredentialProviderConfig",
]);

/** What the API server or the scheduler reads besides what lies in the data folder. */
function filesRead(settings: MasterSettings): string[] {
  const options: Readonly<Record<string, Option<unknown>>> = masterOptions;
  const named = Object.entries(options)
    .filter(([key, { placeholder }]) => placeholder === "FILE" && !othersFiles.has(key))
    .map(([key]) => String(settings[key as keyof MasterSettings]));
  // CERT,KEY:NAME,…
  const pairs = settings.tlsSniCertKey.flatMap((pair) => pair.split(":")[0]?.split(",") ?? []);
  return [...named, ...pairs].filter(isAbsolute);
}

/** The settings that differ from what is usual, as a file that every component's --config takes. Pure. */
export function renderSettings(settings: MasterSettings): string {
  const options: Readonly<Record<string, Option<unknown>>> = masterOptions;
  const given = Object.entries(options).flatMap(([key, { name, fallback, format }]) => {
    const value = settings[key as keyof MasterSettings];
    return JSON.stringify(value) === JSON.stringify(fallback) ? [] : [[name, format ? format(value) : value] as const];
  });
  return stringify(Object.fromEntries(given));
}

/**
 * The control plane of a master as static pods. Pure.
 * @param config where `renderSettings` lies; its content makes new pods when it changes.
 * @param keyServices folders in which the sockets of key services are: these come and go.
 */
export function controlPlanePods(
  settings: MasterSettings,
  config: { readonly path: string; readonly content: string },
  keyServices: readonly string[] = [],
): ComponentPod[] {
  const { dataDir } = settings;
  const digest = createHash("sha256").update(config.content).digest("hex");
  const configFolder = dirname(settings.writeKubeconfig);
  // What lies in a folder that is mounted anyway is seen with its changes; a single file is not once it is replaced.
  const isSeen = (path: string): boolean => [dataDir, configFolder].some((folder) => path.startsWith(`${folder}/`));
  const fileMounts = filesRead(settings).map((path): HostMount => ({ path, type: "File", isReadOnly: true }));
  const common = { tier: "control-plane", annotations: { "bramble.dev/config-hash": digest } } as const;
  const data: HostMount = { path: dataDir, type: "Directory" };
  const readData: HostMount = { ...data, isReadOnly: true };
  const kubeconfig = (name: string): string => join(dataDir, "kubeconfigs", `${name}.yaml`);
  const pki = (name: string): string => join(dataDir, "pki", name);
  const elected = (name: string, port: number): string[] => [
    `--config=${config.path}`,
    `--kubeconfig=${kubeconfig(name)}`,
    `--authentication-kubeconfig=${kubeconfig(name)}`,
    `--authorization-kubeconfig=${kubeconfig(name)}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    "--leader-elect=true",
  ];
  const etcd: ComponentPod = {
    ...common,
    name: "etcd",
    args: ["etcd", `--config=${config.path}`],
    mounts: [data, { path: settings.runDir, type: "DirectoryOrCreate" }],
    probes: { port: etcdHealthPort, scheme: "HTTP", liveness: "/health" },
    cpu: "50m",
  };
  return [
    ...(isOwnEtcd(settings.store) ? [etcd] : []),
    {
      ...common,
      name: "kube-apiserver",
      args: ["apiserver", `--config=${config.path}`],
      mounts: [
        data,
        { path: settings.runDir, type: "DirectoryOrCreate" },
        { path: configFolder, type: "DirectoryOrCreate" },
        { path: settings.dist, type: "DirectoryOrCreate", isReadOnly: true },
        ...(settings.backupDir === "" ? [] : [{ path: settings.backupDir, type: "DirectoryOrCreate" } as const]),
        ...(isAbsolute(settings.auditLogPath) && !isSeen(settings.auditLogPath)
          ? [{ path: dirname(settings.auditLogPath), type: "DirectoryOrCreate" } as const]
          : []),
        ...fileMounts.filter(({ path }) => !isSeen(path)),
        ...keyServices.map((path): HostMount => ({ path, type: "DirectoryOrCreate", isReadOnly: true })),
      ],
      probes: { port: settings.httpsPort, scheme: "HTTPS", liveness: "/livez", readiness: "/readyz" },
      cpu: "100m",
    },
    {
      ...common,
      name: "kube-controller-manager",
      args: [
        "controller-manager",
        ...elected("controller-manager", controllerManagerPort),
        `--root-ca-file=${pki(trustedFile)}`,
        `--cluster-signing-cert-file=${pki("ca.crt")}`,
        `--cluster-signing-key-file=${pki("ca.key")}`,
        `--service-account-private-key-file=${pki("service-account.key")}`,
      ],
      mounts: [readData],
      probes: { port: controllerManagerPort, scheme: "HTTPS", liveness: "/healthz" },
      cpu: "50m",
    },
    {
      ...common,
      name: "kube-scheduler",
      args: ["scheduler", ...elected("scheduler", schedulerPort)],
      mounts: [readData, ...fileMounts.filter(({ path }) => path === settings.schedulerConfig)],
      probes: { port: schedulerPort, scheme: "HTTPS", liveness: "/livez", readiness: "/readyz" },
      cpu: "25m",
    },
  ];
}
