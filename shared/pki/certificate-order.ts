import { certificateSigningRequests } from "#shared/api/resources.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type Clock, pause, systemClock } from "#shared/client/clock.ts";
import type { CertificateSubject, KeyAndCertificate } from "./certificate.ts";
import { createCertificateRequest } from "./certificate-request.ts";
import type { SignerName } from "./signers.ts";

/** The cluster did not give the certificate; the message says what to look at. */
class CertificateOrderError extends Error {
  override readonly name = "CertificateOrderError";
}

export interface CertificateOrder {
  readonly signer: SignerName;
  readonly usages: readonly string[];
  readonly subject: CertificateSubject;
  /** Beginning of the request's name. */
  readonly namePrefix: string;
  readonly signal?: AbortSignal | undefined;
  readonly patience_ms?: number | undefined;
  readonly clock?: Clock | undefined;
}

const defaultPatience_ms = 120_000;
const longestPause_ms = 5000;

/** Asks the cluster for a certificate (CertificateSigningRequest) and waits until it is signed. Rejects with
 *  CertificateOrderError when it is denied, fails, or is not signed in time. */
export async function orderCertificate(client: Client, order: CertificateOrder): Promise<KeyAndCertificate> {
  const { requestPem, keyPem } = await createCertificateRequest(order.subject);
  return { certificatePem: await placeOrder(client, { ...order, requestPem }), keyPem };
}

/** The same for a request that somebody else made; gives the certificate's PEM. */
export async function placeOrder(
  client: Client,
  order: Omit<CertificateOrder, "subject"> & { readonly requestPem: string },
): Promise<string> {
  const { signer, usages, requestPem, namePrefix, signal, clock = systemClock } = order;
  const created = await client.create(certificateSigningRequests, {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { generateName: `${namePrefix}-` },
    spec: { request: Buffer.from(requestPem).toString("base64"), signerName: signer, usages: [...usages] },
  });
  const name = created.metadata.name ?? "";
  const end_ms = clock.now_ms() + (order.patience_ms ?? defaultPatience_ms);
  let pause_ms = 100;
  for (let request = created; ; request = await client.get(certificateSigningRequests, { name })) {
    const certificate = issuedOf(request);
    if (certificate !== undefined) return certificate;
    if (clock.now_ms() >= end_ms)
      throw new CertificateOrderError(
        `the certificate request ${name} was not approved and signed in time; ` +
          `look at \`kubectl get csr ${name}\`, or approve it by \`kubectl certificate approve ${name}\``,
      );
    await pause(clock, pause_ms, signal);
    signal?.throwIfAborted();
    pause_ms = Math.min(pause_ms * 2, longestPause_ms);
  }
}

/** The PEM, when there is one. Throws when there will be none. */
function issuedOf({ metadata, status }: CertificateSigningRequest): string | undefined {
  const refused = status?.conditions?.find(({ type }) => type === "Denied" || type === "Failed");
  if (refused)
    throw new CertificateOrderError(
      `the certificate request ${metadata.name} was ${refused.type === "Denied" ? "denied" : "not signed"}: ` +
        `${refused.message || refused.reason || "no reason was given"}`,
    );
  return status?.certificate ? Buffer.from(status.certificate, "base64").toString("utf8") : undefined;
}
