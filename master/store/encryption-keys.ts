import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { writeFileAtomically } from "./write-file-atomically.ts";

/** Values under these keys rest encrypted. */
export const encryptedPrefixes = ["/registry/secrets/"] as const;

export interface EncryptionKey {
  readonly secret: Uint8Array;
  /** Eight hex digits of its hash: stands with each value. */
  readonly keyId: string;
}

/**
 * The keys under which values rest, as their file has them, a line each: `BASE64` writes; `next BASE64` is known everywhere
 * before it writes; `former BASE64` is there until nothing rests under it.
 */
export interface EncryptionKeys {
  readonly writing: EncryptionKey;
  /** Decrypt only. */
  readonly others: readonly EncryptionKey[];
  readonly stage: "settled" | "published" | "writing";
}

const KEY_BYTES = 32;
const line = /^(?:(next|former) )?([A-Za-z0-9+/]{43}=)$/;

/** Throws when the text of the file is not what such a file holds. */
export function parseEncryptionKeys(text: string, path: string): EncryptionKeys {
  const parsed = text
    .trim()
    .split("\n")
    .map((entry) => {
      const [, role = "writing", base64 = ""] = line.exec(entry.trim()) ?? [];
      const secret = Buffer.from(base64, "base64");
      if (secret.length !== KEY_BYTES) throw new Error(`${path} does not hold ${KEY_BYTES}-byte keys in base64`);
      return { role, key: { secret, keyId: createHash("sha256").update(secret).digest("hex").slice(0, 8) } };
    });
  const [first, ...more] = parsed;
  if (first?.role !== "writing" || more.some(({ role }) => role === "writing"))
    throw new Error(`${path} does not begin with the one key that encrypts`);
  const stage = more.some(({ role }) => role === "next") ? "published" : more.length > 0 ? "writing" : "settled";
  return { writing: first.key, others: more.map(({ key }) => key), stage };
}

const text = (secret: Uint8Array): string => Buffer.from(secret).toString("base64");

const formerLine = ({ secret }: EncryptionKey): string => `former ${text(secret)}\n`;

/** A new key beside the one that encrypts. */
export const publishEncryptionKey = ({ writing }: EncryptionKeys): string =>
  `${text(writing.secret)}\nnext ${text(randomBytes(KEY_BYTES))}\n`;

/** The new key encrypts; the former one still decrypts, and so do those that a backup brought. Throws when no new key was published. */
export function switchEncryptionKey({ writing, others, stage }: EncryptionKeys): string {
  const [next, ...former] = others;
  if (stage !== "published" || !next) throw new Error("no new encryption key was published");
  return `${text(next.secret)}\n${[writing, ...former].map(formerLine).join("")}`;
}

export const dropFormerEncryptionKeys = ({ writing }: EncryptionKeys): string => `${text(writing.secret)}\n`;

/** The text of such a file, with all keys of another one besides: they decrypt, until what rests under them was written anew. */
export function withFormerKeys(present: string, others: string, path: string): string {
  const known = allOf(parseEncryptionKeys(present, path)).map(({ keyId }) => keyId);
  const lacking = allOf(parseEncryptionKeys(others, path)).filter(({ keyId }) => !known.includes(keyId));
  return `${present.trim()}\n${lacking.map(formerLine).join("")}`;
}

const allOf = ({ writing, others }: EncryptionKeys): EncryptionKey[] => [writing, ...others];

/** The keys in `path` (mode 0600; one is made on first use), read again when the file has changed. */
export function encryptionKeysIn(path: string): () => EncryptionKeys {
  if (!existsSync(path)) writeFileAtomically(path, `${text(randomBytes(KEY_BYTES))}\n`, 0o600);
  let known: { readonly ino: number; readonly mtime_ms: number; readonly keys: EncryptionKeys } | undefined;
  return () => {
    const found = statSync(path, { throwIfNoEntry: false });
    // Taken away while the store is open: what rests in it is still to be read.
    if (!found && known) return known.keys;
    const { ino, mtimeMs: mtime_ms } = found ?? statSync(path);
    if (known?.ino === ino && known.mtime_ms === mtime_ms) return known.keys;
    known = { ino, mtime_ms, keys: parseEncryptionKeys(readFileSync(path, "utf8"), path) };
    return known.keys;
  };
}
