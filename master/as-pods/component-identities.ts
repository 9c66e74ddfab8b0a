import { controllerManagerIdentity, proxyIdentity, schedulerIdentity } from "../pki/credentials.ts";

/** Who gets a kubeconfig, by its name below the data folder: components in processes of their own. */
export const componentIdentities = {
  scheduler: schedulerIdentity,
  "controller-manager": controllerManagerIdentity,
  proxy: proxyIdentity,
} as const;
