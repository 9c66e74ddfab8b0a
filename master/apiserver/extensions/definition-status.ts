/** What the status of a CustomResourceDefinition says: which names it got, and how it stands (apiextensions' controllers). Pure. */
import { joinErrors } from "#shared/api/joined-errors.ts";
import { cloneJson, equalJson } from "#shared/api/patch/json-value.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionStatus,
} from "#shared/api/types/apiextensions-v1.generated.ts";
import { faultOfCaBundle } from "./ca-bundle.ts";

export const cleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io";

type ConditionType =
  | "NamesAccepted"
  | "Established"
  | "Terminating"
  | "NonStructuralSchema"
  | "KubernetesAPIApprovalPolicyConformant";
export interface NewCondition {
  readonly type: ConditionType;
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

function conditionOf(
  definition: CustomResourceDefinition,
  type: ConditionType,
): CustomResourceDefinitionCondition | undefined {
  return definition.status?.conditions?.find((condition) => condition.type === type);
}

export const isEstablished = (definition: CustomResourceDefinition): boolean =>
  conditionOf(definition, "Established")?.status === "True";

/** The definition with conditions set; the time of a transition only moves with the status. */
export function withConditions(
  definition: CustomResourceDefinition,
  conditions: readonly NewCondition[],
  now: string,
): CustomResourceDefinition {
  const draft = cloneJson(definition) as CustomResourceDefinition;
  const status = { ...draft.status } as CustomResourceDefinitionStatus;
  const list = [...(status.conditions ?? [])];
  for (const condition of conditions) {
    const at = list.findIndex(({ type }) => type === condition.type);
    const present = list[at];
    const lastTransitionTime = present?.status === condition.status ? (present.lastTransitionTime ?? now) : now;
    const made = { ...condition, lastTransitionTime } as CustomResourceDefinitionCondition;
    if (at < 0) list.push(made);
    else list[at] = made;
  }
  status.conditions = list;
  draft.status = status;
  return draft;
}

/** What a definition's status is to become, given the others of its group; undefined when it is so already. */
export function nextStatus(
  definition: CustomResourceDefinition,
  others: readonly CustomResourceDefinition[],
  now: string,
): CustomResourceDefinition | undefined {
  const { accepted, condition } = acceptedNames(definition, others);
  const conditions = [
    condition,
    ...establishedAfter(definition, condition.status === "True"),
    ...approvalOf(definition),
  ];
  const next = withConditions(definition, conditions, now);
  if (next.status) next.status.acceptedNames = accepted;
  return equalJson(next.status, definition.status) ? undefined : next;
}

function acceptedNames(
  definition: CustomResourceDefinition,
  others: readonly CustomResourceDefinition[],
): { accepted: CustomResourceDefinitionNames; condition: NewCondition } {
  const wanted = definition.spec.names;
  const had = definition.status?.acceptedNames;
  const taken = takenNames(others);
  const accepted: CustomResourceDefinitionNames = { plural: had?.plural ?? "", kind: had?.kind ?? "", ...had };
  let conflict: { reason: string; message: string } | undefined;
  const claim = (
    field: "plural" | "singular" | "kind" | "listKind",
    reason: string,
    used: ReadonlySet<string>,
  ): void => {
    const name = wanted[field] ?? "";
    if (name === (had?.[field] ?? "") || !used.has(name)) {
      if (name !== "") accepted[field] = name;
    } else conflict = { reason, message: `${JSON.stringify(name)} is already in use` };
  };
  claim("plural", "PluralConflict", taken.resources);
  claim("singular", "SingularConflict", taken.resources);
  const refused = (wanted.shortNames ?? []).filter(
    (name) => !had?.shortNames?.includes(name) && taken.resources.has(name),
  );
  if (refused.length > 0) {
    // Its own names, which are taken by then, are none for a conflict to be solved.
    const own = [accepted.plural, accepted.singular];
    const told = (wanted.shortNames ?? []).filter((name) => refused.includes(name) || own.includes(name));
    const message = joinErrors(told.map((name) => `${JSON.stringify(name)} is already in use`));
    conflict = { reason: "ShortNamesConflict", message };
  } else if (wanted.shortNames?.length) accepted.shortNames = wanted.shortNames;
  else delete accepted.shortNames;
  claim("kind", "KindConflict", taken.kinds);
  claim("listKind", "ListKindConflict", taken.kinds);
  if (wanted.categories?.length) accepted.categories = wanted.categories;
  else delete accepted.categories;
  const condition: NewCondition = conflict
    ? { type: "NamesAccepted", status: "False", ...conflict }
    : { type: "NamesAccepted", status: "True", reason: "NoConflicts", message: "no conflicts found" };
  return { accepted, condition };
}

function takenNames(others: readonly CustomResourceDefinition[]) {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const { status } of others) {
    const { plural, singular, shortNames = [], kind, listKind } = status?.acceptedNames ?? {};
    for (const name of [plural, singular, ...shortNames]) if (name) resources.add(name);
    for (const name of [kind, listKind]) if (name) kinds.add(name);
  }
  return { resources, kinds };
}

/** Once established, always established: objects may be there. What is told of that then stays, whoever told it; nothing is new. */
function establishedAfter(definition: CustomResourceDefinition, namesAccepted: boolean): NewCondition[] {
  const present = conditionOf(definition, "Established");
  if (present && (present.status === "True" || !namesAccepted)) return [];
  return [{ type: "Established", ...establishment(definition, namesAccepted) }];
}

function establishment({ spec }: CustomResourceDefinition, namesAccepted: boolean): Omit<NewCondition, "type"> {
  if (!namesAccepted) return { status: "False", reason: "NotAccepted", message: "not all names are accepted" };
  if (faultOfCaBundle(spec.conversion?.webhook?.clientConfig?.caBundle) !== undefined)
    return { status: "False", reason: "InvalidCABundle", message: "The conversion webhook CABundle is invalid" };
  return { status: "True", reason: "InitialNamesAccepted", message: "the initial names have been accepted" };
}

const approvalAnnotation = "api-approved.kubernetes.io";

export const isProtectedGroup = (group: string): boolean => /(^|\.)(k8s|kubernetes)\.io$/.test(group);

export type Approval = "approved" | "bypassed" | "missing" | "invalid";

/** Whether a definition in a group of the Kubernetes project is approved, and what to say of it. */
export function approvalState(annotations: Readonly<Record<string, string>> | undefined): {
  state: Approval;
  reason: string;
} {
  const annotation = annotations?.[approvalAnnotation] ?? "";
  const rule = `protected groups must have approval annotation "${approvalAnnotation}"`;
  const link = "see https://github.com/kubernetes/enhancements/pull/1111";
  if (annotation === "") return { state: "missing", reason: `${rule}, ${link}` };
  if (annotation.startsWith("unapproved")) {
    return { state: "bypassed", reason: `not approved: ${JSON.stringify(annotation)}` };
  }
  if (/^[a-z][a-z0-9+.-]*:\/\/[^/\s]+/i.test(annotation))
    return { state: "approved", reason: `approved in ${annotation}` };
  return { state: "invalid", reason: `${rule} with either a URL or a reason starting with "unapproved", ${link}` };
}

const approvalConditions = {
  approved: { status: "True", reason: "ApprovedAnnotation" },
  bypassed: { status: "False", reason: "UnapprovedAnnotation" },
  missing: { status: "False", reason: "MissingAnnotation" },
  invalid: { status: "False", reason: "InvalidAnnotation" },
} as const;

function approvalOf({ spec, metadata }: CustomResourceDefinition): NewCondition[] {
  if (!isProtectedGroup(spec.group)) return [];
  const { state, reason: message } = approvalState(metadata.annotations);
  return [{ type: "KubernetesAPIApprovalPolicyConformant", ...approvalConditions[state], message }];
}
