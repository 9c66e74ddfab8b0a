import { join } from "node:path";
import { parse } from "yaml";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { issueCertificate, leafLifetimeDays, lenientValidity } from "#shared/pki/certificate.ts";
import { joinCertificates } from "#shared/pki/certificate-bundle.ts";
import { extendedKeyUsages, isIssuedBy, renewalTime } from "#shared/pki/certificate-facts.ts";
import { apiServerName } from "#shared/pki/join-protocol.ts";
import {
  createJoinToken,
  formatJoinToken,
  type JoinToken,
  parseJoinToken,
  verifyAuthority,
} from "#shared/pki/join-token.ts";
import { renderKubeconfig } from "#shared/pki/kubeconfig.ts";
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
    // Boards have certificates of the same CA for addresses, which may have been a master's once.
    serverName: apiServerName,
    caCertificatePem: authorities.trusted,
    credentials,
    userName: identity.user,
  });
  await writeSecureFile(path, kubeconfig);
}

function serves(text: string, { ca, trusted }: ClusterAuthorities, server: string, now: Date): boolean {
  try {
    const config = parse(text) as {
      clusters?: { cluster?: { server?: string; "tls-server-name"?: string; "certificate-authority-data"?: string } }[];
      users?: { user?: { "client-certificate-data"?: string } }[];
    };
    const decode = (data = ""): string => Buffer.from(data, "base64").toString("utf8");
    const certificate = decode(config.users?.[0]?.user?.["client-certificate-data"]);
    const cluster = config.clusters?.[0]?.cluster;
    if (!certificate || cluster?.server !== server || cluster["tls-server-name"] !== apiServerName) return false;
    if (decode(cluster["certificate-authority-data"]) !== trusted) return false;
    return isIssuedBy(certificate, ca.certificatePem) && renewalTime(certificate) > now;
  } catch {
    // Whatever it is, it is no kubeconfig of ours any more.
    return false;
  }
}

/** The cluster's first join token, in `<dataDir>/token`; made on the first start, and made out to the present CA when that was
 *  rotated. Throws JoinTokenError for a token that is not of this cluster (files of two clusters mixed). */
export async function ensureJoinToken(dataDir: string, authorities: ClusterAuthorities): Promise<JoinToken> {
  const path = join(dataDir, "token");
  const present = await readIfPresent(path);
  const fresh = createJoinToken(authorities.ca.certificatePem);
  let token = fresh;
  if (present !== undefined) {
    const kept = parseJoinToken(present);
    verifyAuthority(kept, joinCertificates(authorities.trusted, authorities.former), path);
    token = { ...kept, caHash: fresh.caHash };
  }
  const text = `${formatJoinToken(token)}\n`;
  if (text !== present) await writeSecureFile(path, text);
  return token;
}
