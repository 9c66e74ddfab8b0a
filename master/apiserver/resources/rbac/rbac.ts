import type { FieldError } from "#shared/api/errors.ts";
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from "#shared/api/resources.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "#shared/api/types/rbac-v1.generated.ts";
import type { ResourceDeclaration, Strategy, TableColumn } from "../../registry/declaration.ts";
import { ageColumn, column, createdAtColumn, nameColumn, wideColumn } from "../columns.ts";
import { isPathSegment } from "../validation/names.ts";
import {
  applyBindingDefaults,
  validateBindingUpdate,
  validateClusterRole,
  validateClusterRoleBinding,
  validateRole,
  validateRoleBinding,
} from "./validation.ts";

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

const bindingStrategy = <T extends Binding>(validate: (binding: T) => FieldError[]): Strategy<T> => ({
  judgesNameOnUpdate: true,
  allowCreateOnUpdate: true,
  validateName: isPathSegment,
  applyDefaults: applyBindingDefaults,
  validate,
  validateUpdate: (binding, old) => [...validate(binding), ...validateBindingUpdate(binding, old)],
});

export const role: ResourceDeclaration<Role> = {
  ref: roles,
  columns: [nameColumn, createdAtColumn],
  strategy: {
    judgesNameOnUpdate: true,
    allowCreateOnUpdate: true,
    validateName: isPathSegment,
    validate: validateRole,
    validateUpdate: validateRole,
  },
};

export const clusterRole: ResourceDeclaration<ClusterRole> = {
  ref: clusterRoles,
  columns: [nameColumn, createdAtColumn],
  strategy: {
    judgesNameOnUpdate: true,
    allowCreateOnUpdate: true,
    validateName: isPathSegment,
    validate: validateClusterRole,
    validateUpdate: validateClusterRole,
  },
};

export const roleBinding: ResourceDeclaration<RoleBinding> = {
  ref: roleBindings,
  columns: bindingColumns,
  strategy: bindingStrategy(validateRoleBinding),
};

export const clusterRoleBinding: ResourceDeclaration<ClusterRoleBinding> = {
  ref: clusterRoleBindings,
  columns: bindingColumns,
  strategy: bindingStrategy(validateClusterRoleBinding),
};
