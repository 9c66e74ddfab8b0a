/** What may stand in an envelope (upstream's kmsv2.ValidateEncryptedObject), with upstream's words for what may not. */
import { createHash } from "node:crypto";
import { DekSourceType, EncryptedObject } from "./kms-messages.ts";

const mostAnnotations_bytes = 32 * 1024;
const longestKeyId_bytes = 1024;
const longestDekSource_bytes = 1024;

/** Throws for what is no envelope. */
export function decodeEnvelope(bytes: Buffer): EncryptedObject {
  const envelope = EncryptedObject.decode(bytes);
  assertEnvelope(envelope);
  return envelope;
}

/** Throws Error that says what is wrong. */
export function assertEnvelope(envelope: EncryptedObject): void {
  const { encryptedDekSourceType: type } = envelope;
  if (type !== DekSourceType.key && type !== DekSourceType.seed)
    throw new Error(`unknown encryptedDEKSourceType: ${type}`);
  if (envelope.encryptedData.length === 0) throw new Error("encrypted data is empty");
  const faults = [
    ["encrypted DEK source", dekSourceFault(envelope.encryptedDekSource)],
    ["key id", keyIdFault(envelope.keyId)?.text],
    ["annotations", annotationsFault(envelope.annotations)],
  ] as const;
  for (const [what, fault] of faults) if (fault !== undefined) throw new Error(`failed to validate ${what}: ${fault}`);
}

function dekSourceFault({ length }: Uint8Array): string | undefined {
  if (length === 0) return "encrypted DEK source is empty";
  if (length <= longestDekSource_bytes) return undefined;
  return `encrypted DEK source is ${length} bytes, which exceeds the max size of ${longestDekSource_bytes}`;
}

/** Undefined for a good one; `code` is how metrics count it. */
export function keyIdFault(keyId: string): { readonly code: "empty" | "too_long"; readonly text: string } | undefined {
  const length = Buffer.byteLength(keyId);
  if (length === 0) return { code: "empty", text: "keyID is empty" };
  if (length <= longestKeyId_bytes) return undefined;
  const text = `keyID is ${length} bytes, which exceeds the max size of ${longestKeyId_bytes}`;
  return { code: "too_long", text };
}

function annotationsFault(annotations: EncryptedObject["annotations"]): string | undefined {
  const entries = Object.entries(annotations);
  const faults = entries.flatMap(([name]) => nameFaults(name));
  const size = entries.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + value.length, 0);
  if (size > mostAnnotations_bytes)
    faults.push(`total size of annotations is ${size}, which exceeds the max size of ${mostAnnotations_bytes}`);
  if (faults.length < 2) return faults[0];
  return `[${[...new Set(faults)].join(", ")}]`;
}

const label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const subdomain = new RegExp(`^${label}(\\.${label})*$`);
const longestSubdomain = 253;
const longestLabel = 63;

/** IsFullyQualifiedDomainName of apimachinery. */
function nameFaults(text: string): string[] {
  if (text === "") return ["annotations: Required value"];
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  const invalid = (why: string): string => `annotations: Invalid value: ${JSON.stringify(name)}: ${why}`;
  const faults: string[] = [];
  if (name.length > longestSubdomain) faults.push(invalid(`must be no more than ${longestSubdomain} bytes`));
  if (!subdomain.test(name))
    faults.push(
      invalid(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end " +
          "with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
          "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ),
    );
  if (faults.length > 0) return faults;
  const labels = name.split(".");
  if (labels.length < 2) return [invalid("should be a domain with at least two segments separated by dots")];
  return labels
    .filter((each) => each.length > longestLabel)
    .map((each) => `annotations: Invalid value: ${JSON.stringify(each)}: must be no more than ${longestLabel} bytes`);
}

/** How upstream's messages and metrics name what may be told to nobody; "" stays so. */
export const hashOf = (text: string): string =>
  text === "" ? "" : `sha256:${createHash("sha256").update(text).digest("hex")}`;
