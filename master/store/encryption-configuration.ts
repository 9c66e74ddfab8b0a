/**
 * How values rest encrypted by a person's own keys: EncryptionConfiguration (apiserver.config.k8s.io/v1), upstream's
 * --encryption-provider-config. What rests has upstream's prefixes; behind them it is base64, since values here are texts.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import nacl from "tweetnacl";
import { readDocument } from "#shared/config/document.ts";
import type { Field } from "#shared/config/field.ts";
import { ConfigError } from "#shared/config/option.ts";
import { openGcm, sealGcm } from "./aes-gcm.ts";
import { UnknownEncryptionKeyError, type ValueTransformer } from "./value-transformer.ts";

type Cipher = "aescbc" | "aesgcm" | "secretbox";

interface NamedKey {
  readonly cipher: Cipher;
  readonly name: string;
  readonly secret: Buffer;
}

interface Rule {
  /** `secrets`, `deployments.apps`, `*.*`. */
  readonly resources: readonly string[];
  /** Writes; undefined: as it is. */
  readonly writing: NamedKey | undefined;
}

export interface EncryptionConfiguration {
  /** The first that speaks of a resource decides. */
  readonly rules: readonly Rule[];
  /** Of all rules: what rests under one can be read. */
  readonly keys: readonly NamedKey[];
}

const keyLengths: Readonly<Record<Cipher, readonly number[]>> = {
  aescbc: [16, 24, 32],
  aesgcm: [16, 24, 32],
  secretbox: [32],
};

/** Throws ConfigError that names all faults of the text. */
export function parseEncryptionConfiguration(text: string, path: string): EncryptionConfiguration {
  const keys: NamedKey[] = [];
  const rules = readDocument(text, path, "EncryptionConfiguration", (root) => {
    const fields = root.fields(["apiVersion", "kind", "resources"]);
    fields.apiVersion.choice("", ["apiserver.config.k8s.io/v1"]);
    fields.kind.choice("", ["EncryptionConfiguration"]);
    const items = fields.resources.items();
    if (items.length === 0) fields.resources.complain("Required value: at least one resource configuration");
    return items.map((item): Rule => {
      const { resources, providers } = item.fields(["resources", "providers"]);
      const named = resources.items().map((one) => resourceName(one));
      if (named.length === 0) resources.complain("Required value: at least one resource");
      const read = providers.items().map((one) => provider(one));
      if (read.length === 0) providers.complain("Required value: at least one provider");
      keys.push(...read.flat());
      return { resources: named, writing: read[0]?.[0] };
    });
  });
  return { rules, keys };
}

function resourceName(field: Field): string {
  const name = field.text();
  if (/^\*\.(?!\*$)/.test(name) || name === "*")
    field.complain("single resources and *.* are possible here, but not all of a group");
  else if (name !== name.toLowerCase())
    field.complain(`Invalid value: ${JSON.stringify(name)}: resource name must be lower case`);
  return name;
}

/** Its keys; none of what leaves values as they are. */
function provider(field: Field): NamedKey[] {
  const found = field.fields(["aescbc", "aesgcm", "secretbox", "identity", "kms"]);
  if (!found.kms.isAbsent)
    found.kms.complain("key services are not asked here: aescbc, aesgcm, secretbox and identity are possible");
  const given = Object.values(found).filter(({ value }) => value !== undefined);
  if (given.length !== 1) field.complain("provider does not contain exactly one of the expected providers");
  return (Object.keys(keyLengths) as Cipher[]).flatMap((cipher) =>
    found[cipher].isAbsent ? [] : keysOf(cipher, found[cipher]),
  );
}

function keysOf(cipher: Cipher, field: Field): NamedKey[] {
  const items = field.fields(["keys"]).keys.items();
  if (items.length === 0) field.complain("Required value: keys: at least one key");
  return items.map((item) => {
    const { name, secret } = item.fields(["name", "secret"]);
    if (name.text() === "") name.complain("Required value: key name must not be empty");
    if (name.text().includes(":")) name.complain("a name has no colon");
    const decoded = Buffer.from(secret.text(), "base64");
    if (!keyLengths[cipher].includes(decoded.length))
      secret.complain(
        `Invalid value: "REDACTED": secret is not of the expected length, got ${decoded.length}, expected one of [${keyLengths[cipher].join(" ")}]`,
      );
    return { cipher, name: name.text(), secret: decoded };
  });
}

/**
 * Values by the configuration in a file, which is looked at again when it has changed (`follows`); what it does not speak of, by
 * `own`. Throws ConfigError at once for a file that is no good; later such a change is passed over.
 */
export function configuredTransformer(path: string, own: ValueTransformer, follows = true): ValueTransformer {
  const configuration = follow(path, follows);
  return {
    toStorage(key, value) {
      const { rules } = configuration();
      const rule = rules.find(({ resources }) => resources.some((resource) => concerns(resource, key)));
      if (!rule) return own.toStorage(key, value);
      return rule.writing ? sealed(rule.writing, key, value) : value;
    },
    fromStorage(key, stored) {
      const [, cipher, name = "", text = ""] = sealedText.exec(stored) ?? [];
      if (cipher === undefined) return own.fromStorage(key, stored);
      // Two keys of one name may follow each other.
      for (const one of configuration().keys) {
        if (one.cipher !== cipher || one.name !== name) continue;
        const opened = open(one, key, Buffer.from(text, "base64"));
        if (opened !== undefined) return opened;
      }
      throw new UnknownEncryptionKeyError(
        `the value of ${key} was encrypted by ${cipher} with the key ${name}, which the encryption-provider-config does not have (any more)`,
      );
    },
  };
}

const sealedText = /^k8s:enc:(aescbc|aesgcm|secretbox):v1:([^:]*):(.*)$/s;

/** `/registry/PLURAL/…` for what is built in, `/registry/GROUP/PLURAL/…` for the rest. */
function concerns(resource: string, key: string): boolean {
  const [, root, first = "", second = ""] = key.split("/", 4);
  if (root !== "registry") return false;
  if (resource === "*.*") return true;
  if (first.includes(".")) return resource === `${second}.${first}`;
  return resource === first || resource.startsWith(`${first}.`);
}

function sealed({ cipher, name, secret }: NamedKey, key: string, value: string): string {
  return `k8s:enc:${cipher}:v1:${name}:${seal(cipher, secret, key, value).toString("base64")}`;
}

function seal(cipher: Cipher, secret: Buffer, key: string, value: string): Buffer {
  switch (cipher) {
    case "aescbc": {
      const iv = randomBytes(16);
      const encrypt = createCipheriv(`aes-${secret.length * 8}-cbc`, secret, iv);
      return Buffer.concat([iv, encrypt.update(value, "utf8"), encrypt.final()]);
    }
    case "aesgcm":
      return sealGcm(secret, key, value);
    case "secretbox": {
      const nonce = randomBytes(nacl.secretbox.nonceLength);
      return Buffer.concat([nonce, nacl.secretbox(Buffer.from(value, "utf8"), nonce, secret)]);
    }
    default:
      return cipher satisfies never;
  }
}

/** Undefined for what was not sealed so under this key. */
function open({ cipher, secret }: NamedKey, key: string, sealedBytes: Buffer): string | undefined {
  try {
    switch (cipher) {
      case "aescbc": {
        const decrypt = createDecipheriv(`aes-${secret.length * 8}-cbc`, secret, sealedBytes.subarray(0, 16));
        return Buffer.concat([decrypt.update(sealedBytes.subarray(16)), decrypt.final()]).toString("utf8");
      }
      case "aesgcm":
        return openGcm(secret, key, sealedBytes);
      case "secretbox": {
        const { nonceLength } = nacl.secretbox;
        const box = sealedBytes.subarray(nonceLength);
        const opened = nacl.secretbox.open(box, sealedBytes.subarray(0, nonceLength), secret);
        return opened ? Buffer.from(opened).toString("utf8") : undefined;
      }
      default:
        return cipher satisfies never;
    }
  } catch {
    // By whatever it fails: the value is not this key's.
    return undefined;
  }
}

/** What the file holds; synchronous, since it is asked inside of a transaction. */
function follow(path: string, follows: boolean): () => EncryptionConfiguration {
  const read = (): { ino: number; mtime_ms: number; configuration: EncryptionConfiguration } => {
    const { ino, mtimeMs: mtime_ms } = statSync(path);
    return { ino, mtime_ms, configuration: parseEncryptionConfiguration(readFileSync(path, "utf8"), path) };
  };
  let known: ReturnType<typeof read>;
  try {
    known = read();
  } catch (error) {
    throw new ConfigError(`encryption-provider-config: ${(error as Error).message}`);
  }
  return () => {
    if (!follows) return known.configuration;
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found || (found.ino === known.ino && found.mtimeMs === known.mtime_ms)) return known.configuration;
    try {
      known = read();
    } catch (error) {
      known = { ...known, ino: found.ino, mtime_ms: found.mtimeMs };
      console.error(`bramble: encryption-provider-config: what held before holds on: ${(error as Error).message}`);
    }
    return known.configuration;
  };
}
