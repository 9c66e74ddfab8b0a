/** EncryptionConfiguration (apiserver.config.k8s.io/v1), upstream's --encryption-provider-config, refused in upstream's words. */
import { goDurationFault, parseGoDuration_ms } from "#shared/api/go-duration.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import { readDocument } from "#shared/config/document.ts";
import type { Field } from "#shared/config/field.ts";
import { socketUrl } from "#shared/grpc/socket-url.ts";
import { GroupResource } from "./group-resource.ts";
import { type Cipher, ciphers, keyLengths, type NamedKey } from "./local-ciphers.ts";

export interface KmsConfiguration {
  readonly name: string;
  readonly endpoint: URL;
  readonly timeout_ms: number;
}

export type Provider =
  | { readonly kind: "keys"; readonly keys: readonly NamedKey[] }
  | { readonly kind: "kms"; readonly kms: KmsConfiguration }
  | { readonly kind: "identity" };

interface Rule {
  readonly resources: readonly GroupResource[];
  /** The first writes. */
  readonly providers: readonly Provider[];
}

export interface EncryptionConfiguration {
  /** The first that speaks of a resource decides. */
  readonly rules: readonly Rule[];
}

/** Paths of the key services' sockets, but for those in the abstract namespace. */
export const keyServiceSockets = ({ rules }: EncryptionConfiguration): string[] =>
  rules
    .flatMap(({ providers }) => providers)
    .flatMap((provider) => (provider.kind === "kms" ? [decodeURIComponent(provider.kms.endpoint.pathname)] : []))
    .filter((path) => !path.startsWith("/@"));

/** What is read of the items before one. */
interface Known {
  readonly resources: GroupResource[];
  readonly kmsNames: Set<string>;
}

/** Throws ConfigError that names all faults of the text. */
export function parseEncryptionConfiguration(text: string, path: string): EncryptionConfiguration {
  const rules = readDocument(text, path, "EncryptionConfiguration", (root) => {
    const fields = root.fields(["apiVersion", "kind", "resources"]);
    fields.apiVersion.choice("", ["apiserver.config.k8s.io/v1"]);
    fields.kind.choice("", ["EncryptionConfiguration"]);
    const known: Known = { resources: [], kmsNames: new Set() };
    return required(fields.resources).map((item) => readRule(item, known));
  });
  return { rules };
}

/** The items of a list that may not be empty. */
function required(field: Field, what = field.path): Field[] {
  const items = field.items();
  if (items.length === 0) field.complain(`Required value: at least one ${what} is required`);
  return items;
}

function readRule(item: Field, known: Known): Rule {
  const { resources, providers } = item.fields(["resources", "providers"]);
  const names = required(resources).map((one) => ({ at: one, resource: GroupResource.parse(one.text()) }));
  const own = names.map(({ resource }) => resource);
  checkOverlap(own, resources);
  for (const { at, resource } of names) {
    const fault = at.value === "*" ? allOfWhat : resource.fault();
    if (fault !== undefined) at.complain(`Invalid value: ${goQuote(at.text())}: ${fault}`);
    const mask = known.resources.find((before) => before.masks(resource));
    if (mask) at.complain(`resource ${goQuote(resource.text)} is masked by earlier rule ${goQuote(mask.text)}`);
  }
  const read = required(providers).map((one) => readProvider(one, known.kmsNames));
  known.resources.push(...own);
  return { resources: own, providers: read.filter((each) => each !== undefined) };
}

const allOfWhat = "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources";

function checkOverlap(resources: readonly GroupResource[], field: Field): void {
  const invalid = (why: string): void => field.complain(`Invalid value: ${JSON.stringify(field.value)}: ${why}`);
  const pairs = resources.flatMap((one, index) => resources.slice(index + 1).map((other) => [one, other] as const));
  if (pairs.some(([one, other]) => one.equals(other))) invalid("the same resource cannot be specified multiple times");
  if (pairs.some(([one, other]) => !one.equals(other) && (one.masks(other) || other.masks(one))))
    invalid(
      "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked",
    );
}

/** Undefined for what is none. */
function readProvider(field: Field, kmsNames: Set<string>): Provider | undefined {
  const found = field.fields([...ciphers, "identity", "kms"]);
  const given = Object.values(found).filter(({ isAbsent }) => !isAbsent);
  if (given.length !== 1) {
    field.complain(
      given.length === 0
        ? "Invalid value: {}: provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
        : 'Invalid value: "REDACTED": more than one provider specified in a single element, should split into different list elements',
    );
    return undefined;
  }
  if (!found.kms.isAbsent) return { kind: "kms", kms: readKms(found.kms, kmsNames) };
  const cipher = ciphers.find((each) => !found[each].isAbsent);
  return cipher ? { kind: "keys", keys: readKeys(cipher, found[cipher]) } : { kind: "identity" };
}

function readKeys(cipher: Cipher, field: Field): NamedKey[] {
  return required(field.fields(["keys"]).keys, "keys").map((item) => {
    const { name, secret } = item.fields(["name", "secret"]);
    if (name.text() === "") name.complain("Required value: name is a mandatory field for a key");
    if (name.text().includes(":")) name.complain("a name has no colon");
    return { cipher, name: name.text(), secret: readSecret(secret, keyLengths[cipher]) };
  });
}

function readSecret(field: Field, lengths: readonly number[]): Buffer {
  const text = field.text();
  const decoded = Buffer.from(text, "base64");
  const hidden = 'Invalid value: "REDACTED"';
  if (text === "") field.complain("Required value: secret is a mandatory field for a key");
  else if (!isBase64.test(text.replace(/[\r\n]/g, ""))) field.complain(`${hidden}: secrets must be base64 encoded`);
  else if (!lengths.includes(decoded.length))
    field.complain(
      `${hidden}: secret is not of the expected length, got ${decoded.length}, expected one of [${lengths.join(" ")}]`,
    );
  return decoded;
}

const isBase64 = /^([A-Za-z\d+/]{4})*([A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/;
const default_timeout = "3s";

function readKms(field: Field, names: Set<string>): KmsConfiguration {
  const { apiVersion, name, cachesize, endpoint, timeout } = field.fields([
    "apiVersion",
    "name",
    "cachesize",
    "endpoint",
    "timeout",
  ]);
  const version = apiVersion.text() || "v1";
  readKmsName(name, version, names);
  const kms = { name: name.text(), timeout_ms: readTimeout(timeout), endpoint: readEndpoint(endpoint) };
  if (version !== "v1" && !cachesize.isAbsent)
    cachesize.complain(`Invalid value: ${JSON.stringify(cachesize.value)}: cachesize is not supported in v2`);
  if (version === "v1" && cachesize.value === 0)
    cachesize.complain("Invalid value: 0: cachesize should be a positive value, or negative to disable");
  if (version === "v1")
    field.complain(
      "KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead (apiVersion: v2)",
    );
  else if (version !== "v2")
    apiVersion.complain(
      `Invalid value: ${goQuote(version)}: unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported`,
    );
  return kms;
}

function readKmsName(field: Field, version: string, names: Set<string>): void {
  const name = field.text();
  const invalid = (why: string): void => field.complain(`Invalid value: ${goQuote(name)}: ${why}`);
  if (name === "") field.complain("Required value: name is a mandatory field for a provider");
  if (version !== "v1" && name.includes(":")) invalid(`invalid KMS provider name ${name}, must not contain ':'`);
  if (names.has(name)) invalid(`duplicate KMS provider name ${name}, names must be unique`);
  names.add(name);
}

function readTimeout(field: Field): number {
  const text = field.text(default_timeout);
  const parsed_ms = parseGoDuration_ms(text);
  if (parsed_ms === undefined) field.complain(goDurationFault(text));
  else if (parsed_ms <= 0) field.complain(`Invalid value: ${goQuote(text)}: timeout should be a positive value`);
  return parsed_ms ?? 0;
}

/** Of a Unix socket, by its path; `/@name` is one in the abstract namespace. */
function readEndpoint(field: Field): URL {
  const text = field.text();
  const fault = endpointFault(text);
  if (fault !== undefined) field.complain(`Invalid value: ${goQuote(text)}: ${fault}`);
  const [, path = ""] = /^unix:(?:\/\/[^/?#]*)?([^?#]*)/i.exec(text) ?? [];
  return fault === undefined ? socketUrl(decodeURIComponent(path)) : new URL("unix:///");
}

function endpointFault(text: string): string | undefined {
  if (text === "") return "endpoint is a mandatory field for a kms";
  const [badEscape] = /%(?![\da-f]{2}).{0,2}/i.exec(text) ?? [];
  const cannot = (why: string): string => `invalid endpoint for kms provider, error: parse ${goQuote(text)}: ${why}`;
  if (badEscape !== undefined) return cannot(`invalid URL escape ${goQuote(badEscape)}`);
  if (text.startsWith(":")) return cannot("missing protocol scheme");
  const [, scheme = ""] = /^([a-z][a-z\d+.-]*):/i.exec(text) ?? [];
  if (scheme.toLowerCase() === "unix") return undefined;
  return `unsupported scheme ${goQuote(scheme.toLowerCase())} for KMS provider, only unix is supported`;
}
