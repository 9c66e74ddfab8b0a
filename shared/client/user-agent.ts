import { kubernetesVersion, version } from "#shared/version.ts";

/** As Go names it, `linux/amd64`. */
export const platform = `linux/${process.arch === "x64" ? "amd64" : process.arch}`;

/**
 * The User-Agent of a component, in the form of client-go's. What stands before the first slash becomes the manager of the
 * fields that it writes, which people name where a tool is to leave such fields alone, so it is upstream's name.
 * @param part who in the component asks, for instance a controller's account
 */
export function componentAgent(component: string, part?: string): string {
  const agent = `${component}/${kubernetesVersion} (${platform}) bramble/${version}`;
  return part === undefined ? agent : `${agent}/${part}`;
}

/** Of whom a part of the control plane acts as: controllers have accounts of their own, and are one component. */
export function agentOfUser(user: string): string {
  if (user.startsWith("system:serviceaccount:kube-system:")) return componentAgent("kube-controller-manager", user);
  if (user.startsWith("system:node:")) return componentAgent("kubelet");
  const component = user.replace(/^system:/, "");
  return componentAgent(component === "apiserver" ? "kube-apiserver" : component);
}
