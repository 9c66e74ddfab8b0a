/** Which policies are about a request, by which of their bindings, and with which params (upstream's policy/generic). */

import { notFound, StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { namespaces } from "#shared/api/resources.ts";
import type {
  MatchCondition,
  MatchResources,
  ParamKind,
  ParamRef,
  Variable,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { Authorizer } from "../../authz/authorizer.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { ResourceTable } from "../../registry/resource-table.ts";
import type { AdmissionAttributes } from "../admission.ts";
import { type Match, type MatchCriteria, type Matcher, namespaceOf } from "../matching.ts";
import { ConfigurationError, paramResource, paramsOf } from "./params.ts";

export interface PolicyParts {
  readonly reader: ResourceReader;
  readonly resources: ResourceTable;
  readonly matcher: Matcher;
  readonly authorizer: Authorizer;
}

/** As much of a policy as those that validate and those that mutate have alike. */
export interface Policy extends KubeObject {
  readonly spec: {
    readonly paramKind?: ParamKind | undefined;
    readonly matchConstraints?: MatchResources | undefined;
    readonly variables?: readonly Variable[] | undefined;
    readonly matchConditions?: readonly MatchCondition[] | undefined;
    readonly failurePolicy?: string | undefined;
  };
}

export interface Binding extends KubeObject {
  readonly spec: {
    readonly policyName?: string | undefined;
    readonly paramRef?: ParamRef | undefined;
    readonly matchResources?: MatchResources | undefined;
  };
}

/** A binding whose policy is about the request. */
export interface PolicyMatch<B extends Binding> {
  readonly binding: B;
  readonly match: Match;
  /** To be applied with each in turn; undefined is without any. */
  readonly params: readonly (KubeObject | undefined)[];
}

/** What cannot be applied as it is written: the policy, or one of its bindings. */
export interface Misconfiguration<B extends Binding> {
  readonly binding?: B | undefined;
  readonly message: string;
}

/** Throws NotFound. */
export function namespaceNamed({ reader }: PolicyParts, name: string): KubeObject {
  const namespace = reader.get(namespaces, { name });
  if (!namespace) throw notFound(namespaces, name);
  return namespace;
}

const byName = (a: KubeObject, b: KubeObject): number => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1);

/** Policies that have bindings, with those, in the order of their names. */
export function boundPolicies<P extends Policy, B extends Binding>(
  policies: readonly P[],
  bindings: readonly B[],
): { readonly policy: P; readonly bindings: readonly B[] }[] {
  return policies.toSorted(byName).flatMap((policy) => {
    const own = bindings.filter(({ spec }) => spec.policyName === policy.metadata.name).toSorted(byName);
    return own.length === 0 ? [] : { policy, bindings: own };
  });
}

/** Bindings by which a policy is about a request, and what is wrong with the policy or others of its bindings. */
export function matchesOf<B extends Binding>(
  parts: PolicyParts,
  policy: Policy,
  bindings: readonly B[],
  attributes: AdmissionAttributes,
): (PolicyMatch<B> | Misconfiguration<B>)[] {
  const { matchConstraints, paramKind } = policy.spec;
  return orMisconfigured("policy", undefined, () => {
    const match = matched(parts, attributes, criteriaOf(matchConstraints));
    if (!match) return [];
    const resource = paramKind && paramResource(parts.resources, paramKind);
    return bindings.flatMap((binding) =>
      orMisconfigured("binding", binding, () => {
        const { matchResources, paramRef } = binding.spec;
        if (matchResources && !matched(parts, attributes, criteriaOf(matchResources))) return [];
        const params = resource && paramRef ? paramsOf(resource, paramRef, namespaceOf(attributes)) : [undefined];
        return [{ binding, match, params }];
      }),
    );
  });
}

function orMisconfigured<B extends Binding>(
  what: "policy" | "binding",
  binding: B | undefined,
  run: () => (PolicyMatch<B> | Misconfiguration<B>)[],
): (PolicyMatch<B> | Misconfiguration<B>)[] {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return [{ binding, message: `failed to configure ${what}: ${error.message}` }];
  }
}

const criteriaOf = (match: MatchResources | undefined): MatchCriteria => ({
  rules: match?.resourceRules ?? [],
  exclude: match?.excludeResourceRules,
  namespaceSelector: match?.namespaceSelector,
  objectSelector: match?.objectSelector,
  matchPolicy: match?.matchPolicy,
  matchesAllWithoutRules: true,
});

/** Throws ConfigurationError where it cannot be told. */
function matched(
  { matcher }: PolicyParts,
  attributes: AdmissionAttributes,
  criteria: MatchCriteria,
): Match | undefined {
  try {
    return matcher.match(attributes, criteria);
  } catch (error) {
    throw error instanceof StatusError ? new ConfigurationError(error.message, { cause: error }) : error;
  }
}
