import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { readDocument } from "#shared/config/document.ts";
import type { Field } from "#shared/config/field.ts";
import { ConfigError, parseDuration_ms } from "#shared/config/option.ts";
import type { TokenAttributes } from "./account-tokens.ts";

/** One exec plugin that knows credentials of image registries (kubelet.config.k8s.io/v1, CredentialProvider). */
export interface CredentialProvider {
  /** Of its program, in the folder of plugins. */
  readonly name: string;
  readonly matchImages: readonly string[];
  readonly defaultCache_ms: number;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What it is told of the pod's service account; nothing when absent. */
  readonly tokenAttributes?: TokenAttributes | undefined;
}

export const requestVersion = "credentialprovider.kubelet.k8s.io/v1";
const configKind = "CredentialProviderConfig";
const configVersion = "kubelet.config.k8s.io/v1";

/**
 * Reads a CredentialProviderConfig, or the files `*.yaml`, `*.yml` and `*.json` of a folder in their names' order. Throws
 * ConfigError that names all that is wrong.
 */
export function readCredentialProviders(path: string): CredentialProvider[] {
  let providers: CredentialProvider[];
  try {
    const files = statSync(path).isDirectory()
      ? readdirSync(path)
          .filter((name) => /\.(yaml|yml|json)$/.test(name))
          .sort()
          .map((name) => join(path, name))
      : [path];
    providers = files.flatMap((file) => parseCredentialProviders(readFileSync(file, "utf8"), file));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`image-credential-provider-config: ${(error as Error).message}`);
  }
  const names = providers.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new ConfigError(`${path}: provider ${JSON.stringify(twice)} is there twice`);
  return providers;
}

/** From the text of a file (pure); `path` is for messages. Throws ConfigError. */
export const parseCredentialProviders = (text: string, path: string): CredentialProvider[] =>
  readDocument(text, path, configKind, (root) => {
    const { apiVersion, kind, providers } = root.fields(["apiVersion", "kind", "providers"]);
    if (apiVersion.text() !== configVersion) apiVersion.complain(`expected ${configVersion}`);
    if (kind.text() !== configKind) kind.complain(`expected ${configKind}`);
    const found = providers.items().map(parseProvider);
    if (found.length === 0) providers.complain("at least 1 item in plugins is required");
    return found;
  });

function parseProvider(field: Field): CredentialProvider {
  const given = field.fields([
    "name",
    "matchImages",
    "defaultCacheDuration",
    "apiVersion",
    "args",
    "env",
    "tokenAttributes",
  ]);
  const name = given.name.text();
  if (name === "" || name === "." || name === ".." || /[/\s]/.test(name)) {
    given.name.complain("expected the name of a program, without a folder or spaces");
  }
  if (given.apiVersion.text() !== requestVersion) given.apiVersion.complain(`expected ${requestVersion}`);
  const matchImages = given.matchImages.items().map((each) => each.text());
  if (matchImages.length === 0) given.matchImages.complain("at least one is needed");
  const defaultCache_ms = parseDuration_ms(given.defaultCacheDuration.text());
  if (defaultCache_ms === undefined) given.defaultCacheDuration.complain("expected a duration such as 12h or 0s");
  const env = given.env.items().map((each) => each.fields(["name", "value"]));
  return {
    name,
    matchImages,
    defaultCache_ms: defaultCache_ms ?? 0,
    args: given.args.items().map((each) => each.text()),
    env: Object.fromEntries(env.map((each) => [each.name.text(), each.value.text()])),
    ...(given.tokenAttributes.isAbsent ? {} : { tokenAttributes: parseTokenAttributes(given.tokenAttributes) }),
  };
}

function parseTokenAttributes(field: Field): TokenAttributes {
  const given = field.fields([
    "serviceAccountTokenAudience",
    "cacheType",
    "requireServiceAccount",
    "requiredServiceAccountAnnotationKeys",
    "optionalServiceAccountAnnotationKeys",
  ]);
  const audience = given.serviceAccountTokenAudience.text();
  if (audience === "") given.serviceAccountTokenAudience.complain("expected an audience");
  if (given.requireServiceAccount.isAbsent) given.requireServiceAccount.complain("expected true or false");
  if (given.cacheType.isAbsent) given.cacheType.complain("expected Token or ServiceAccount");
  const isRequired = given.requireServiceAccount.boolean(false);
  const textsOf = (list: Field): string[] => list.items().map((item) => item.text());
  const requiredAnnotations = textsOf(given.requiredServiceAccountAnnotationKeys);
  const optionalAnnotations = textsOf(given.optionalServiceAccountAnnotationKeys);
  if (!isRequired && requiredAnnotations.length > 0)
    given.requiredServiceAccountAnnotationKeys.complain("requireServiceAccount must be true with them");
  const twice = requiredAnnotations.find((key) => optionalAnnotations.includes(key));
  if (twice !== undefined) field.complain(`the annotation ${twice} cannot be both required and optional`);
  const cacheType = given.cacheType.choice("Token", ["Token", "ServiceAccount"]);
  return { audience, isRequired, requiredAnnotations, optionalAnnotations, cacheType };
}
