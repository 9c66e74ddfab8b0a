/** What several rules about Services ask of one. */
import type { Service } from "#shared/api/types/core-v1.generated.ts";

export const isHeadless = ({ spec }: Readonly<Service>): boolean =>
  spec.clusterIPs?.length === 1 && spec.clusterIPs[0] === "None";
export const needsClusterIP = ({ spec }: Readonly<Service>): boolean => spec.type !== "ExternalName";
/** Of a type that has node ports at all. */
export const hasNodePorts = ({ spec }: Readonly<Service>): boolean =>
  spec.type === "NodePort" || spec.type === "LoadBalancer";
/** Whether missing node ports are filled in. */
export const wantsNodePorts = (service: Readonly<Service>): boolean =>
  hasNodePorts(service) && (service.spec.type === "NodePort" || service.spec.allocateLoadBalancerNodePorts !== false);
export const needsHealthCheck = ({ spec }: Readonly<Service>): boolean =>
  spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";
export const isExternallyAccessible = ({ spec }: Readonly<Service>): boolean =>
  spec.type === "LoadBalancer" || spec.type === "NodePort" || (spec.type === "ClusterIP" && !!spec.externalIPs?.length);

export const nodePortsOf = ({ spec }: Readonly<Service>): number[] =>
  (spec.ports ?? []).flatMap(({ nodePort }) => (nodePort ? [nodePort] : []));

const sameList = (a: readonly string[] = [], b: readonly string[] = []): boolean =>
  a.length === b.length && a.every((item, index) => item === b[index]);
export const sameClusterIPs = (a: Readonly<Service>, b: Readonly<Service>): boolean =>
  sameList(a.spec.clusterIPs, b.spec.clusterIPs);
export const sameFamilies = (a: Readonly<Service>, b: Readonly<Service>): boolean =>
  sameList(a.spec.ipFamilies, b.spec.ipFamilies);
