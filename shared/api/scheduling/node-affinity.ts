import type { Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod } from "../types/core-v1.generated.ts";

type Labels = Readonly<Record<string, string>>;

/** Whether the node is one that the pod asks for by `nodeSelector` and by its required node affinity. */
export function matchesNodeSelection(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [key, value] of Object.entries(pod.spec?.nodeSelector ?? {})) if (labels[key] !== value) return false;
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || matchesNodeSelector(required, node);
}

/** Terms are alternatives; none matches nothing. */
export function matchesNodeSelector(selector: NodeSelector, node: Node): boolean {
  return selector.nodeSelectorTerms.some((term) => matchesNodeSelectorTerm(term, node));
}

/** All requirements of a term must hold; a term without any matches nothing. */
export function matchesNodeSelectorTerm(term: NodeSelectorTerm, node: Node): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  const labels = node.metadata.labels ?? {};
  const fields: Labels = { "metadata.name": node.metadata.name ?? "" };
  return (
    matchExpressions.every((requirement) => holds(requirement, labels)) &&
    matchFields.every((requirement) => holds(requirement, fields))
  );
}

/** The only nodes that the pod may go to, where every term of its affinity pins `metadata.name`; else undefined. */
export function pinnedNodes(pod: Pod): ReadonlySet<string> | undefined {
  const terms = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (!terms || terms.length === 0) return undefined;
  const names = new Set<string>();
  for (const { matchFields = [] } of terms) {
    const pins = matchFields.filter(({ key, operator }) => key === "metadata.name" && operator === "In");
    if (pins.length === 0) return undefined;
    for (const name of pins[0]?.values ?? []) if (pins.every((pin) => pin.values?.includes(name))) names.add(name);
  }
  return names;
}

function holds({ key, operator, values = [] }: NodeSelectorRequirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
    case "Lt": {
      const [bound] = values;
      if (value === undefined || bound === undefined || !isInteger(value) || !isInteger(bound)) return false;
      return operator === "Gt" ? integer(value) > integer(bound) : integer(value) < integer(bound);
    }
    default:
      return false;
  }
}

const isInteger = (text: string): boolean => /^[+-]?\d{1,19}$/.test(text);
/** BigInt does not read a plus sign. */
const integer = (text: string): bigint => BigInt(text.replace(/^\+/, ""));
