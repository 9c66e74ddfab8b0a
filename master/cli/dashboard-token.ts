import { isAlreadyExists, isNotFound } from "#shared/api/errors.ts";
import { clusterRoleBindings, clusterRoles, serviceAccounts } from "#shared/api/resources.ts";
import { adminAccess, UserError } from "./admin-client.ts";

export interface DashboardTokenOptions {
  readonly kubeconfig: string;
  readonly role: string;
  /** Seconds. */
  readonly ttl: number;
}

const namespace = "kube-system";

/** `bramble token dashboard`: a ServiceAccount for each role, made when it is first asked for, and a token for it. Throws
 *  UserError where there is no such ClusterRole: whoever had the token would see nothing. */
export async function createDashboardToken({ kubeconfig, role, ttl }: DashboardTokenOptions): Promise<void> {
  const { client, server } = adminAccess(kubeconfig);
  await client.get(clusterRoles, { name: role }).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
    throw new UserError(
      `--role: there is no ClusterRole ${role}; cluster-admin, admin, edit and view are in every cluster`,
    );
  });
  const name = `dashboard-${role.replace(/[^a-z0-9-]+/g, "-")}`;
  const present = (error: unknown): void => {
    if (!isAlreadyExists(error)) throw error;
  };
  await client
    .create(serviceAccounts, { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } })
    .catch(present);
  await client
    .create(clusterRoleBindings, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: `bramble:${name}` },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    })
    .catch(present);
  const answer = (await client.raw({
    method: "POST",
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: ttl } },
  })) as { status?: { token?: string } };
  // The token alone on stdout, so that it can be piped.
  console.error(`sign in at ${server}/dashboard/ with:`);
  console.log(answer.status?.token ?? "");
}
