/** What rests by a person's own EncryptionConfiguration: upstream's prefixes, and behind them base64, since values here are texts. */

export interface SealedText {
  /** `aescbc:v1`, `kms:v2` … */
  readonly kind: string;
  /** Of the key, or of the key service. */
  readonly name: string;
  readonly bytes: Buffer;
}

const pattern = /^k8s:enc:((?:aescbc|aesgcm|secretbox):v1|kms:v2):([^:]*):/;

export const sealedText = ({ kind, name, bytes }: SealedText): string =>
  `k8s:enc:${kind}:${name}:${bytes.toString("base64")}`;

/** Undefined for what does not rest so. */
export function readSealedText(stored: string): SealedText | undefined {
  const [prefix = "", kind, name = ""] = pattern.exec(stored) ?? [];
  return kind === undefined ? undefined : { kind, name, bytes: Buffer.from(stored.slice(prefix.length), "base64") };
}

/** By what a person finds the key that opens a text: `the key a of secretbox`, `the key service vault`. Undefined for what does not rest
 *  so. */
export function ownKeyOf(stored: string): string | undefined {
  const [, kind = "", name = ""] = pattern.exec(stored) ?? [];
  if (kind === "") return undefined;
  return kind === "kms:v2" ? `the key service ${name}` : `the key ${name} of ${kind.split(":")[0]}`;
}
