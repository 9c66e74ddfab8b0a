/**
 * Roles of Bramble's own, in the form of bootstrap-roles.ts.
 * `system:aggregated-metrics-reader` is metrics-server's. `bramble:join`: what a join token opens. `bramble:renew`: for
 * boards whose certificate has run out; what they send proves itself. `bramble:agent`: what the proxy, the DNS, the ingress and
 * the network policies on a board read and tell beyond a kubelet; boards have one identity for all of it. That one deletes its own Node
 * when it leaves is the node authorizer's: a role would give it to whoever is in the group, for every Node. `bramble:broker`: keeps nodes' Leases, and asks who may listen.
 */
export const brambleRoleTable = `
bramble:join
  post | /bramble/v1/join
bramble:control-plane
  get | /bramble/v1/control-plane
bramble:ca
  get | /cacerts
bramble:renew
  post | /bramble/v1/renew
bramble:dist
  get | /bramble/v1/dist/* /install.sh
bramble:certificate-controller
  approve | certificates.k8s.io | signers | kubernetes.io/kubelet-serving
  read | core | nodes
bramble:dashboard
  get head | /dashboard /dashboard/*
bramble:board-reader into:view into:edit into:admin
  read | bramble.dev | boardhistories boards
system:aggregated-metrics-reader into:view into:edit into:admin
  read | metrics.k8s.io | nodes pods
bramble:broker
  create get update | coordination.k8s.io | leases
  get | core | nodes
  create | authentication.k8s.io | tokenreviews
  create | authorization.k8s.io | subjectaccessreviews
bramble:ingress-controller
  read | core | nodes
  read | networking.k8s.io | ingressclasses ingresses
  update patch | networking.k8s.io | ingresses/status
bramble:agent
  read | core | endpoints namespaces nodes pods services
  read | discovery.k8s.io | endpointslices
  read | networking.k8s.io | ingressclasses ingresses networkpolicies servicecidrs
  create patch update | events.k8s.io | events
  get | /bramble/v1/tunnel
  post | /bramble/v1/join
`;

/** Rights of controllers that upstream does not have, in the same form. */
export const brambleControllerRoleTable = `
board-authorities-controller
  patch | core | nodes
helm-controller
  get list patch update watch | helm.cattle.io | helmcharts
  patch update | helm.cattle.io | helmcharts/status helmcharts/finalizers
  read | helm.cattle.io | helmchartconfigs
  create delete get list patch update watch | batch | jobs
  create get patch update | core | secrets serviceaccounts
  get | core | namespaces
  create delete get patch update | rbac.authorization.k8s.io | clusterrolebindings
  bind | rbac.authorization.k8s.io | clusterroles | cluster-admin
  create patch update | core events.k8s.io | events
local-path-provisioner
  create delete get list patch update watch | core | persistentvolumes
  get list patch update watch | core | persistentvolumeclaims
  update | core | persistentvolumeclaims/status
  read | core | nodes
  read | storage.k8s.io | storageclasses
  create patch update | core events.k8s.io | events
`;

/** Every group of a join token begins with system:bootstrappers. */
export const brambleBindingTable = `
bramble:join
  group:system:bootstrappers:bramble:boards
bramble:board-bootstrap role:system:node-bootstrapper
  group:system:bootstrappers:bramble:boards
bramble:board-approve role:system:certificates.k8s.io:certificatesigningrequests:nodeclient
  group:system:bootstrappers:bramble:boards
bramble:board-renew role:system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
  group:system:nodes
bramble:agent
  group:system:nodes
bramble:ingress-controller
  account:kube-system/ingress-controller
bramble:broker
  user:system:bramble:broker
bramble:control-plane
  group:system:bootstrappers:bramble:masters
bramble:ca
  group:system:authenticated
  group:system:unauthenticated
bramble:renew
  group:system:authenticated
  group:system:unauthenticated
bramble:dist
  group:system:authenticated
  group:system:unauthenticated
bramble:dashboard
  group:system:authenticated
  group:system:unauthenticated
bramble:certificate-controller
  account:kube-system/certificate-controller
bramble:apiserver-to-kubelet role:system:kubelet-api-admin
  user:system:kube-apiserver-kubelet-client
`;

/** The group that join tokens of boards carry (`auth-extra-groups` of the bootstrap Secret). */
export const boardBootstrapGroup = "system:bootstrappers:bramble:boards";

/** The group of tokens for further masters: whoever holds one gets every key of the cluster. */
export const masterBootstrapGroup = "system:bootstrappers:bramble:masters";

/** Beside boardBootstrapGroup, of a token for one board alone. */
export const oneBoardGroup = (nodeName: string): string => `${boardBootstrapGroup}:${nodeName}`;

/** The only board that somebody in these groups may join as; undefined: any. */
export function onlyBoardOf(groups: readonly string[]): string | undefined {
  const group = groups.find((name) => name.startsWith(`${boardBootstrapGroup}:`));
  return group?.slice(boardBootstrapGroup.length + 1);
}

/** Roles in a namespace: what boards need of settings that are ConfigMaps. */
export const brambleNamespaceRoleTable = `
kube-system/bramble:dns-settings
  read | core | configmaps | coredns-custom
`;

export const brambleNamespaceBindingTable = `
kube-system/bramble:dns-settings
  group:system:nodes
`;
