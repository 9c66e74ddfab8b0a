import { expect, test } from "bun:test";
import { managerOfRequest } from "#shared/api/managed-fields/update.ts";
import { agentOfUser, componentAgent } from "./user-agent.ts";

test("a component says its name first, then who in it asks", () => {
  expect(componentAgent("kubelet")).toMatch(/^kubelet\/v1\.35\.\d+ \(linux\/(amd64|arm64)\) bramble\/\S+$/);
  expect(componentAgent("kube-scheduler", "leader-election")).toEndWith("/leader-election");
});

// What people write into the settings of Argo CD and the like: managedFieldsManagers: [kube-controller-manager].
test.each([
  ["system:serviceaccount:kube-system:deployment-controller", "kube-controller-manager"],
  ["system:kube-controller-manager", "kube-controller-manager"],
  ["system:kube-scheduler", "kube-scheduler"],
  ["system:node:pi-1", "kubelet"],
  ["system:apiserver", "kube-apiserver"],
  ["system:bramble:broker", "bramble:broker"],
])("what %s writes is managed by %s", (user, manager) => {
  expect(managerOfRequest(undefined, agentOfUser(user))).toBe(manager);
});
