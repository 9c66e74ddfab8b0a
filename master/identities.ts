import type { User } from "./apiserver/request.ts";

/** Who the master's own parts are to the API server. What each may do stands in the bootstrap policy. */
const component = (name: string): User => ({ name, groups: ["system:authenticated"] });

export const schedulerUser = component("system:kube-scheduler");
export const controllerManagerUser = component("system:kube-controller-manager");
export const brokerUser = component("system:bramble:broker");
/** The API server itself, for what must work whatever the policy says: the policy's own objects, for one. */
export const apiServerUser: User = { name: "system:apiserver", groups: ["system:masters", "system:authenticated"] };

/** A board, where the master acts for it. */
export const nodeUser = (nodeName: string): User => ({
  name: `system:node:${nodeName}`,
  groups: ["system:nodes", "system:authenticated"],
});
