/**
 * The cluster's keys as all masters share them once they have been rotated: a Secret of kube-system holds the whole set of files
 * of authority-rotation.ts, and each master notes in an annotation which set it goes by. The set is sealed by the key under which
 * Secrets rest in the store, which all masters have and which is never in it: many a controller may read all Secrets, and must not
 * have the CA by that.
 */
import { createHash } from "node:crypto";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import type { ReadScope } from "#shared/client/client.ts";
import type { KeyFiles } from "./cluster-authorities.ts";
import type { KeysSeal } from "./keys-seal.ts";

export const clusterKeysKey = { namespace: "kube-system", name: "bramble-cluster-keys" } as const;

/** The Secret alone, for a watch. */
export const clusterKeys: ReadScope = {
  namespace: clusterKeysKey.namespace,
  fieldSelector: `metadata.name=${clusterKeysKey.name}`,
};

const secretType = "bramble.dev/cluster-keys";
const appliedPrefix = "bramble.dev/applied.";

export function keysSecret(files: KeyFiles, seal: KeysSeal, present?: Secret): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: present?.metadata ?? { ...clusterKeysKey },
    type: secretType,
    data: Object.fromEntries(
      Object.entries(files).map(([name, text]) => [name, Buffer.from(seal.close(name, text)).toString("base64")]),
    ),
  };
}

export function keysOf({ data }: Secret, seal: KeysSeal): KeyFiles {
  return Object.fromEntries(
    Object.entries(data ?? {}).map(([name, text]) => [
      name,
      seal.open(name, Buffer.from(text, "base64").toString("utf8")),
    ]),
  );
}

/** Names a set of keys without giving it away. */
export function keysDigest(files: KeyFiles): string {
  const sorted = Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex").slice(0, 32);
}

/** Under which the master of that address notes the set that it goes by. */
export const appliedAnnotation = (address: string): string => `${appliedPrefix}${address.replaceAll(":", "-")}`;
