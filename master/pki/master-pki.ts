import { join } from "node:path";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import type { JoinToken } from "#shared/pki/join-token.ts";
import { type ClusterAuthorities, ensureAuthorities } from "./cluster-authorities.ts";
import { administrator, ensureJoinToken, ensureKubeconfig, type Identity } from "./credentials.ts";
import { type CredentialFiles, withGiven } from "./given-credentials.ts";
import { ensureMasterCertificates, type MasterCertificates, type MasterNames } from "./master-certificates.ts";

export interface MasterPkiOptions {
  /** The folder of all state; the PKI lies in `pki/` below, the join token in `token`. */
  readonly dataDir: string;
  /** Where the administrator's kubeconfig goes. */
  readonly kubeconfigPath: string;
  /** Further ones, for components in processes of their own. */
  readonly kubeconfigs?: readonly { readonly path: string; readonly identity: Identity }[] | undefined;
  readonly names: MasterNames;
  /** The address that the kubeconfig names, `https://192.168.1.5:6443`: one that works from other machines too. */
  readonly server: string;
  /** What a person made elsewhere, in the place of some of it. */
  readonly given?: CredentialFiles | undefined;
  readonly now?: (() => Date) | undefined;
}

/** What a server shows, and whose clients count: PEM. */
export interface ServerCredentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface MasterPki {
  readonly authorities: ClusterAuthorities;
  readonly certificates: MasterCertificates;
  readonly joinToken: JoinToken;
  /** The API server's own; other servers of this master go by `serverCredentials`. */
  readonly door: ServerCredentials;
}

/** What a server of this master shows, and whose clients count, as the cluster itself makes them. */
export function serverCredentials({
  authorities,
  certificates,
}: Pick<MasterPki, "authorities" | "certificates">): ServerCredentials {
  const { certificatePem, keyPem } = certificates.serving;
  return { ca: authorities.trusted, cert: certificatePem + authorities.crossCertificates, key: keyPem };
}

/** Below the PKI folder: all authorities that the cluster trusts now, for components in processes of their own. */
export const trustedFile = "trusted.crt";

async function writeIfChanged(path: string, text: string): Promise<void> {
  if ((await readIfPresent(path)) !== text) await writeSecureFile(path, text, 0o644);
}

/**
 * Everything that a master proves itself with, loaded or made: authorities, certificates, the administrator's
 * kubeconfig, the first join token. Rejects with ConfigError for given files that cannot be used. Idempotent; called at start, at
 * `certificates.renewAt`, and when addresses change.
 */
export async function ensureMasterPki(options: MasterPkiOptions): Promise<MasterPki> {
  const now = options.now?.() ?? new Date();
  const folder = join(options.dataDir, "pki");
  const authorities = await ensureAuthorities(folder, now);
  await writeIfChanged(join(folder, trustedFile), authorities.trusted);
  const certificates = await ensureMasterCertificates(folder, authorities, options.names, now);
  const kubeconfigs = [{ path: options.kubeconfigPath, identity: administrator }, ...(options.kubeconfigs ?? [])];
  for (const { path, identity } of kubeconfigs)
    await ensureKubeconfig(path, authorities, options.server, identity, now);
  const joinToken = await ensureJoinToken(options.dataDir, authorities);
  const own = { authorities, certificates, joinToken, door: serverCredentials({ authorities, certificates }) };
  return options.given ? withGiven(own, options.given) : own;
}
