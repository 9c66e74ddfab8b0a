/** Which expressions of a policy do not fit the kinds that it is about, as upstream finds it (KEP-3488). */
import { parseApiVersion } from "#shared/api/object.ts";
import type {
  ExpressionWarning,
  ValidatingAdmissionPolicy,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { Environment } from "#shared/cel/checker.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { dyn, type Type } from "#shared/cel/types.ts";
import type { ResourceTable } from "../../registry/resource-table.ts";
import type { ServedResource } from "../../registry/served-resource.ts";
import { admissionEnvironment } from "./environment.ts";
import { typeOfKind } from "./kind-type.ts";

/** Of one rule no more kinds than these are looked at. */
const MAX_KINDS = 10;

/** Warnings in the order of the validations; each has a paragraph for each kind that its expression does not fit. Pure. */
export function typeWarnings(policy: ValidatingAdmissionPolicy, resources: ResourceTable): ExpressionWarning[] {
  const kinds = kindsOf(policy, resources).flatMap((resource) => {
    const { schema, gvk } = resource;
    if (!schema) return [];
    const named = `${gvk.group}/${gvk.version}, Kind=${gvk.kind}`;
    return { named, environment: environmentOf(policy, typeOfKind(schema, gvk.kind), resources) };
  });
  const warnings: ExpressionWarning[] = [];
  const check = (fieldRef: string, expression: string): void => {
    const lines = kinds.flatMap(({ named, environment }) => {
      const compiled = compiledIn(expression, environment);
      return typeof compiled === "string" ? `${named}: ${compiled}\n` : [];
    });
    if (lines.length > 0) warnings.push({ fieldRef, warning: lines.join("\n") });
  };
  for (const [index, { expression, messageExpression }] of (policy.spec.validations ?? []).entries()) {
    check(`spec.validations[${index}].expression`, expression);
    if (messageExpression) check(`spec.validations[${index}].messageExpression`, messageExpression);
  }
  return warnings;
}

/** The program, or what is wrong with the expression. */
function compiledIn(expression: string, environment: Environment): Program | string {
  try {
    return Program.compile(expression, environment);
  } catch (error) {
    if (error instanceof CompileError) return error.message;
    throw error;
  }
}

/** What expressions see where the object is of this type. A variable that does not fit is of any type: nothing is said of it. */
function environmentOf({ spec }: ValidatingAdmissionPolicy, object: Type, resources: ResourceTable): Environment {
  const base = { object, params: paramsOf(spec.paramKind, resources), authorizer: true };
  const variables = new Map<string, Type>();
  for (const { name, expression } of spec.variables ?? []) {
    const compiled = compiledIn(expression, admissionEnvironment({ ...base, variables }));
    variables.set(name, typeof compiled === "string" ? dyn : compiled.type);
  }
  return admissionEnvironment({ ...base, variables });
}

/** False where the kind is not known: no expression can look at them then. */
function paramsOf(paramKind: ValidatingAdmissionPolicy["spec"]["paramKind"], resources: ResourceTable): Type | false {
  const { group, version } = parseApiVersion(paramKind?.apiVersion ?? "");
  for (const { gvk, schema } of paramKind ? resources.all() : []) {
    if (gvk.group === group && gvk.version === version && gvk.kind === paramKind?.kind && schema)
      return typeOfKind(schema, gvk.kind);
  }
  return false;
}

/** Kinds that a policy names outright, in the order of their names: a wildcard names none. The core group stands for any. */
function kindsOf({ spec }: ValidatingAdmissionPolicy, resources: ResourceTable): ServedResource[] {
  const found = new Set<ServedResource>();
  const served = [...resources.all()].sort(byKind);
  for (const { apiGroups = [], apiVersions = [], resources: named = [] } of spec.matchConstraints?.resourceRules ??
    []) {
    if ([...apiGroups, ...apiVersions].some((name) => name.includes("*"))) continue;
    let left = MAX_KINDS;
    for (const plural of named.filter((name) => !/[*/]/.test(name)).sort()) {
      for (const resource of served) {
        if (left === 0) return [...found].sort(byKind);
        if (resource.name.plural !== plural || !apiVersions.includes(resource.gvk.version)) continue;
        if (!apiGroups.includes("") && !apiGroups.includes(resource.gvk.group)) continue;
        found.add(resource);
        left -= 1;
      }
    }
  }
  return [...found].sort(byKind);
}

const byKind = ({ gvk: a }: ServedResource, { gvk: b }: ServedResource): number =>
  compare(a.group, b.group) || compare(a.version, b.version) || compare(a.kind, b.kind);

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
