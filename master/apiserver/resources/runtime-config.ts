/** `--runtime-config`: which versions of kinds are served, as kube-apiserver takes it. */
import { parseApiVersion } from "#shared/api/object.ts";
import { builtInKinds } from "#shared/api/schema/facts.ts";
import { ConfigError } from "#shared/config/option.ts";
import { type ResourceDeclaration, type ServedVersion, versionsOf } from "../registry/declaration.ts";
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

/** What a setting makes of kinds: which of their versions are served. */
export interface ServedVersions {
  /** Those that are left; their versions that are off are served to nobody or, where the server's own parts work with
   *  them, within its process alone. */
  of(declarations: readonly ResourceDeclaration[]): readonly ResourceDeclaration[];
}

/** Throws ConfigError for an entry that means nothing here, and for one that would turn off what upstream's server does not run
 *  without either. */
export function servedVersions(runtimeConfig: readonly string[]): ServedVersions {
  const given = withoutOldKeys(new Map(runtimeConfig.map(keyAndValue)));
  assertRunnable(given);
  const versions = Object.entries(wholesale).flatMap(([key, matching]) => {
    const value = given.get(key);
    given.delete(key);
    if (value === undefined) return [];
    if (value !== "true" && value !== "false") throw fault(`invalid value ${key}=${value}`);
    return [{ matching, isOn: value === "true" }];
  });
  const choices = [...given].map(([key, value]) => choiceOf(key, value));
  assertKnown(choices);
  const isOn: IsOn = (group, version, plural) => {
    const named = choices.filter((choice) => choice.group === group && choice.version === version);
    const narrowest =
      named.find((choice) => choice.plural === plural) ?? named.find((choice) => choice.plural === undefined);
    return (
      narrowest?.isOn ??
      versions.findLast(({ matching }) => matching.test(version))?.isOn ??
      isGenerallyAvailable(version)
    );
  };
  return { of: (declarations) => declarations.flatMap((declaration) => chosen(declaration, isOn)) };
}

/** All kinds that are built in and served, in the order in which discovery lists their groups. */
export const servedDeclarations = (served: ServedVersions): readonly ResourceDeclaration[] =>
  served.of([...builtinDeclarations, ...optionalDeclarations]);

type IsOn = (group: string, version: string, plural: string) => boolean;

const isGenerallyAvailable = (version: string): boolean => /^v\d+$/.test(version);

function chosen(declaration: ResourceDeclaration, isOn: IsOn): ResourceDeclaration[] {
  const { ref } = declaration;
  const versions = versionsOf(declaration);
  const choose = ({ version }: ServedVersion): ServedVersion["served"] => {
    if (isOn(ref.group, version, ref.plural)) return true;
    return version === ref.version && isGenerallyAvailable(version) ? "in process" : false;
  };
  const served = versions.map((each) => ({ ...each, served: choose(each) }));
  if (served.every((each) => each.served === false)) return [];
  const isAsDeclared = served.every((each, index) => each.served === versions[index]?.served);
  return [isAsDeclared ? declaration : { ...declaration, versions: served }];
}

/** Settings without which upstream's server does not start. */
function assertRunnable(given: ReadonlyMap<string, string>): void {
  const isOff = (key: string): boolean => given.get(key) === "false";
  const flowControl = ["flowcontrol.apiserver.k8s.io/v1", "api/ga", "api/all"].find((key) => given.get(key));
  if (flowControl && isOff(flowControl))
    throw fault(`--runtime-config=${flowControl}=false conflicts with --enable-priority-and-fairness=true`);
  const registration = "apiregistration.k8s.io/v1";
  const registered = [registration, "api/ga", "api/all"].find((key) => given.get(key));
  if (registered && isOff(registered)) throw fault(`API group/version ${registration} must be enabled`);
  if (isOff("/v1")) throw fault("API group/version v1 must be enabled");
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

const fault = (message: string): ConfigError => new ConfigError(`runtime-config: ${message}`);
