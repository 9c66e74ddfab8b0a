import type { Container, Pod, Probe, Volume } from "#shared/api/types/core-v1.generated.ts";

/** Below a master's data folder, while its components are pods. */
export const asPodsFolder = "as-pods";

/** A path of the board in a component's container; at the same path there unless said otherwise. */
export interface HostMount {
  readonly path: string;
  readonly at?: string | undefined;
  readonly type: "Directory" | "DirectoryOrCreate" | "File" | "FileOrCreate";
  readonly isReadOnly?: boolean | undefined;
}

export interface ComponentProbes {
  readonly port: number;
  readonly scheme: "HTTP" | "HTTPS";
  readonly liveness: string;
  /** None when absent. */
  readonly readiness?: string | undefined;
}

/** A component of the cluster as a static pod. */
export interface ComponentPod {
  readonly name: string;
  readonly tier: "control-plane" | "node";
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** Arguments of the program. */
  readonly args: readonly string[];
  readonly mounts: readonly HostMount[];
  readonly probes?: ComponentProbes | undefined;
  readonly cpu?: string | undefined;
  /** It changes the kernel's settings. */
  readonly isPrivileged?: boolean | undefined;
  /** Of what a container may not by itself, such as NET_ADMIN. */
  readonly capabilities?: readonly string[] | undefined;
}

/** The manifest, in the form that kubeadm gives them. Pure. */
export function renderComponentPod(component: ComponentPod, image: string, program: string): Pod {
  const { name, tier, labels, annotations, args, mounts, probes, cpu, isPrivileged, capabilities } = component;
  const volumes = mounts.map(
    (mount, index): Volume => ({
      name: volumeName(mount, index),
      hostPath: { path: mount.path, type: mount.type },
    }),
  );
  const container: Container = {
    name,
    image,
    // It is made on this board, and no registry has it.
    imagePullPolicy: "Never",
    command: [program, ...args],
    ...(cpu ? { resources: { requests: { cpu } } } : {}),
    ...(isPrivileged ? { securityContext: { privileged: true } } : {}),
    ...(capabilities ? { securityContext: { capabilities: { add: [...capabilities] } } } : {}),
    ...(probes ? probesOf(probes) : {}),
    volumeMounts: mounts.map((mount, index) => ({
      name: volumeName(mount, index),
      mountPath: mount.at ?? mount.path,
      ...(mount.isReadOnly ? { readOnly: true } : {}),
    })),
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "kube-system",
      labels: { component: name, tier, ...labels },
      ...(annotations ? { annotations: { ...annotations } } : {}),
    },
    spec: {
      hostNetwork: true,
      dnsPolicy: "Default",
      enableServiceLinks: false,
      priorityClassName: "system-node-critical",
      priority: 2_000_001_000,
      ...(isPrivileged ? {} : { securityContext: { seccompProfile: { type: "RuntimeDefault" } } }),
      containers: [container],
      volumes,
    },
  };
}

const volumeName = ({ path }: HostMount, index: number): string =>
  `${index}${path.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`.slice(0, 63).replace(/-$/, "");

/** As kubeadm's: a start may take four minutes; then two minutes and a half without an answer end the container. */
function probesOf({ port, scheme, liveness, readiness }: ComponentProbes): Partial<Container> {
  const get = (path: string): Probe => ({ httpGet: { host: "127.0.0.1", path, port, scheme } });
  const patient = { timeoutSeconds: 15, periodSeconds: 10 };
  return {
    startupProbe: { ...get(liveness), ...patient, initialDelaySeconds: 1, periodSeconds: 2, failureThreshold: 120 },
    livenessProbe: { ...get(liveness), ...patient, failureThreshold: 8 },
    ...(readiness ? { readinessProbe: { ...get(readiness), ...patient, failureThreshold: 3 } } : {}),
  };
}
