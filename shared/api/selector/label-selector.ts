/**
 * Label selectors in their three forms: the query string (`app=web,tier in (a,b),!legacy`), the API type
 * (`matchLabels`/`matchExpressions`) and the plain map. All become one LabelSelector value that matches, prints itself in
 * canonical form, and can be asked for what it pins. Semantics and wording: apimachinery pkg/labels and meta/v1 helpers.
 */
import { badRequest, StatusError } from "../errors.ts";
import type { LabelSelector as ApiLabelSelector } from "../types/meta-v1.generated.ts";
import { compareBytes, goQuote } from "./go-quote.ts";
import {
  compileRequirement,
  formatRequirement,
  type LabelOperator,
  type LabelRequirement,
  type Labels,
  labelRequirement,
} from "./label-requirement.ts";
import { parseRequirements } from "./label-selector-parser.ts";

export type { LabelOperator, LabelRequirement, Labels } from "./label-requirement.ts";

/** A compiled label selector: all requirements must hold. Immutable. */
export class LabelSelector {
  /** Sorted by key. */
  readonly requirements: readonly LabelRequirement[];
  readonly #predicates: readonly ((labels: Labels) => boolean)[];
  readonly #never: boolean;

  /** `never` makes a selector that matches nothing, which no list of requirements can say. */
  constructor(requirements: readonly LabelRequirement[], never: "never" | undefined = undefined) {
    this.requirements = requirements.toSorted((a, b) => compareBytes(a.key, b.key));
    this.#predicates = this.requirements.map(compileRequirement);
    this.#never = never !== undefined;
  }

  static readonly everything = new LabelSelector([]);
  static readonly nothing = new LabelSelector([], "never");

  /** Absent labels count as none. */
  matches(labels: Labels | undefined): boolean {
    if (this.#never) return false;
    const given = labels ?? noLabels;
    for (const holds of this.#predicates) if (!holds(given)) return false;
    return true;
  }

  /** True when it does not restrict anything. */
  get isEmpty(): boolean {
    return !this.#never && this.requirements.length === 0;
  }

  /** True for the selector of an absent LabelSelector. */
  get matchesNothing(): boolean {
    return this.#never;
  }

  /** The one value that a matching object must have for this label, if the selector pins one: for use of an index. */
  exactValue(key: string): string | undefined {
    const requirement = this.requirements.find((candidate) => candidate.key === key);
    if (requirement === undefined || requirement.values.length !== 1) return undefined;
    return requirement.operator === "=" || requirement.operator === "==" || requirement.operator === "in"
      ? requirement.values[0]
      : undefined;
  }

  /** A selector that also asks for these requirements. */
  and(requirements: readonly LabelRequirement[]): LabelSelector {
    return this.#never ? this : new LabelSelector([...this.requirements, ...requirements]);
  }

  /** The canonical query string; `parseLabelSelector` reads it back. */
  toString(): string {
    return this.requirements.map(formatRequirement).join(",");
  }
}

const noLabels: Labels = {};

/** The selector of a query string; throws BadRequest with upstream's wording. */
export function parseLabelSelector(text: string): LabelSelector {
  return text === "" ? LabelSelector.everything : new LabelSelector(parseRequirements(text));
}

/**
 * The selector of an API LabelSelector: absent selects nothing, an empty one everything. Throws BadRequest for operators
 * and values that validation would refuse.
 */
export function labelSelectorOf(selector: ApiLabelSelector | undefined | null): LabelSelector {
  if (!selector) return LabelSelector.nothing;
  const requirements: LabelRequirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    requirements.push(labelRequirement(key, "=", [value]));
  }
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const compiled = Object.hasOwn(expressionOperators, operator) ? expressionOperators[operator] : undefined;
    if (compiled === undefined) throw badRequest(`${goQuote(operator)} is not a valid label selector operator`);
    requirements.push(labelRequirement(key, compiled, values ?? []));
  }
  return requirements.length === 0 ? LabelSelector.everything : new LabelSelector(requirements);
}

/**
 * The same, for who looks through objects of which any may be the one that selects: one that validation would refuse, which only a hand
 * in the store writes, selects nothing, and keeps no other from what it selects. Upstream passes over such objects, too.
 */
export const labelSelectorOrNone = (selector: ApiLabelSelector | undefined | null): LabelSelector =>
  selectorOrNone(() => labelSelectorOf(selector));

/** @param make gives the selector, or throws BadRequest as labelSelectorOf does. */
export function selectorOrNone(make: () => LabelSelector): LabelSelector {
  try {
    return make();
  } catch (error) {
    if (error instanceof StatusError) return LabelSelector.nothing;
    throw error;
  }
}

const expressionOperators: Readonly<Record<string, LabelOperator>> = {
  In: "in",
  NotIn: "notin",
  Exists: "exists",
  DoesNotExist: "!",
};

/** Selects objects that have all of these labels (ReplicationController and Service selectors); none selects everything. */
export function labelSelectorOfMap(labels: Labels | undefined | null): LabelSelector {
  if (!labels) return LabelSelector.everything;
  return new LabelSelector(Object.entries(labels).map(([key, value]) => ({ key, operator: "=", values: [value] })));
}

/** What tables show for an API selector: canonical form, `<none>`, or `<error>` for an invalid one. */
export function formatLabelSelector(selector: ApiLabelSelector | undefined | null): string {
  try {
    return labelSelectorOf(selector).toString() || "<none>";
  } catch {
    return "<error>";
  }
}
