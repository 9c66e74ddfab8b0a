/** `authorizer` in CEL: whether the caller may do something else, too (KEP-3488). */
import { type Implementation, type Overload, overload } from "#shared/cel/functions.ts";
import { opaque, type Type } from "#shared/cel/types.ts";
import { CelError, type Opaque, type Value } from "#shared/cel/values.ts";
import type { Attributes, Decision } from "../../authz/authorizer.ts";
import type { User } from "../../request.ts";

export const authorizerType: Type = opaque("kubernetes.authorization.Authorizer");
export const resourceCheckType: Type = opaque("kubernetes.authorization.ResourceCheck");

/** Thrown where a decision is not there yet: it is asked for, and the expression is run again. */
export class DecisionNeeded extends Error {
  override readonly name = "DecisionNeeded";
  constructor(
    readonly key: string,
    readonly attributes: Attributes,
  ) {
    super("a decision has to be waited for");
  }
}

/** Decisions of one request that are known. */
export type Decisions = ReadonlyMap<string, Decision>;

abstract class Check implements Opaque {
  abstract readonly opaqueType: string;
  equals(other: Opaque): boolean {
    return other === this;
  }
}

class AuthorizerValue extends Check {
  readonly opaqueType = "kubernetes.authorization.Authorizer";
  constructor(
    readonly user: User,
    readonly decisions: Decisions,
  ) {
    super();
  }
}

class PathCheck extends Check {
  readonly opaqueType = "kubernetes.authorization.PathCheck";
  constructor(
    readonly authorizer: AuthorizerValue,
    readonly path: string,
  ) {
    super();
  }
}

class GroupCheck extends Check {
  readonly opaqueType = "kubernetes.authorization.GroupCheck";
  constructor(
    readonly authorizer: AuthorizerValue,
    readonly group: string,
  ) {
    super();
  }
}

interface Resource {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
}

class ResourceCheck extends Check {
  readonly opaqueType = "kubernetes.authorization.ResourceCheck";
  constructor(
    readonly authorizer: AuthorizerValue,
    readonly resource: Resource,
  ) {
    super();
  }
  with(more: Partial<Resource>): ResourceCheck {
    return new ResourceCheck(this.authorizer, { ...this.resource, ...more });
  }
}

class DecisionValue extends Check {
  readonly opaqueType = "kubernetes.authorization.Decision";
  constructor(readonly decision: Decision) {
    super();
  }
}

/** `authorizer` and `authorizer.requestResource` of a request. */
export function authorizerOf(user: User, decisions: Decisions): Value {
  return new AuthorizerValue(user, decisions);
}

export function requestResourceOf(user: User, decisions: Decisions, resource: Resource): Value {
  return new ResourceCheck(new AuthorizerValue(user, decisions), resource);
}

function decided({ user, decisions }: AuthorizerValue, attributes: Omit<Attributes, "user">): DecisionValue {
  const whole = { ...attributes, user };
  const key = JSON.stringify(whole);
  const known = decisions.get(key);
  if (!known) throw new DecisionNeeded(key, whole);
  return new DecisionValue(known);
}

function checkPath({ authorizer, path }: PathCheck, verb: string): Value {
  return decided(authorizer, { verb, isResourceRequest: false, path, group: "", version: "", resource: "" });
}

function checkResource({ authorizer, resource }: ResourceCheck, verb: string): Value {
  return decided(authorizer, { verb, isResourceRequest: true, path: "", version: "*", ...resource });
}

function asServiceAccount({ decisions }: AuthorizerValue, namespace: string, name: string): Value {
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) throw new CelError("Invalid service account name");
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(namespace)) throw new CelError("Invalid service account namespace");
  const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
  return new AuthorizerValue({ name: `system:serviceaccount:${namespace}:${name}`, groups }, decisions);
}

const A = "kubernetes.authorization.Authorizer";
const P = "kubernetes.authorization.PathCheck";
const G = "kubernetes.authorization.GroupCheck";
const R = "kubernetes.authorization.ResourceCheck";
const D = "kubernetes.authorization.Decision";

const refined = (field: keyof Resource, name: string = field): Overload =>
  overload(
    `${R}.${name}(string) -> ${R}`,
    (check: ResourceCheck, value: string) => check.with({ [field]: value }) as unknown as Value,
  );

export const authorizerLibrary: readonly Overload[] = [
  overload(
    `${A}.path(string) -> ${P}`,
    (authorizer: AuthorizerValue, path: string) => new PathCheck(authorizer, path) as unknown as Value,
  ),
  overload(
    `${A}.group(string) -> ${G}`,
    (authorizer: AuthorizerValue, group: string) => new GroupCheck(authorizer, group) as unknown as Value,
  ),
  overload(`${A}.serviceAccount(string, string) -> ${A}`, asServiceAccount as Implementation),
  overload(
    `${G}.resource(string) -> ${R}`,
    (check: GroupCheck, resource: string) =>
      new ResourceCheck(check.authorizer, { group: check.group, resource }) as unknown as Value,
  ),
  refined("subresource"),
  refined("namespace"),
  refined("name"),
  refined("fieldSelector"),
  refined("labelSelector"),
  overload(`${P}.check(string) -> ${D}`, checkPath as Implementation),
  overload(`${R}.check(string) -> ${D}`, checkResource as Implementation),
  overload(`${D}.allowed() -> bool`, ({ decision }: DecisionValue) => decision.outcome === "allow"),
  overload(`${D}.reason() -> string`, ({ decision }: DecisionValue) => decision.reason),
  overload(`${D}.errored() -> bool`, () => false),
  overload(`${D}.error() -> string`, () => ""),
];
