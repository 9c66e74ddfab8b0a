/** Who is meant by a token, by the mappings and rules of an AuthenticationConfiguration (KEP-3331). */
import type { JWTPayload } from "jose";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { Expression } from "#shared/cel/ast.ts";
import type { Environment } from "#shared/cel/checker.ts";
import { FunctionTable } from "#shared/cel/functions.ts";
import { kubernetesLibrary } from "#shared/cel/kubernetes-library.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { standardLibrary } from "#shared/cel/standard-library.ts";
import { bool, dyn, listOf, mapOf, string, type Type } from "#shared/cel/types.ts";
import { fromJson, toJson, type Value } from "#shared/cel/values.ts";
import { userInfoType } from "../admission/policies/environment.ts";
import type { User } from "../request.ts";
import { assertVerified, credentialOf, groupsOf, nameIn } from "./jwt-tokens.ts";
import { TokenError } from "./token-authenticator.ts";

export interface PrefixedClaim {
  readonly claim?: string;
  readonly prefix?: string;
  readonly expression?: string;
}

export interface ClaimMappings {
  readonly username?: PrefixedClaim;
  readonly groups?: PrefixedClaim;
  readonly uid?: { readonly claim?: string; readonly expression?: string };
  readonly extra?: readonly { readonly key?: string; readonly valueExpression?: string }[];
}

export interface ClaimRule {
  readonly claim?: string;
  readonly requiredValue?: string;
  readonly expression?: string;
  readonly message?: string;
}

export interface UserRule {
  readonly expression?: string;
  readonly message?: string;
}

export interface Mapped {
  readonly claimMappings?: ClaimMappings;
  readonly claimValidationRules?: readonly ClaimRule[];
  readonly userValidationRules?: readonly UserRule[];
}

const COST_LIMIT = 1_000_000;
const functions = new FunctionTable(standardLibrary, kubernetesLibrary);
const claimsType = mapOf(string, dyn);
const ofClaims: Environment = { variables: new Map([["claims", claimsType]]), functions };
const ofUser: Environment = { variables: new Map([["user", userInfoType]]), functions };
const texts = listOf(string);

/** A fault of the file, at a field. */
export type Report = (field: string, problem: string) => void;

/** Upstream decodes the file strictly: nobody must take a rule for one that holds because its name is misspelled. */
export function onlyFields(object: object, known: readonly string[], field: string, report: Report): void {
  for (const name of Object.keys(object ?? {}))
    if (!known.includes(name)) report(field === "" ? name : `${field}.${name}`, "unknown field");
}

/** Compiles what the file says. Faults are reported, and what is made then is not to be used. */
export function userMapper(mapped: Mapped, field: string, report: Report): (claims: JWTPayload) => User {
  const { claimMappings = {}, claimValidationRules = [], userValidationRules = [] } = mapped;
  const compile = (at: string, source: string, environment: Environment, gives: readonly Type[]): Program | undefined =>
    compiled(`${field}.${at}`, source, environment, gives, report);
  checkFields(mapped, field, report);
  checkMappings(mapped, field, report);
  const { username = {}, groups = {}, uid = {}, extra = [] } = claimMappings;
  const mapping = (at: string, from: PrefixedClaim, gives: readonly Type[]): Program | undefined =>
    from.expression ? compile(`claimMappings.${at}.expression`, from.expression, ofClaims, gives) : undefined;
  const programs = {
    username: mapping("username", username, [string]),
    groups: mapping("groups", groups, [string, texts]),
    uid: mapping("uid", uid, [string]),
  };
  const extras = extra.map(({ key = "", valueExpression = "" }, index) => ({
    key,
    program: compile(`claimMappings.extra[${index}].valueExpression`, valueExpression, ofClaims, [string, texts]),
  }));
  const claimRules = claimValidationRules.map((rule, index) => ({
    ...rule,
    program: rule.expression
      ? compile(`claimValidationRules[${index}].expression`, rule.expression, ofClaims, [bool])
      : undefined,
  }));
  const userRules = userValidationRules.map(({ expression = "", message }, index) => ({
    expression,
    message,
    program: compile(`userValidationRules[${index}].expression`, expression, ofUser, [bool]),
  }));
  const programsOf = (all: readonly { readonly program: Program | undefined }[]) => all.map(({ program }) => program);
  checkEmail(
    { username: programs.username, extras: programsOf(extras), claimRules: programsOf(claimRules) },
    field,
    report,
  );
  return (claims) => {
    const variable = fromJson(claims, claimsType);
    const value = (program: Program, what: string): unknown => toJson(run(program, "claims", variable, what));
    for (const rule of claimRules) assertClaim(rule, claims, variable);
    const user = {
      name: programs.username
        ? textIn(value(programs.username, "username"), "username")
        : (username.prefix ?? "") + nameIn(claims, username.claim ?? "", "username"),
      groups: programs.groups
        ? textsIn(value(programs.groups, "groups"), "groups")
        : groupsOf(groups.claim ? claims[groups.claim] : undefined, groups.claim ?? "").map(
            (group) => (groups.prefix ?? "") + group,
          ),
      ...uidOf(
        programs.uid ? textIn(value(programs.uid, "uid"), "uid") : uid.claim && nameIn(claims, uid.claim, "uid"),
      ),
      ...extraOf([
        ...Object.entries(credentialOf(claims)),
        ...extras.map(({ key, program }) => [key, program ? textsIn(value(program, key), key) : []] as const),
      ]),
    };
    assertVerified(claims, username.claim ?? "");
    assertUser(user, userRules);
    return user;
  };
}

const uidOf = (uid: string | undefined): Pick<User, "uid"> => (uid ? { uid } : {});

function extraOf(all: readonly (readonly [string, readonly string[]])[]): Pick<User, "extra"> {
  const given = all.filter(([, values]) => values.length > 0);
  return given.length > 0 ? { extra: Object.fromEntries(given) } : {};
}

function compiled(
  field: string,
  source: string,
  environment: Environment,
  gives: readonly Type[],
  report: Report,
): Program | undefined {
  if (source === "") {
    report(field, "Required value: expression is required");
    return undefined;
  }
  try {
    const program = Program.compile(source, environment);
    if (gives.some((type) => program.gives(type))) return program;
    report(field, `must evaluate to ${gives.map(({ kind }) => kind).join(" or ")}`);
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    report(field, error.told);
  }
  return undefined;
}

function checkFields({ claimMappings = {}, ...rules }: Mapped, field: string, report: Report): void {
  const { username = {}, groups = {}, uid = {}, extra = [] } = claimMappings;
  const only = (object: object, at: string, ...known: string[]): void =>
    onlyFields(object, known, `${field}.${at}`, report);
  only(claimMappings, "claimMappings", "username", "groups", "uid", "extra");
  only(username, "claimMappings.username", "claim", "prefix", "expression");
  only(groups, "claimMappings.groups", "claim", "prefix", "expression");
  only(uid, "claimMappings.uid", "claim", "expression");
  for (const [index, each] of extra.entries()) only(each, `claimMappings.extra[${index}]`, "key", "valueExpression");
  for (const [index, rule] of (rules.claimValidationRules ?? []).entries())
    only(rule, `claimValidationRules[${index}]`, "claim", "requiredValue", "expression", "message");
  for (const [index, rule] of (rules.userValidationRules ?? []).entries())
    only(rule, `userValidationRules[${index}]`, "expression", "message");
}

/** Each thing comes from a claim or from an expression, and names that two issuers could give are told apart. */
function checkMappings({ claimMappings = {}, claimValidationRules = [] }: Mapped, field: string, report: Report): void {
  const { username = {}, groups = {}, uid = {}, extra = [] } = claimMappings;
  const at = `${field}.claimMappings`;
  if (!username.claim && !username.expression) report(`${at}.username`, "claim or expression is required");
  for (const [name, from] of Object.entries({ username, groups, uid } as Record<string, PrefixedClaim>)) {
    if (from.claim && from.expression) report(`${at}.${name}`, "claim and expression can't both be set");
    if (from.expression && from.prefix !== undefined)
      report(`${at}.${name}.prefix`, "prefix can't be set when expression is set");
    if (name !== "uid" && from.claim && from.prefix === undefined)
      report(
        `${at}.${name}.prefix`,
        "prefix is required when claim is set. It can be set to an empty string to disable prefixing",
      );
  }
  checkExtra(extra, at, report);
  checkClaimRules(claimValidationRules, field, report);
}

function checkExtra(extra: NonNullable<ClaimMappings["extra"]>, at: string, report: Report): void {
  const seen = new Set<string>();
  for (const [index, { key = "" }] of extra.entries()) {
    if (!/^[a-z0-9.-]+\/\S+$/.test(key) || key !== key.toLowerCase())
      report(`${at}.extra[${index}].key`, `${JSON.stringify(key)}: expected a lower-case path with a domain before it`);
    if (/(^|\.)(k8s|kubernetes)\.io\//.test(key))
      report(`${at}.extra[${index}].key`, "k8s.io and kubernetes.io are reserved");
    if (seen.has(key)) report(`${at}.extra[${index}].key`, "Duplicate value");
    seen.add(key);
  }
}

function checkClaimRules(rules: readonly ClaimRule[], field: string, report: Report): void {
  for (const [index, { claim, requiredValue, expression, message }] of rules.entries()) {
    const rule = `${field}.claimValidationRules[${index}]`;
    if (!claim && !expression) report(rule, "claim or expression is required");
    if (claim && (expression || message)) report(rule, "claim and expression or message can't both be set");
    if (expression && requiredValue) report(rule, "requiredValue can't be set when expression is set");
  }
}

interface Compiled {
  readonly username: Program | undefined;
  readonly extras: readonly (Program | undefined)[];
  readonly claimRules: readonly (Program | undefined)[];
}

/** Whoever takes an address for a name must look whether it is verified. */
function checkEmail({ username, extras, claimRules }: Compiled, field: string, report: Report): void {
  if (!username || !selectsClaim(username, "email")) return;
  if ([username, ...extras, ...claimRules].some((program) => program && selectsClaim(program, "email_verified")))
    return;
  report(
    `${field}.claimMappings.username.expression`,
    "claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression",
  );
}

/** `claims.NAME`, `claims.?NAME` or `claims['NAME']` anywhere in an expression, whose text may name a claim in a string, too. */
const selectsClaim = ({ expression }: Program, name: string): boolean => isWithin(expression, name);

function isWithin(node: unknown, name: string): boolean {
  if (typeof node !== "object" || node === null) return false;
  return isClaim(node as Expression, name) || Object.values(node).some((child) => isWithin(child, name));
}

function isClaim(node: Expression, name: string): boolean {
  if (node.kind !== "select" && node.kind !== "index") return false;
  if (node.operand.kind !== "identifier" || node.operand.name !== "claims") return false;
  if (node.kind === "select") return node.field === name;
  return node.index.kind === "literal" && node.index.value.value === name;
}

function run(program: Program, name: string, variable: Value, what: string): Value {
  try {
    return program.run((asked) => (asked === name ? variable : undefined), COST_LIMIT);
  } catch (error) {
    throw new TokenError(`oidc: ${what}: ${messageOf(error)}`);
  }
}

function assertClaim(
  rule: ClaimRule & { readonly program: Program | undefined },
  claims: JWTPayload,
  variable: Value,
): void {
  const { claim = "", requiredValue = "", program, expression, message } = rule;
  if (!program) {
    if (claims[claim] === undefined) throw new TokenError(`oidc: required claim ${claim} not present in ID token`);
    if (claims[claim] !== requiredValue) throw new TokenError(`oidc: required claim ${claim} does not match`);
    return;
  }
  if (run(program, "claims", variable, "claim validation") !== true)
    throw new TokenError(`oidc: error evaluating claim validation expression: ${failed(expression, message)}`);
}

interface CompiledUserRule {
  readonly expression: string;
  readonly message: string | undefined;
  readonly program: Program | undefined;
}

function assertUser({ name, uid, groups, extra }: User, rules: readonly CompiledUserRule[]): void {
  if (name === "") throw new TokenError("oidc: the username is empty");
  const info = { username: name, uid: uid ?? "", groups, extra: extra ?? {} };
  const variable = fromJson(info, userInfoType);
  for (const { program, expression, message } of rules) {
    if (program && run(program, "user", variable, "user validation") !== true)
      throw new TokenError(`oidc: error evaluating user info validation rule: ${failed(expression, message)}`);
  }
}

const failed = (expression = "", message = ""): string =>
  message === ""
    ? `validation expression '${expression}' failed`
    : `validation expression '${expression}' failed: ${message}`;

function textIn(value: unknown, what: string): string {
  if (typeof value !== "string" || value === "")
    throw new TokenError(`oidc: ${what}: expected a text that is not empty`);
  return value;
}

/** A text, a list, or nothing. */
function textsIn(value: unknown, what: string): string[] {
  if (value === null || value === "") return [];
  const list = Array.isArray(value) ? value : [value];
  if (!list.every((each) => typeof each === "string")) throw new TokenError(`oidc: ${what}: expected texts`);
  return list.filter((each) => each !== "");
}
