/** What cases of mutations are made of. */
import { type Kind, rules } from "./kinds.ts";

export interface MutationPolicy {
  readonly spec: object;
  /** Of each binding; one that says nothing where none is given. */
  readonly bindings?: readonly object[];
}

export interface MutationCase {
  readonly name: string;
  readonly policy: MutationPolicy;
  readonly kind: Kind;
  /** Put over the ordinary object of the kind. */
  readonly object?: Readonly<Record<string, unknown>>;
  readonly method?: "POST" | "PUT" | "PATCH";
  /** Behind the object's path. */
  readonly subresource?: string;
  /** To be sent in place of the object, or of what a patch says otherwise. */
  readonly body?: object;
  /** Of the body. */
  readonly type?: string;
  readonly query?: string;
}

/** A mutation by an apply configuration. */
export const applied = (expression: string): object => ({
  patchType: "ApplyConfiguration",
  applyConfiguration: { expression },
});
/** A mutation by a JSON patch of these operations. */
export const patch = (...operations: readonly string[]): object =>
  patches(`[${operations.map((each) => `JSONPatch{${each}}`).join(", ")}]`);
/** The same, by an expression that gives the whole patch. */
export const patches = (expression: string): object => ({ patchType: "JSONPatch", jsonPatch: { expression } });
/** Expressions of apply configurations that set labels, data, or fields of a spec. */
export const labels = (text: string): string =>
  `Object{metadata: Object.metadata{labels: Object.metadata.labels{${text}}}}`;
export const data = (text: string): string => `Object{data: Object.data{${text}}}`;
export const spec = (text: string): string => `Object{spec: Object.spec{${text}}}`;
export const podSpec = (text: string): string =>
  spec(`template: Object.spec.template{spec: Object.spec.template.spec{${text}}}`);

function policyOf(
  name: string,
  kind: Kind,
  mutations: readonly object[],
  fields: object = {},
  rule: object = {},
): object {
  const [group, version, plural] = rules[kind];
  return {
    reinvocationPolicy: "Never",
    matchConstraints: {
      objectSelector: { matchLabels: { case: name } },
      resourceRules: [
        { apiGroups: [group], apiVersions: [version], operations: ["CREATE", "UPDATE"], resources: [plural], ...rule },
      ],
    },
    mutations,
    ...fields,
  };
}

/** What a case has beside its kind, name and mutations. */
export interface More
  extends Partial<Pick<MutationCase, "object" | "method" | "query" | "subresource" | "body" | "type">> {
  readonly fields?: object;
  readonly rule?: object;
  readonly bindings?: readonly object[];
}

/** What is written of a kind, with a policy about it. */
export function one(
  kind: Kind,
  name: string,
  mutations: readonly object[] | object | string,
  { fields, rule, bindings, ...more }: More = {},
): MutationCase {
  const all = typeof mutations === "string" ? [applied(mutations)] : Array.isArray(mutations) ? mutations : [mutations];
  const policy = { spec: policyOf(name, kind, all, fields, rule), ...(bindings ? { bindings } : {}) };
  return { name, kind, policy, ...more };
}

export const map = (name: string, mutations: readonly object[] | object | string, more?: More): MutationCase =>
  one("ConfigMap", name, mutations, more);
export const deployment = (name: string, mutations: readonly object[] | object | string, more?: More): MutationCase =>
  one("Deployment", name, mutations, more);
export const thing = (name: string, mutations: readonly object[] | object | string, more?: More): MutationCase =>
  one("Thing", name, mutations, more);

/** Of a subresource, whose body has no labels to be chosen by. */
export function named(
  kind: Kind,
  name: string,
  resource: string,
  mutation: object,
  more: More,
  operation = "CREATE",
): MutationCase {
  const [group, version] = rules[kind];
  const rule = {
    apiGroups: [group],
    apiVersions: [version],
    operations: [operation],
    resources: [resource],
    resourceNames: [name],
  };
  return one(kind, name, mutation, { ...more, fields: { matchConstraints: { resourceRules: [rule] } } });
}

/** The policy bears with what fails. */
export const lenient = { failurePolicy: "Ignore" };
/** The policy has a match condition. */
export const when = (expression: string, more: object = {}): More => ({
  fields: { matchConditions: [{ name: "c", expression }], ...more },
});
export const mapParams = { paramKind: { apiVersion: "v1", kind: "ConfigMap" } };
/** A mutation that can be told from another by how often it ran. */
export const append = (text: string): object =>
  applied(data(`a: (has(object.data.a) ? object.data.a : '') + '${text}'`));
