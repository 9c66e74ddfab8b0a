/** `--runtime-config`: which of the kinds are served that are off otherwise, as kube-apiserver takes it. */
import { parseApiVersion } from "#shared/api/object.ts";
import { builtInKinds } from "#shared/api/schema/facts.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { ResourceDeclaration } from "../registry/declaration.ts";
import { builtinDeclarations, optionalDeclarations } from "./index.ts";

/** Keys that stand for many versions, the wider ones first: what is narrower wins. */
const wholesale: Readonly<Record<string, RegExp>> = {
  "api/all": /^/,
  "api/ga": /^v\d+$/,
  "api/beta": /^v\d+beta\d+$/,
  "api/alpha": /^v\d+alpha\d+$/,
};

/** Words of Go's strconv.ParseBool; nothing at all is true. */
const truths = new Map([
  ...["", "1", "t", "T", "true", "TRUE", "True"].map((word) => [word, true] as const),
  ...["0", "f", "F", "false", "FALSE", "False"].map((word) => [word, false] as const),
]);

/** No resources, though kinds have these names. */
const unregistered = new Set(["meta.k8s.io", "admission.k8s.io", "apidiscovery.k8s.io", "metrics.k8s.io"]);

/** One entry of the setting: all kinds of a version, or one of its resources. */
interface Choice {
  readonly key: string;
  readonly group: string;
  readonly version: string;
  readonly plural: string | undefined;
  readonly isOn: boolean;
}

/** All kinds that are served, in the order in which discovery lists their groups. Throws ConfigError for an entry that
 *  means nothing here, and for one that would turn off what is always served. */
export function servedDeclarations(runtimeConfig: readonly string[]): readonly ResourceDeclaration[] {
  const given = withoutOldKeys(new Map(runtimeConfig.map(keyAndValue)));
  const served = new Set<ResourceDeclaration>();
  for (const [key, versions] of Object.entries(wholesale)) {
    const value = given.get(key);
    given.delete(key);
    if (value !== undefined) applyToAll(`${key}=${value}`, value, versions, served);
  }
  const choices = [...given].map(([key, value]) => choiceOf(key, value));
  assertKnown(choices);
  const byWidth = [
    ...choices.filter(({ plural }) => plural === undefined),
    ...choices.filter(({ plural }) => plural !== undefined),
  ];
  for (const choice of byWidth) apply(choice, served);
  return [...builtinDeclarations, ...optionalDeclarations.filter((declaration) => served.has(declaration))];
}

function keyAndValue(entry: string): readonly [string, string] {
  const at = entry.indexOf("=");
  return at < 0 ? [entry.trim(), ""] : [entry.slice(0, at).trim(), entry.slice(at + 1).trim()];
}

/** Keys from before the core group was named as others are; kube-apiserver puts them so before it looks at any. */
function withoutOldKeys(given: ReadonlyMap<string, string>): Map<string, string> {
  const core = /^(?:api\/)?v1(?:\/|$)/;
  const named = [...given].filter(([key]) => key !== "api/legacy");
  return new Map(named.map(([key, value]) => [core.test(key) ? "/v1" : key, value]));
}

function applyToAll(entry: string, value: string, versions: RegExp, served: Set<ResourceDeclaration>): void {
  if (value !== "true" && value !== "false") throw fault(`invalid value ${entry}`);
  if (value === "false" && versions.test("v1")) throw alwaysServed(entry);
  for (const declaration of optionalDeclarations)
    if (versions.test(declaration.ref.version)) put(served, declaration, value === "true");
}

function choiceOf(key: string, value: string): Choice {
  const [first = "", second = "", plural, ...more] = key.split("/");
  if (!key.includes("/") || more.length > 0) throw fault(`runtime-config invalid key ${key}`);
  const { group, version } = parseApiVersion(first === "" ? second : `${first}/${second}`);
  const isOn = truths.get(value);
  if (isOn === undefined)
    throw fault(
      `invalid value of ${key}: ${value}, err: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
    );
  if (plural !== undefined && plural !== plural.toLowerCase())
    throw fault(
      `invalid key ${key}: group/version/resource and resource is always lowercase plural, not ${JSON.stringify(plural)}`,
    );
  return { key, group, version, plural, isOn };
}

function assertKnown(choices: readonly Choice[]): void {
  if (choices.length === 0) return;
  const versions = new Map<string, Set<string>>();
  for (const { group, version } of builtInKinds()) {
    if (unregistered.has(group)) continue;
    versions.set(group, (versions.get(group) ?? new Set()).add(version));
  }
  const unknown = choices.filter(({ group }) => !versions.has(group)).map(({ group }) => group);
  if (unknown.length > 0) throw fault(`unknown api groups ${unknown.join(",")}`);
  for (const { group, version } of choices)
    if (!versions.get(group)?.has(version))
      throw fault(`group version ${group === "" ? version : `${group}/${version}`} that has not been registered`);
}

function apply({ key, isOn, ...asked }: Choice, served: Set<ResourceDeclaration>): void {
  const optional = optionalDeclarations.filter(({ ref }) => isMeant(asked, ref.group, ref.version, ref.plural));
  for (const declaration of optional) put(served, declaration, isOn);
  if (optional.length === 0 && !isOn) throw alwaysServed(`${key}=false`);
}

const isMeant = (asked: Pick<Choice, "group" | "version" | "plural">, group: string, version: string, plural: string) =>
  asked.group === group && asked.version === version && (asked.plural ?? plural) === plural;

function put(served: Set<ResourceDeclaration>, declaration: ResourceDeclaration, isOn: boolean): void {
  if (isOn) served.add(declaration);
  else served.delete(declaration);
}

const fault = (message: string): ConfigError => new ConfigError(`runtime-config: ${message}`);
/** Upstream lets it go; the cluster's own parts need it here. */
const alwaysServed = (entry: string): ConfigError => fault(`${entry}: generally available versions are always served`);
