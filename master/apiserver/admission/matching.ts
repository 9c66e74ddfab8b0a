/** Which requests a webhook or a policy is about: rules, selectors, and versions that are the same resource (matchPolicy). */
import { notFound } from "#shared/api/errors.ts";
import { apiVersionOf, fieldsOf, type GroupVersionKind, type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import { cloneJson, equalJson } from "#shared/api/patch/json-value.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { namespaces } from "#shared/api/resources.ts";
import { normalizeObject } from "#shared/api/schema/normalize-object.ts";
import { type Schema, schemaFor } from "#shared/api/schema/schema.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import type { RuleWithOperations } from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { Scale } from "#shared/api/types/autoscaling-v1.generated.ts";
import type { LabelSelector } from "#shared/api/types/meta-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { ResourceTable } from "../registry/resource-table.ts";
import { putReplicas, scaleOf } from "../registry/scale.ts";
import type { ServedResource } from "../registry/served-resource.ts";
import { withoutUnfitMetadata } from "../registry/unfit-metadata.ts";
import type { AdmissionAttributes } from "./admission.ts";

export interface MatchCriteria {
  readonly rules: readonly RuleWithOperations[];
  readonly exclude?: readonly RuleWithOperations[] | undefined;
  readonly namespaceSelector?: LabelSelector | undefined;
  readonly objectSelector?: LabelSelector | undefined;
  readonly matchPolicy?: string | undefined;
  /** No rules mean everything (bindings of policies). */
  readonly matchesAllWithoutRules?: boolean | undefined;
}

/** The form in which a request is shown: the one that was asked for, or an equivalent that a rule names. */
export interface Match {
  readonly resource: ServedResource | undefined;
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

const policyKinds = new Set([
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionPolicyBinding",
  "MutatingAdmissionPolicy",
  "MutatingAdmissionPolicyBinding",
]);
const webhookKinds = new Set(["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"]);

const isOfAdmission = ({ group }: ResourceRef): boolean => group === "admissionregistration.k8s.io";

/** Webhooks are not asked about what configures admission: nobody locks themselves out. */
export function isExemptFromWebhooks({ declaration: { ref } }: AdmissionAttributes): boolean {
  return isOfAdmission(ref) && (policyKinds.has(ref.kind) || webhookKinds.has(ref.kind));
}

const reviews: Readonly<Record<string, readonly string[]>> = {
  "authentication.k8s.io": ["selfsubjectreviews", "tokenreviews"],
  "authorization.k8s.io": [
    "localsubjectaccessreviews",
    "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
    "subjectaccessreviews",
  ],
};

/**
 * Policies are not about policies, so that one that refuses all can be taken back, nor about questions of users and what they
 * may do, without which a cluster stands still. Who may bring webhooks they do say.
 */
export function isExemptFromPolicies({ declaration: { ref } }: AdmissionAttributes): boolean {
  return (isOfAdmission(ref) && policyKinds.has(ref.kind)) || (reviews[ref.group]?.includes(ref.plural) ?? false);
}

/** The namespace as admission names it: a Namespace is in itself. */
export function namespaceOf(attributes: AdmissionAttributes): string {
  const { declaration, namespace, name, object } = attributes;
  if (namespace) return namespace;
  if (declaration.ref.group !== "" || declaration.ref.plural !== "namespaces") return "";
  return name || (object?.metadata.name ?? "");
}

export class Matcher {
  readonly #reader: ResourceReader;
  readonly #table: ResourceTable;

  constructor(reader: ResourceReader, table: ResourceTable) {
    this.#reader = reader;
    this.#table = table;
  }

  /** undefined: not meant. Throws NotFound where the namespace that a selector asks about is not there. */
  match(attributes: AdmissionAttributes, criteria: MatchCriteria): Match | undefined {
    const own = ownMatch(attributes);
    if (criteria.exclude && this.#ruled(attributes, criteria.exclude, criteria.matchPolicy, own)) return undefined;
    const isOpen = criteria.matchesAllWithoutRules === true && criteria.rules.length === 0;
    const found = isOpen ? own : this.#ruled(attributes, criteria.rules, criteria.matchPolicy, own);
    // Selectors last: one that is broken is no matter for requests that the rules do not mean.
    if (!found || !this.#selectsNamespace(attributes, criteria.namespaceSelector)) return undefined;
    return this.#selectsObject(attributes, criteria.objectSelector) ? found : undefined;
  }

  #ruled(
    attributes: AdmissionAttributes,
    rules: readonly RuleWithOperations[],
    policy: string | undefined,
    own: Match,
  ): Match | undefined {
    if (rules.some((rule) => ruleMatches(rule, attributes, own))) return own;
    if (policy === "Exact" || rules.length === 0) return undefined;
    const others = this.#equivalents(attributes);
    for (const rule of rules) {
      const found = others.find((other) => ruleMatches(rule, attributes, other));
      if (found) return found;
    }
    return undefined;
  }

  /** Other versions (and groups) in which the same stored objects are served. */
  #equivalents({ resource }: AdmissionAttributes): Match[] {
    if (!resource?.stored) return [];
    const { cache } = resource.stored;
    return [...this.#table.all()]
      .filter((other) => other.stored?.cache === cache && other !== resource)
      .map((other) => matchOf(other));
  }

  #selectsNamespace(attributes: AdmissionAttributes, selector: LabelSelector | undefined): boolean {
    const { declaration, operation, object, subresource } = attributes;
    const isNamespace = declaration.ref.group === "" && declaration.ref.plural === "namespaces";
    const name = namespaceOf(attributes);
    if (name === "" && !isNamespace) return true;
    const parsed = labelSelectorOf(selector ?? {});
    if (parsed.isEmpty) return true;
    if (isNamespace && !subresource && (operation === "CREATE" || operation === "UPDATE")) {
      return parsed.matches(object?.metadata.labels);
    }
    const namespace = this.#reader.get(namespaces, { name });
    if (!namespace) throw notFound(namespaces, name);
    return parsed.matches(namespace.metadata.labels);
  }

  #selectsObject(attributes: AdmissionAttributes, selector: LabelSelector | undefined): boolean {
    const { object, oldObject } = attributes;
    const parsed = labelSelectorOf(selector ?? {});
    if (parsed.isEmpty) return true;
    // A Scale has no labels, whatever it scales.
    const isScale = scaleShown(attributes) !== undefined;
    const chosen = (each: KubeObject | undefined): boolean =>
      each !== undefined && parsed.matches(isScale ? undefined : each.metadata.labels);
    return chosen(object) || chosen(oldObject);
  }
}

const matchOf = (resource: ServedResource): Match => ({
  resource,
  group: resource.declaration.ref.group,
  version: resource.version,
  plural: resource.declaration.ref.plural,
});

/** The request as it was made. */
export function ownMatch({ resource, declaration }: AdmissionAttributes): Match {
  if (resource) return matchOf(resource);
  const { group, version, plural } = declaration.ref;
  return { resource: undefined, group, version, plural };
}

const includes = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes("*") || list.includes(value));

function ruleMatches(rule: RuleWithOperations, attributes: AdmissionAttributes, match: Match): boolean {
  const { resourceNames } = rule as { resourceNames?: readonly string[] };
  return (
    scopeMatches(rule.scope, attributes) &&
    includes(rule.operations, attributes.operation) &&
    includes(rule.apiGroups, match.group) &&
    includes(rule.apiVersions, match.version) &&
    resourceMatches(rule.resources ?? [], match.plural, attributes.subresource ?? "") &&
    (!resourceNames?.length || resourceNames.includes(attributes.name))
  );
}

function scopeMatches(scope: string | undefined, { declaration, namespace }: AdmissionAttributes): boolean {
  if (scope === undefined || scope === "*") return true;
  const isNamespace = declaration.ref.group === "" && declaration.ref.plural === "namespaces";
  const isNamespaced = !isNamespace && namespace !== undefined && namespace !== "";
  return scope === "Namespaced" ? isNamespaced : !isNamespaced;
}

function resourceMatches(resources: readonly string[], plural: string, subresource: string): boolean {
  return resources.some((text) => {
    const [name = "", part = ""] = text.split("/", 2);
    return (name === "*" || name === plural) && (part === "*" || part === subresource);
  });
}

/** The kind of the body in the form of a match. */
export function kindOf(attributes: AdmissionAttributes, match: Match): GroupVersionKind {
  const { object, declaration, subresource } = attributes;
  const body = subresource ? declaration.subresources?.[subresource]?.body : undefined;
  if (body) return body;
  if (object && object.kind !== declaration.ref.kind)
    return { ...parseApiVersion(object.apiVersion), kind: object.kind };
  return { group: match.group, version: match.version, kind: declaration.ref.kind };
}

/** Of a write that is shown as one of a Scale. */
const scaleShown = ({ subresource, declaration }: AdmissionAttributes) =>
  subresource === "scale" ? declaration.subresources?.["scale"]?.scale : undefined;

/** An object of the write (in the form that the registry works on) as a match shows it. Never the same object. */
export async function shownAs(
  attributes: AdmissionAttributes,
  match: Match,
  object: KubeObject | undefined,
): Promise<KubeObject | undefined> {
  if (!object) return undefined;
  const { declaration, resource } = attributes;
  if (object.kind !== declaration.ref.kind) return cloneJson(withoutEmptyMetadata(object)) as KubeObject;
  const scale = scaleShown(attributes);
  if (scale) return scaleOf(object, scale) as unknown as KubeObject;
  const apiVersion = apiVersionOf(match);
  if (object.apiVersion === apiVersion || !match.resource) return cloneJson(object) as KubeObject;
  if (declaration.converter && resource) {
    const [converted] = await declaration.converter.read([object], match.version);
    return cloneJson(converted ?? object) as KubeObject;
  }
  return cloneJson(match.resource.fromStored(object)) as KubeObject;
}

function withoutEmptyMetadata(object: KubeObject): KubeObject {
  if (Object.keys(object.metadata ?? {}).length > 0) return object;
  const { metadata: _, ...rest } = object;
  return rest as KubeObject;
}

/**
 * Puts a changed object (in the form of a match, as the one that was shown) back into the draft: decoded, converted and with
 * defaults again. True where it says something else than before. Throws DecodeError.
 */
export async function putBack(
  attributes: AdmissionAttributes,
  match: Match,
  shown: KubeObject,
  changed: KubeObject,
): Promise<boolean> {
  const { object: draft, declaration } = attributes;
  let next = normalized(attributes, match, changed);
  // Upstream keeps custom objects as they are written until they are pruned.
  const isChanged = declaration.custom
    ? !equalJson(changed, shown)
    : !equalJson(next, normalized(attributes, match, shown));
  if (!draft || !isChanged) return false;
  const scale = scaleShown(attributes);
  if (scale && draft.kind !== changed.kind) {
    putReplicas(draft, scale, (fieldsOf(next)["spec"] as Scale["spec"])?.replicas ?? 0);
    return true;
  }
  if (draft.kind === declaration.ref.kind && next.apiVersion !== draft.apiVersion) {
    if (declaration.converter) {
      const { version } = parseApiVersion(draft.apiVersion);
      next = cloneJson((await declaration.converter.read([next], version))[0] ?? next) as KubeObject;
    } else if (match.resource) next = match.resource.toStored(next);
  }
  if (draft.kind === declaration.ref.kind) declaration.strategy?.applyDefaults?.(next);
  const [target, source] = [fieldsOf(draft), fieldsOf(next)];
  for (const key of Object.keys(target)) delete target[key];
  Object.assign(target, source);
  draft.metadata ??= {};
  return true;
}

/** Of an object as a match shows it. */
export function schemaOfShown(
  { declaration }: AdmissionAttributes,
  match: Match,
  shown: KubeObject,
): Schema | undefined {
  if (shown.kind === declaration.ref.kind && match.resource) return match.resource.schema;
  return schemaFor({ ...parseApiVersion(shown.apiVersion), kind: shown.kind });
}

function normalized(attributes: AdmissionAttributes, match: Match, changed: KubeObject): KubeObject {
  const isOwnKind = changed.kind === attributes.declaration.ref.kind;
  const schema = schemaOfShown(attributes, match, changed);
  if (!schema) return changed;
  const fitting = attributes.declaration.custom && isOwnKind ? withoutUnfitMetadata(schema, changed) : changed;
  const { object } = normalizeObject(schema, fitting);
  return { ...object, apiVersion: changed.apiVersion, kind: changed.kind } as unknown as KubeObject;
}
