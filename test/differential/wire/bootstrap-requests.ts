/** What a server has written before anybody asks: the objects that upstream's has too, each with all that it holds. */
import { bootstrapPolicy } from "../../../master/apiserver/authz/bootstrap-policy.ts";
import { bootstrapConfiguration } from "../../../master/flow-control/bootstrap-configuration.ts";
import type { WireGroup, WireRequest } from "./request.ts";
import { heldKinds } from "./world.ts";

interface Named {
  readonly metadata: { readonly name?: string | undefined; readonly namespace?: string | undefined };
}

/** Bramble's own, of boards and of what it serves beside upstream. */
const isOwn = ({ metadata: { name = "" } }: Named): boolean =>
  /bramble|metrics|:(board-authorities|helm|local-path-provisioner)/.test(name);

const ask = (path: string): WireRequest => ({ name: `bootstrap ${path}`, method: "GET", path });

const those = (base: string, plural: string, objects: readonly Named[]): WireRequest[] =>
  objects
    .filter((object) => !isOwn(object))
    .map(({ metadata: { namespace, name } }) =>
      ask(`${base}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${plural}/${name}`),
    );

const rbac = "/apis/rbac.authorization.k8s.io/v1";
const flowControl = "/apis/flowcontrol.apiserver.k8s.io/v1";
const policy = bootstrapPolicy();

const single = [
  ...["default", "kube-system", "kube-public", "kube-node-lease"].map((name) => `/api/v1/namespaces/${name}`),
  "/api/v1/namespaces/default/services/kubernetes",
  "/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking",
  "/api/v1/namespaces/kube-public/configmaps",
  "/api/v1/namespaces/kube-system/secrets",
  "/api/v1/namespaces/kube-system/services",
  "/apis/networking.k8s.io/v1/servicecidrs/kubernetes",
  ...["system-cluster-critical", "system-node-critical"].map(
    (name) => `/apis/scheduling.k8s.io/v1/priorityclasses/${name}`,
  ),
];

/** Of each group version that is served. */
const services = [...new Set(heldKinds.map(({ kind }) => kind))].map(
  ({ group, version }) => `/apis/apiregistration.k8s.io/v1/apiservices/${version}.${group}`,
);

export const bootstrapGroups: readonly WireGroup[] = [
  {
    name: "what is there at the start",
    requests: [
      ...those(rbac, "clusterroles", policy.clusterRoles),
      ...those(rbac, "clusterrolebindings", policy.clusterRoleBindings),
      ...those(rbac, "roles", policy.roles),
      ...those(rbac, "rolebindings", policy.roleBindings),
      ...those(flowControl, "flowschemas", bootstrapConfiguration.flowSchemas),
      ...those(flowControl, "prioritylevelconfigurations", bootstrapConfiguration.priorityLevels),
      ...single.map(ask),
      ...[...new Set(services)].map(ask),
    ],
  },
];
