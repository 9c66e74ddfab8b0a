import { clusterRoleBindings, clusterRoles, roleBindings, roles } from "#shared/api/resources.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "#shared/api/types/rbac-v1.generated.ts";
import type { ResourceDeclaration, TableColumn } from "../../registry/declaration.ts";
import { ageColumn, column, createdAtColumn, nameColumn, wideColumn } from "../columns.ts";

type Binding = RoleBinding | ClusterRoleBinding;

const subjects = ({ subjects: all = [] }: Binding, kind: string): string =>
  all
    .filter((subject) => subject.kind === kind)
    .map(({ name, namespace }) => (kind === "ServiceAccount" ? `${namespace ?? ""}/${name}` : name))
    .join(", ");

const bindingColumns: readonly TableColumn<Binding>[] = [
  nameColumn,
  column("Role", ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`),
  ageColumn,
  wideColumn("Users", (binding) => subjects(binding, "User")),
  wideColumn("Groups", (binding) => subjects(binding, "Group")),
  wideColumn("ServiceAccounts", (binding) => subjects(binding, "ServiceAccount")),
];

export const role: ResourceDeclaration<Role> = {
  ref: roles,
  columns: [nameColumn, createdAtColumn],
  strategy: { allowCreateOnUpdate: true },
};

export const clusterRole: ResourceDeclaration<ClusterRole> = {
  ref: clusterRoles,
  columns: [nameColumn, createdAtColumn],
  strategy: { allowCreateOnUpdate: true },
};

export const roleBinding: ResourceDeclaration<RoleBinding> = {
  ref: roleBindings,
  columns: bindingColumns,
  strategy: { allowCreateOnUpdate: true },
};

export const clusterRoleBinding: ResourceDeclaration<ClusterRoleBinding> = {
  ref: clusterRoleBindings,
  columns: bindingColumns,
  strategy: { allowCreateOnUpdate: true },
};
