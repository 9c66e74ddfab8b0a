import { join } from "node:path";
import { parse } from "yaml";
import {
  extendedKeyUsages,
  isIssuedBy,
  issueCertificate,
  leafLifetimeDays,
  lenientValidity,
  renewalTime,
} from "#shared/pki/certificate.ts";
import {
  createJoinToken,
  formatJoinToken,
  type JoinToken,
  parseJoinToken,
  verifyAuthority,
} from "#shared/pki/join-token.ts";
import { renderKubeconfig } from "#shared/pki/kubeconfig.ts";
import { readIfPresent, writeSecureFile } from "#shared/pki/secure-file.ts";
import type { ClusterAuthorities } from "./cluster-authorities.ts";

/** Someone who gets a kubeconfig. */
export interface Identity {
  readonly user: string;
  readonly groups: readonly string[];
}

/** Who is at the keyboard of a master. */
export const administrator: Identity = { user: "system:admin", groups: ["system:masters"] };
/** For a component that runs in a process of its own; what they may do stands in the bootstrap policy. */
export const schedulerIdentity: Identity = { user: "system:kube-scheduler", groups: [] };
export const proxyIdentity: Identity = { user: "system:kube-proxy", groups: [] };
export const controllerManagerIdentity: Identity = { user: "system:kube-controller-manager", groups: [] };

/** Writes a kubeconfig (mode 0600) for an identity, unless the one that is there still serves. */
export async function ensureKubeconfig(
  path: string,
  authorities: ClusterAuthorities,
  server: string,
  identity: Identity,
  now: Date = new Date(),
): Promise<void> {
  const present = await readIfPresent(path);
  if (present !== undefined && serves(present, authorities, server, now)) return;
  const credentials = await issueCertificate(
    authorities.ca,
    { commonName: identity.user, organizations: identity.groups },
    [extendedKeyUsages.clientAuth],
    lenientValidity(leafLifetimeDays, now),
  );
  const kubeconfig = renderKubeconfig({
    server,
    caCertificatePem: authorities.ca.certificatePem,
    credentials,
    userName: identity.user,
  });
  await writeSecureFile(path, kubeconfig);
}

function serves(text: string, { ca }: ClusterAuthorities, server: string, now: Date): boolean {
  try {
    const config = parse(text) as {
      clusters?: { cluster?: { server?: string } }[];
      users?: { user?: { "client-certificate-data"?: string } }[];
    };
    const data = config.users?.[0]?.user?.["client-certificate-data"];
    if (!data || config.clusters?.[0]?.cluster?.server !== server) return false;
    const certificate = Buffer.from(data, "base64").toString("utf8");
    return isIssuedBy(certificate, ca.certificatePem) && renewalTime(certificate) > now;
  } catch {
    // Whatever it is, it is no kubeconfig of ours any more.
    return false;
  }
}

/** The cluster's first join token, in `<dataDir>/token`; made on the first start. Throws JoinTokenError for a token
 *  that is not of this CA (files of two clusters mixed). */
export async function ensureJoinToken(dataDir: string, authorities: ClusterAuthorities): Promise<JoinToken> {
  const path = join(dataDir, "token");
  const present = await readIfPresent(path);
  if (present !== undefined) {
    const token = parseJoinToken(present);
    verifyAuthority(token, authorities.ca.certificatePem, path);
    return token;
  }
  const token = createJoinToken(authorities.ca.certificatePem);
  await writeSecureFile(path, `${formatJoinToken(token)}\n`);
  return token;
}
