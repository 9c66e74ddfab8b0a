import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  Subject,
} from "#shared/api/types/rbac-v1.generated.ts";
import {
  clusterRoleBindingTable,
  clusterRoleTable,
  controllerRoleTable,
  namespaceRoleBindingTable,
  namespaceRoleTable,
} from "./bootstrap-roles.ts";
import {
  brambleBindingTable,
  brambleControllerRoleTable,
  brambleNamespaceBindingTable,
  brambleNamespaceRoleTable,
  brambleRoleTable,
} from "./bramble-roles.ts";

/** What every cluster has from its first start on. */
export interface BootstrapPolicy {
  readonly clusterRoles: readonly ClusterRole[];
  readonly clusterRoleBindings: readonly ClusterRoleBinding[];
  readonly roles: readonly Role[];
  readonly roleBindings: readonly RoleBinding[];
}

const rbacGroup = "rbac.authorization.k8s.io";
const apiVersion = "rbac.authorization.k8s.io/v1" as const;

const verbSets: Readonly<Record<string, readonly string[]>> = {
  read: ["get", "list", "watch"],
  write: ["create", "delete", "deletecollection", "patch", "update"],
  readwrite: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
};

/** Reads the tables into objects. Made on each call: it is needed once, at start. */
export function bootstrapPolicy(): BootstrapPolicy {
  const controllers = [...parseSections(controllerRoleTable), ...parseSections(brambleControllerRoleTable)];
  return {
    clusterRoles: [
      ...parseSections(clusterRoleTable).map(clusterRoleOf),
      ...parseSections(brambleRoleTable).map(clusterRoleOf),
      ...controllers.map((section) => clusterRoleOf({ ...section, name: `system:controller:${section.name}` })),
    ],
    clusterRoleBindings: [
      ...parseSections(clusterRoleBindingTable).map(clusterRoleBindingOf),
      ...parseSections(brambleBindingTable).map(clusterRoleBindingOf),
      ...controllers.map(({ name }) =>
        clusterRoleBindingOf({
          name: `system:controller:${name}`,
          words: [],
          lines: [`account:kube-system/${name}`],
        }),
      ),
    ],
    roles: [...parseSections(namespaceRoleTable), ...parseSections(brambleNamespaceRoleTable)].map(roleOf),
    roleBindings: [...parseSections(namespaceRoleBindingTable), ...parseSections(brambleNamespaceBindingTable)].map(
      roleBindingOf,
    ),
  };
}

/** The rules of one bootstrap ClusterRole. Throws when there is none of that name. */
export function bootstrapRules(name: string): PolicyRule[] {
  const role = parseSections(clusterRoleTable).find((section) => section.name === name);
  if (!role) throw new Error(`no bootstrap role ${name}`);
  return role.lines.map(ruleOf);
}

interface Section {
  readonly name: string;
  /** Words after the name in the heading. */
  readonly words: readonly string[];
  readonly lines: readonly string[];
}

function parseSections(table: string): Section[] {
  const sections: { name: string; words: string[]; lines: string[] }[] = [];
  for (const line of table.split("\n")) {
    if (line.trim() === "") continue;
    if (line.startsWith(" ")) sections.at(-1)?.lines.push(line.trim());
    else {
      const [name = "", ...words] = line.split(" ");
      sections.push({ name, words, lines: [] });
    }
  }
  return sections;
}

function ruleOf(line: string): PolicyRule {
  const [verbs = [], where = [], resources, names] = line.split(" | ").map((part) => part.split(" "));
  const expanded = verbs.flatMap((verb) => verbSets[verb] ?? verb);
  if (!resources) return { verbs: expanded, nonResourceURLs: where };
  return {
    apiGroups: where.map((group) => (group === "core" ? "" : group)),
    ...(names ? { resourceNames: names } : {}),
    resources,
    verbs: expanded,
  };
}

function metadataOf(name: string, labels: Readonly<Record<string, string>> = {}) {
  const slash = name.indexOf("/");
  return {
    annotations: { "rbac.authorization.kubernetes.io/autoupdate": "true" },
    labels: { "kubernetes.io/bootstrapping": "rbac-defaults", ...labels },
    ...(slash < 0 ? { name } : { namespace: name.slice(0, slash), name: name.slice(slash + 1) }),
  };
}

function clusterRoleOf({ name, words, lines }: Section): ClusterRole {
  const into = words.filter((word) => word.startsWith("into:")).map((word) => word.slice("into:".length));
  const collects = wordAfter(words, "collects:");
  return {
    apiVersion,
    kind: "ClusterRole",
    metadata: metadataOf(name, Object.assign({}, ...into.map(aggregateLabel))),
    ...(collects === undefined
      ? { rules: lines.map(ruleOf) }
      : { aggregationRule: { clusterRoleSelectors: [{ matchLabels: aggregateLabel(collects) }] } }),
  };
}

function roleOf({ name, lines }: Section): Role {
  return { apiVersion, kind: "Role", metadata: metadataOf(name), rules: lines.map(ruleOf) };
}

function clusterRoleBindingOf({ name, words, lines }: Section): ClusterRoleBinding {
  return {
    apiVersion,
    kind: "ClusterRoleBinding",
    metadata: metadataOf(name),
    roleRef: { apiGroup: rbacGroup, kind: "ClusterRole", name: wordAfter(words, "role:") ?? name },
    ...(lines.length > 0 ? { subjects: lines.map(subjectOf) } : {}),
  };
}

function roleBindingOf({ name, words, lines }: Section): RoleBinding {
  return {
    apiVersion,
    kind: "RoleBinding",
    metadata: metadataOf(name),
    roleRef: {
      apiGroup: rbacGroup,
      kind: "Role",
      name: wordAfter(words, "role:") ?? name.slice(name.indexOf("/") + 1),
    },
    subjects: lines.map(subjectOf),
  };
}

function subjectOf(line: string): Subject {
  const colon = line.indexOf(":");
  const [kind, name] = [line.slice(0, colon), line.slice(colon + 1)];
  if (kind !== "account") return { apiGroup: rbacGroup, kind: kind === "user" ? "User" : "Group", name };
  const [namespace = "", account = ""] = name.split("/");
  return { kind: "ServiceAccount", name: account, namespace };
}

const wordAfter = (words: readonly string[], prefix: string): string | undefined =>
  words.find((word) => word.startsWith(prefix))?.slice(prefix.length);

const aggregateLabel = (role: string): Record<string, string> => ({
  [`rbac.authorization.k8s.io/aggregate-to-${role}`]: "true",
});
