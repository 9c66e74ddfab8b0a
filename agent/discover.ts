import { findMasters } from "#shared/discovery/find-masters.ts";
import { findProvenMasters } from "#shared/discovery/proven-masters.ts";
import { parseJoinToken } from "#shared/pki/join-token.ts";

/**
 * `bramble discover`: prints the masters that announce themselves on this LAN; with a token, only URLs of those that prove to be
 * the token's cluster, one a line. Resolves with the exit code: 1 where there are none.
 */
export async function discover({ token }: { readonly token?: string | undefined }): Promise<number> {
  if (token !== undefined) {
    parseJoinToken(token);
    const urls = await findProvenMasters({ token });
    for (const url of urls) console.log(url);
    if (urls.length === 0) console.error("no master of this token's cluster answers by mDNS on this network");
    return urls.length > 0 ? 0 : 1;
  }
  const found = await findMasters();
  if (found.length > 0) console.log(["URL", "HOST", "VERSION", "CA"].join("\t"));
  for (const { url, host, version, caHashes } of found)
    console.log([url, host, version, caHashes[0]?.slice(0, 16) ?? ""].join("\t"));
  if (found.length === 0) console.error("no master answers by mDNS on this network");
  return found.length > 0 ? 0 : 1;
}
