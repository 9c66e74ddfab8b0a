import type { Node, Secret } from "#shared/api/types/core-v1.generated.ts";
import { boardAuthority } from "#shared/pki/authority-annotations.ts";
import { appliedAnnotation, keysDigest, keysOf } from "./cluster-keys.ts";
import type { KeysSeal } from "./keys-seal.ts";

/** Masters that serve (by address) and do not yet go by the shared keys. */
export function mastersBehind(secret: Secret, seal: KeysSeal, addresses: readonly string[]): string[] {
  const digest = keysDigest(keysOf(secret, seal));
  return addresses.filter((address) => secret.metadata.annotations?.[appliedAnnotation(address)] !== digest);
}

export interface BoardsProgress {
  /** Ready, and not yet so far. */
  readonly behind: readonly string[];
  /** Not ready, and not so far: nobody waits for them. */
  readonly away: readonly string[];
}

/** Which boards do not yet trust an authority (by fingerprint), or have their certificate by another one. */
export function boardsBehind(
  nodes: readonly Node[],
  fingerprint: string,
  wanted: "isTrusted" | "isIssuer",
): BoardsProgress {
  const [behind, away]: [string[], string[]] = [[], []];
  for (const { metadata, status } of nodes) {
    if (boardAuthority(metadata.annotations, fingerprint)[wanted]) continue;
    const isReady = status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");
    (isReady ? behind : away).push(metadata.name ?? "");
  }
  return { behind, away };
}
