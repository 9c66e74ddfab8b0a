import type {
  FlowSchema,
  PolicyRulesWithSubjects,
  PriorityLevelConfiguration,
  PriorityLevelConfigurationSpec,
  Subject,
} from "#shared/api/types/flowcontrol-v1.generated.ts";

/** Whether an object is kept as it is here; upstream's annotation of that name. */
export const autoUpdateAnnotation = "apf.kubernetes.io/autoupdate-spec";

/** The objects that every cluster has from the start (KEP-1040, the values of v1.35). */
export interface FlowControlConfiguration {
  readonly priorityLevels: readonly PriorityLevelConfiguration[];
  readonly flowSchemas: readonly FlowSchema[];
}

/** Their specs are never left changed; the others' are while they bear the annotation. */
export const mandatoryNames: ReadonlySet<string> = new Set(["exempt", "catch-all"]);

const metadata = (name: string) => ({ name, annotations: { [autoUpdateAnnotation]: "true" } });

function priorityLevel(name: string, spec: PriorityLevelConfigurationSpec): PriorityLevelConfiguration {
  return {
    apiVersion: "flowcontrol.apiserver.k8s.io/v1",
    kind: "PriorityLevelConfiguration",
    metadata: metadata(name),
    spec,
  };
}

function queued(name: string, shares: number, lendablePercent: number, queues: number, handSize: number) {
  const queuing = { queues, handSize, queueLengthLimit: 50 };
  return priorityLevel(name, {
    type: "Limited",
    limited: { nominalConcurrencyShares: shares, lendablePercent, limitResponse: { type: "Queue", queuing } },
  });
}

const group = (name: string): Subject => ({ kind: "Group", group: { name } });
const user = (name: string): Subject => ({ kind: "User", user: { name } });
const anyOfKubeSystem: Subject = { kind: "ServiceAccount", serviceAccount: { name: "*", namespace: "kube-system" } };
const everybody = [group("system:unauthenticated"), group("system:authenticated")];

const resources = (verbs: string[], group: string, kinds: string[], clusterScope: boolean) => ({
  verbs,
  apiGroups: [group],
  resources: kinds,
  namespaces: ["*"],
  ...(clusterScope ? { clusterScope } : {}),
});
const everything = (subjects: Subject[]): PolicyRulesWithSubjects => ({
  subjects,
  resourceRules: [resources(["*"], "*", ["*"], true)],
  nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
});

function flowSchema(
  name: string,
  level: string,
  matchingPrecedence: number,
  distinguisher: "ByUser" | "ByNamespace" | undefined,
  rules: PolicyRulesWithSubjects,
): FlowSchema {
  return {
    apiVersion: "flowcontrol.apiserver.k8s.io/v1",
    kind: "FlowSchema",
    metadata: metadata(name),
    spec: {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence,
      ...(distinguisher ? { distinguisherMethod: { type: distinguisher } } : {}),
      rules: [rules],
    },
  };
}

export const bootstrapConfiguration: FlowControlConfiguration = {
  priorityLevels: [
    priorityLevel("exempt", { type: "Exempt", exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } }),
    priorityLevel("catch-all", {
      type: "Limited",
      limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: "Reject" } },
    }),
    queued("node-high", 40, 25, 64, 6),
    queued("system", 30, 33, 64, 6),
    queued("leader-election", 10, 0, 16, 4),
    queued("workload-high", 40, 50, 128, 6),
    queued("workload-low", 100, 90, 128, 6),
    queued("global-default", 20, 50, 128, 6),
  ],
  flowSchemas: [
    flowSchema("exempt", "exempt", 1, undefined, everything([group("system:masters")])),
    flowSchema("probes", "exempt", 2, undefined, {
      subjects: everybody,
      nonResourceRules: [{ verbs: ["get"], nonResourceURLs: ["/healthz", "/readyz", "/livez"] }],
    }),
    flowSchema("system-leader-election", "leader-election", 100, "ByUser", {
      subjects: [user("system:kube-controller-manager"), user("system:kube-scheduler"), anyOfKubeSystem],
      resourceRules: [resources(["get", "create", "update"], "coordination.k8s.io", ["leases"], false)],
    }),
    flowSchema("system-node-high", "node-high", 400, "ByUser", {
      subjects: [group("system:nodes")],
      resourceRules: [
        resources(["*"], "", ["nodes", "nodes/status"], true),
        resources(["*"], "coordination.k8s.io", ["leases"], false),
      ],
    }),
    flowSchema("system-nodes", "system", 500, "ByUser", everything([group("system:nodes")])),
    flowSchema(
      "kube-controller-manager",
      "workload-high",
      800,
      "ByNamespace",
      everything([user("system:kube-controller-manager")]),
    ),
    flowSchema("kube-scheduler", "workload-high", 800, "ByNamespace", everything([user("system:kube-scheduler")])),
    flowSchema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", everything([anyOfKubeSystem])),
    flowSchema("service-accounts", "workload-low", 9000, "ByUser", everything([group("system:serviceaccounts")])),
    flowSchema("global-default", "global-default", 9900, "ByUser", everything(everybody)),
    flowSchema("catch-all", "catch-all", 10000, "ByUser", everything(everybody)),
  ],
};
