/** Policies of a file, one a line (upstream's pkg/auth/authorizer/abac): what one of them fits may be done. */
import { readFileSync } from "node:fs";
import { isJsonObject, type JsonObject } from "#shared/api/patch/json-value.ts";
import type { PolicyRule } from "#shared/api/types/rbac-v1.generated.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { User } from "../request.ts";
import type { Attributes, Authorizer, Decision } from "./authorizer.ts";

/** A field that is "" fits only what has nothing there, `*` everything. */
export interface AbacPolicy {
  readonly user: string;
  readonly group: string;
  readonly readonly: boolean;
  readonly apiGroup: string;
  readonly resource: string;
  readonly namespace: string;
  readonly nonResourcePath: string;
}

const apiVersion = "abac.authorization.kubernetes.io/v1beta1";
const everybody = "system:authenticated";
const reading = ["get", "list", "watch"];

export class AbacAuthorizer implements Authorizer {
  constructor(private readonly policies: readonly AbacPolicy[]) {}

  authorize(attributes: Attributes): Decision {
    return this.policies.some((policy) => allows(policy, attributes))
      ? { outcome: "allow", reason: "" }
      : { outcome: "no-opinion", reason: "No policy matched." };
  }

  /** What a user may do in a namespace, as SelfSubjectRulesReview lists it. */
  rulesFor(user: User, namespace: string): PolicyRule[] {
    const own = this.policies.filter((policy) => isOf(policy, user) && fits(policy.namespace, namespace));
    return own.flatMap(({ readonly, apiGroup, resource, nonResourcePath }): PolicyRule[] => {
      const verbs = readonly ? [...reading] : ["*"];
      return [
        ...(resource === "" ? [] : [{ verbs, apiGroups: [apiGroup], resources: [resource] }]),
        ...(nonResourcePath === "" ? [] : [{ verbs, nonResourceURLs: [nonResourcePath] }]),
      ];
    });
  }
}

const fits = (wanted: string, given: string): boolean => wanted === "*" || wanted === given;

function allows(policy: AbacPolicy, { user, verb, isResourceRequest, ...asked }: Attributes): boolean {
  if (!isOf(policy, user) || (policy.readonly && !reading.includes(verb))) return false;
  if (!isResourceRequest) return fitsPath(policy.nonResourcePath, asked.path);
  const { namespace = "", resource, group } = asked;
  return fits(policy.namespace, namespace) && fits(policy.resource, resource) && fits(policy.apiGroup, group);
}

/** One that names neither user nor group is nobody's. */
function isOf({ user, group }: AbacPolicy, { name, groups }: User): boolean {
  if (user === "" && group === "") return false;
  return (user === "" || user === name) && (group === "" || groups.includes(group));
}

const fitsPath = (pattern: string, path: string): boolean =>
  pattern === path || (pattern.endsWith("*") && path.startsWith(pattern.replace(/\*+$/, "")));

/** Throws ConfigError, worded as upstream, with the line that is none. */
export function readAbacPolicies(path: string): AbacPolicy[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`error reading policy file ${path}: ${(error as Error).message}`);
  }
  return text.split("\n").flatMap((line, index) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) return [];
    try {
      return [policyOf(JSON.parse(trimmed))];
    } catch (error) {
      throw new ConfigError(
        `error reading policy file ${path}, line ${index + 1}: ${line}: ${(error as Error).message}`,
      );
    }
  });
}

/** Throws Error. */
function policyOf(value: unknown): AbacPolicy {
  if (!isJsonObject(value)) throw new Error("expected an object");
  if (value["apiVersion"] === undefined && value["kind"] === undefined) return ofOldForm(fieldsOf(value));
  if (value["apiVersion"] !== apiVersion || value["kind"] !== "Policy")
    throw new Error(`no kind "${String(value["kind"])}" is registered for version "${String(value["apiVersion"])}"`);
  return forEverybody(fieldsOf(isJsonObject(value["spec"]) ? value["spec"] : {}));
}

function fieldsOf(given: JsonObject): AbacPolicy {
  const text = (name: string): string => {
    const value = given[name] ?? "";
    if (typeof value !== "string") throw new Error(`${name}: expected text, got ${JSON.stringify(value)}`);
    return value;
  };
  const readonly = given["readonly"] ?? false;
  if (typeof readonly !== "boolean")
    throw new Error(`readonly: expected true or false, got ${JSON.stringify(readonly)}`);
  return {
    user: text("user"),
    group: text("group"),
    readonly,
    apiGroup: text("apiGroup"),
    resource: text("resource"),
    namespace: text("namespace"),
    nonResourcePath: text("nonResourcePath"),
  };
}

/** `*` as user or group is whoever has signed in. */
const forEverybody = (policy: AbacPolicy): AbacPolicy =>
  policy.user === "*" || policy.group === "*" ? { ...policy, user: "", group: everybody } : policy;

/** Without a version: what is left out there stands for everything. */
function ofOldForm(given: AbacPolicy): AbacPolicy {
  const { user, namespace, resource } = given;
  const policy: AbacPolicy = {
    ...given,
    group: user === "" && given.group === "" ? everybody : given.group,
    apiGroup: "*",
    namespace: namespace || "*",
    resource: resource || "*",
    nonResourcePath: namespace === "" && resource === "" ? "*" : "",
  };
  return forEverybody(policy);
}
