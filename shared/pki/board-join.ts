import { hasReason, StatusError } from "#shared/api/errors.ts";
import { ConnectionError } from "#shared/client/client.ts";
import type { Clock } from "#shared/client/clock.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import type { Credentials } from "#shared/client/http-transport.ts";
import { connectionFault } from "#shared/http/connection-fault.ts";
import type { KeyAndCertificate } from "./certificate.ts";
import { joinCertificates } from "./certificate-bundle.ts";
import { orderCertificate } from "./certificate-order.ts";
import { createCertificateRequest } from "./certificate-request.ts";
import { apiServerName, caPath, type JoinAnswer, type JoinRequest, joinPath } from "./join-protocol.ts";
import { bootstrapToken, JoinTokenError, parseJoinToken, verifyAuthority } from "./join-token.ts";
import { type RenewalAnswer, type RenewalRequest, renewalPath, renewalProof } from "./renewal-protocol.ts";
import { kubeletClientUsages, signerNames } from "./signers.ts";

/** What a board has once it has joined. */
export interface JoinedBoard extends JoinAnswer {
  readonly caCertificatePem: string;
  readonly client: KeyAndCertificate;
}

export interface JoinOptions extends JoinRequest {
  /** https://host:port */
  readonly servers: readonly string[];
  /** `BR1…` */
  readonly token: string;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

const longestCa_bytes = 64 * 1024;
const caTimeout_ms = 15_000;

/** Joins by a token: checks the CA, asks for a name, gets a client certificate for it. Rejects with JoinTokenError when
 *  the token is wrong for this cluster or no longer good, ConnectionError when no server can be reached. */
export async function joinCluster(options: JoinOptions): Promise<JoinedBoard> {
  const { servers, signal } = options;
  const credentials = await tokenCredentials(servers, options.token, signal);
  const answer = await askForName(servers, credentials, options).catch(explainRefusal);
  const client = await orderCertificate(new HttpClient({ servers, credentials: () => credentials }), {
    signer: signerNames.kubeletClient,
    usages: kubeletClientUsages,
    subject: nodeSubject(answer.nodeName),
    namePrefix: `board-${answer.nodeName}`,
    signal,
    clock: options.clock,
  });
  return { ...answer, caCertificatePem: await fetchTrust(servers, credentials, signal), client };
}

/** All authorities that the cluster trusts, as PEM; the first signs. The server has proved itself by one that is trusted
 *  already. */
export async function fetchTrust(
  servers: readonly string[],
  { ca }: Credentials,
  signal?: AbortSignal,
): Promise<string> {
  const credentials: Credentials = { ca, serverName: apiServerName };
  const client = new HttpClient({ servers, credentials: () => credentials });
  const pem = joinCertificates(String(await client.raw({ method: "GET", path: caPath, signal })));
  if (pem === "" || pem.length > longestCa_bytes)
    throw new StatusError("", `${servers.join(", ")} does not answer with a CA: is it a Bramble master?`);
  return pem;
}

/** Step 1 of joining: the cluster's CA, checked against the token, and the token's secret for whoever proves to be certified by it.
 *  Rejects with JoinTokenError when the CA is another one. */
export async function tokenCredentials(
  servers: readonly string[],
  tokenText: string,
  signal?: AbortSignal,
): Promise<Credentials & { readonly ca: string }> {
  const token = parseJoinToken(tokenText);
  const { pem, server } = await fetchAuthority(servers, signal);
  return { ca: verifyAuthority(token, pem, server), token: bootstrapToken(token), serverName: apiServerName };
}

/** Rethrows; a refused token with what to do about it. */
export function explainRefusal(error: unknown): never {
  if (!hasReason(error, "Unauthorized") && !hasReason(error, "Forbidden")) throw error;
  const why = hasReason(error, "Unauthorized") ? "it has expired or was revoked" : "it is not for this";
  throw new JoinTokenError(
    `the cluster does not accept this token: ${why}. Run \`bramble token create\` on the master for a new one`,
    { cause: error },
  );
}

/** Step 2 of joining, by token or by certificate. */
export async function askForName(
  servers: readonly string[],
  credentials: Credentials,
  { hostName, boardSerial, signal }: JoinRequest & { readonly signal?: AbortSignal | undefined },
  timeout_ms = 30_000,
): Promise<JoinAnswer> {
  const client = new HttpClient({ servers, credentials: () => credentials, timeout_ms });
  const body: JoinRequest = { hostName, boardSerial };
  return (await client.raw({ method: "POST", path: joinPath, body, signal })) as JoinAnswer;
}

/** Gets a certificate by one that has run out. Rejects with a StatusError (Forbidden) that says why it is refused. */
export async function renewExpired(board: {
  readonly servers: readonly string[];
  readonly old: KeyAndCertificate;
  readonly ca: string;
  readonly nodeName: string;
  readonly boardSerial: string;
  readonly signal?: AbortSignal | undefined;
}): Promise<KeyAndCertificate> {
  const { servers, old, ca, boardSerial, signal } = board;
  const { requestPem, keyPem } = await createCertificateRequest(nodeSubject(board.nodeName));
  const body: RenewalRequest = {
    certificate: old.certificatePem,
    request: requestPem,
    proof: renewalProof(old, requestPem),
    boardSerial,
  };
  // Without the old certificate: some would end the handshake over it.
  const credentials: Credentials = { ca, serverName: apiServerName };
  const client = new HttpClient({ servers, credentials: () => credentials });
  const answer = (await client.raw({ method: "POST", path: renewalPath, body, signal })) as RenewalAnswer;
  return { certificatePem: answer.certificate, keyPem };
}

/** The subject of a board's client certificate. */
export const nodeSubject = (nodeName: string) => ({
  commonName: `system:node:${nodeName}`,
  organizations: ["system:nodes"],
});

/** The CA of the first server that answers. It is not trusted yet, and nothing secret is sent. */
async function fetchAuthority(
  servers: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ readonly pem: string; readonly server: string }> {
  let failure: unknown;
  for (const server of servers) {
    try {
      const deadline = AbortSignal.timeout(caTimeout_ms);
      const response = await fetch(`${server.replace(/\/$/, "")}${caPath}`, {
        signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
        tls: { rejectUnauthorized: false },
        redirect: "error",
        // This connection was not verified: it must not be kept for what follows.
        headers: { connection: "close" },
      });
      if (!response.ok)
        throw new StatusError("", `${server} answers ${response.status} for its CA: is it a Bramble master?`);
      const pem = await response.text();
      if (pem.length > longestCa_bytes || !pem.includes("BEGIN CERTIFICATE"))
        throw new StatusError("", `${server} does not answer with a CA: is it a Bramble master?`);
      return { pem, server };
    } catch (error) {
      signal?.throwIfAborted();
      failure = error;
    }
  }
  if (failure instanceof StatusError) throw failure;
  if (servers.length === 0)
    throw new ConnectionError(
      "no master of this token's cluster answers by mDNS on this network, and none is named (--server https://ADDRESS:6443)",
    );
  const last = servers.at(-1) ?? "";
  const why = failure instanceof Error ? connectionFault(failure, URL.parse(last)?.host ?? last) : String(failure);
  throw new ConnectionError(`no master can be reached at ${servers.join(", ")}: ${why}`, { cause: failure });
}
