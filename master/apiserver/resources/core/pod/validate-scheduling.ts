/** Where a pod may run: affinity, tolerations, topology spread. */
import type {
  Affinity,
  PodAffinityTerm,
  PodSchedulingGate,
  Taint,
  Toleration,
  TopologySpreadConstraint,
} from "#shared/api/types/core-v1.generated.ts";
import type { LabelSelector } from "#shared/api/types/meta-v1.generated.ts";
import { type Field, oneOf, positive } from "../../validation/field.ts";
import { isDns1123Label, isLabelValue, isQualifiedName } from "../../validation/names.ts";
import { validateLabelName } from "../../validation/object-meta.ts";
import { validateLabelSelector, validateNodeSelector, validateNodeSelectorTerm } from "../../validation/selectors.ts";

const taintEffects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

function validateWeight(weight: number | undefined, field: Field): void {
  if (!weight || weight < 0 || weight > 100) field.at("weight").invalid(weight ?? 0, "must be in the range 1-100");
}

export function validateAffinity(affinity: Affinity | undefined, field: Field): void {
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const preferred = affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const node = field.at("nodeAffinity");
  if (required)
    validateNodeSelector(
      required,
      node.at("requiredDuringSchedulingIgnoredDuringExecution"),
      "values of node affinity",
    );
  for (const [index, { weight, preference }] of preferred.entries()) {
    const at = node.at("preferredDuringSchedulingIgnoredDuringExecution").index(index);
    validateWeight(weight, at);
    validateNodeSelectorTerm(preference ?? {}, at.at("preference"), "tolerant");
  }
  for (const kind of ["podAffinity", "podAntiAffinity"] as const) {
    const rules = affinity?.[kind];
    const at = field.at(kind);
    for (const [index, term] of (rules?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      validateAffinityTerm(term, at.at("requiredDuringSchedulingIgnoredDuringExecution").index(index));
    }
    for (const [index, weighted] of (rules?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      const place = at.at("preferredDuringSchedulingIgnoredDuringExecution").index(index);
      validateWeight(weighted.weight, place);
      validateAffinityTerm(weighted.podAffinityTerm ?? { topologyKey: "" }, place.at("podAffinityTerm"));
    }
  }
}

function validateAffinityTerm(term: PodAffinityTerm, field: Field): void {
  validateLabelSelector(term.labelSelector, field.at("labelSelector"), "values of affinity selectors");
  validateLabelSelector(term.namespaceSelector, field.at("namespaceSelector"), "values of affinity selectors");
  for (const name of term.namespaces ?? []) field.at("namespace").invalidEach(name, isDns1123Label(name));
  validateLabelKeys(term.matchLabelKeys, term.mismatchLabelKeys, term.labelSelector, field);
  const { topologyKey = "" } = term;
  if (topologyKey === "") field.at("topologyKey").required("can not be empty");
  validateLabelName(topologyKey, field.at("topologyKey"));
}

function validateLabelKeys(
  match: readonly string[] = [],
  mismatch: readonly string[] = [],
  selector: LabelSelector | undefined,
  field: Field,
): void {
  for (const [name, keys] of [
    ["matchLabelKeys", match],
    ["mismatchLabelKeys", mismatch],
  ] as const) {
    if (keys.length === 0) continue;
    if (selector === undefined) field.at(name).forbidden("must not be specified when labelSelector is not set");
    else for (const [index, key] of keys.entries()) validateLabelName(key, field.at(name).index(index));
  }
  if (selector !== undefined) {
    const selected = new Set(Object.keys(selector.matchLabels ?? {}));
    const places = new Map(match.map((key, index) => [key, index]));
    for (const { key } of selector.matchExpressions ?? []) {
      const index = places.get(key);
      if (index !== undefined && selected.has(key)) {
        field.index(index).invalid(key, "exists in both matchLabelKeys and labelSelector");
      }
      selected.add(key);
    }
  }
  const others = new Set(mismatch);
  for (const [index, key] of match.entries()) {
    if (others.has(key)) {
      field.at("matchLabelKeys").index(index).invalid(key, "exists in both matchLabelKeys and mismatchLabelKeys");
    }
  }
}

export function validateTolerations(tolerations: readonly Toleration[] | undefined, field: Field): void {
  for (const [index, toleration] of (tolerations ?? []).entries()) validateToleration(toleration, field.index(index));
}

function validateToleration(
  { key, operator = "", value = "", effect = "", tolerationSeconds }: Toleration,
  field: Field,
): void {
  if (key) validateLabelName(key, field.at("key"));
  else if (operator !== "Exists") {
    field
      .at("operator")
      .invalid(operator, 'operator must be Exists when `key` is empty, which means "match all values and all keys"');
  }
  if (tolerationSeconds !== undefined && effect !== "NoExecute") {
    field.at("effect").invalid(effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
  }
  if (operator === "Equal" || operator === "") {
    const errors = isLabelValue(value);
    if (errors.length > 0) field.at("operator").invalid(value, errors.join(";"));
  } else if (operator === "Exists") {
    if (value !== "") field.at("operator").invalid(value, "value must be empty when `operator` is 'Exists'");
  } else {
    const isComparison = operator === "Lt" || operator === "Gt";
    const at = field.at("operator");
    (isComparison ? at.ruled("comparing tolerations") : at).notSupported(operator, [
      "Equal",
      "Exists",
      ...(isComparison ? ["Lt", "Gt"] : []),
    ]);
  }
  if (effect !== "") oneOf(effect, taintEffects, field.at("effect"));
}

export function validateTaints(taints: readonly Taint[] | undefined, field: Field): void {
  const seen = new Set<string>();
  for (const [index, taint] of (taints ?? []).entries()) {
    const at = field.index(index);
    const { key = "", value = "", effect = "" } = taint;
    validateLabelName(key, at.at("key"));
    const errors = isLabelValue(value);
    if (errors.length > 0) at.at("value").invalid(value, errors.join(";"));
    if (effect === "") at.at("effect").required();
    else oneOf(effect, taintEffects, at.at("effect"));
    const pair = `${effect}/${key}`;
    const shown = { Key: key, Value: value, Effect: effect, TimeAdded: taint.timeAdded ?? null };
    if (seen.has(pair)) at.duplicate(shown, "taints must be unique by key and effect pair");
    seen.add(pair);
  }
}

export function validateTopologySpread(
  constraints: readonly TopologySpreadConstraint[] | undefined,
  field: Field,
): void {
  const keyOf = ({ topologyKey, whenUnsatisfiable }: TopologySpreadConstraint): string =>
    JSON.stringify([topologyKey, whenUnsatisfiable]);
  const last = new Map((constraints ?? []).map((constraint, index) => [keyOf(constraint), index]));
  for (const [index, constraint] of (constraints ?? []).entries()) {
    const at = field.index(index);
    const { topologyKey, whenUnsatisfiable = "", minDomains } = constraint;
    positive(constraint.maxSkew ?? 0, at.at("maxSkew"));
    if (!topologyKey) at.at("topologyKey").required("can not be empty");
    oneOf(whenUnsatisfiable, ["DoNotSchedule", "ScheduleAnyway"], at.at("whenUnsatisfiable"));
    if ((last.get(keyOf(constraint)) ?? index) > index) {
      at.at("{topologyKey, whenUnsatisfiable}").duplicate(`{${topologyKey ?? ""}, ${whenUnsatisfiable}}`);
    }
    if (minDomains !== undefined) {
      positive(minDomains, at.at("minDomains"));
      if (whenUnsatisfiable !== "DoNotSchedule") {
        const message = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable}`;
        at.at("minDomains").invalid(minDomains, message);
      }
    }
    for (const key of ["nodeAffinityPolicy", "nodeTaintsPolicy"] as const) {
      if (constraint[key] !== undefined) oneOf(constraint[key], ["Honor", "Ignore"], at.at(key));
    }
    validateLabelKeys(constraint.matchLabelKeys, [], constraint.labelSelector, at);
    validateLabelSelector(constraint.labelSelector, at.at("labelSelector").ruled("selectors of spread constraints"));
  }
}

export function validateSchedulingGates(gates: readonly PodSchedulingGate[] | undefined, field: Field): void {
  const seen = new Set<string>();
  for (const [index, { name = "" }] of (gates ?? []).entries()) {
    field.index(index).invalidEach(name, isQualifiedName(name));
    if (seen.has(name)) field.index(index).duplicate(name);
    seen.add(name);
  }
}
