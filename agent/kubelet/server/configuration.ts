import type { Kubelet } from "../kubelet.ts";
import { reservedResources } from "../node/node-status.ts";

/** What /configz shows: the fields of KubeletConfiguration (kubelet.config.k8s.io/v1beta1) that say how this kubelet runs. */
export function configurationOf({ options }: Kubelet): Readonly<Record<string, unknown>> {
  const {
    staticPodsFolder,
    kubeletPort,
    clusterDomain,
    clusterDns,
    maxPods,
    nodeTaints,
    resolvConf,
    shutdown = [],
    cgroups,
  } = options;
  return {
    enableServer: true,
    ...(staticPodsFolder ? { staticPodPath: staticPodsFolder } : {}),
    port: kubeletPort,
    authentication: { webhook: { enabled: true }, anonymous: { enabled: false } },
    authorization: { mode: "Webhook" },
    clusterDomain,
    clusterDNS: clusterDns,
    maxPods,
    resolvConf: resolvConf ?? "/etc/resolv.conf",
    ...(options.reserved ? { kubeReserved: reservedResources(options.reserved) } : {}),
    ...(nodeTaints?.length ? { registerWithTaints: nodeTaints } : {}),
    ...(shutdown.length > 0
      ? {
          shutdownGracePeriodByPodPriority: shutdown.map(({ priority, grace_s }) => ({
            priority,
            shutdownGracePeriodSeconds: grace_s,
          })),
        }
      : {}),
    cgroupsPerQOS: cgroups !== undefined,
    ...(cgroups
      ? {
          cgroupRoot: cgroups.root,
          podPidsLimit: cgroups.podPidsLimit,
          enforceNodeAllocatable: cgroups.enforceNodeAllocatable ? ["pods"] : ["none"],
        }
      : { enforceNodeAllocatable: ["none"] }),
    serializeImagePulls: false,
  };
}
