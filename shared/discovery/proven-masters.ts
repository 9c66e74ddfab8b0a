import { fetchTrust, tokenCredentials } from "#shared/pki/board-join.ts";
import { parseJoinToken } from "#shared/pki/join-token.ts";
import { findMasters } from "./find-masters.ts";
import type { Candidate } from "./records.ts";

/** How a master of the cluster is known: by a join token, which pins its CA, or by CA certificates, PEM. */
export type Trust = { readonly token: string } | { readonly ca: string };

const proof_ms = 8_000;
/** More addresses of masters are no help. */
const mostKept = 3;

/**
 * Masters of the cluster on this LAN, as `https://address:port`. Each that announces itself has to prove itself by TLS under the
 * cluster's CA, so that a rogue can delay a board but not be taken for a master; nothing secret is sent.
 */
export async function findProvenMasters(
  trust: Trust,
  signal?: AbortSignal,
  find: (signal?: AbortSignal) => Promise<readonly Candidate[]> = findMasters,
): Promise<string[]> {
  const candidates = await find(signal);
  // Who says the right hash is probably right; the others are asked too, for a CA may just be rotated.
  const says = (candidate: Candidate): number =>
    "token" in trust && candidate.caHashes.includes(parseJoinToken(trust.token).caHash) ? 0 : 1;
  const urls = [...candidates].sort((a, b) => says(a) - says(b)).map(({ url }) => url);
  return (await provenAmong(urls, trust, signal)).slice(0, mostKept);
}

/** Those of the servers that prove to be the cluster's, in their order. */
export async function provenAmong(
  servers: readonly string[],
  trust: Trust,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const proven = await Promise.all(servers.map((server) => isMaster(server, trust, signal)));
  return servers.filter((_, index) => proven[index]);
}

async function isMaster(server: string, trust: Trust, signal: AbortSignal | undefined): Promise<boolean> {
  const deadline = AbortSignal.timeout(proof_ms);
  const limit = signal ? AbortSignal.any([signal, deadline]) : deadline;
  try {
    // The CA that matches a token's hash could have been copied from the master: only TLS by it is a proof.
    const { ca } = "token" in trust ? await tokenCredentials([server], trust.token, limit) : trust;
    await fetchTrust([server], { ca }, limit);
    return true;
  } catch {
    // Of another cluster, a rogue, or not there: whatever it is, it is not asked.
    return false;
  }
}
