import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from "#shared/api/types/certificates-v1.generated.ts";
import { CertificateRequestError, type ParsedRequest, parseCertificateRequest } from "#shared/pki/certificate.ts";

export const hasCondition = ({ status }: CertificateSigningRequest, type: string): boolean =>
  (status?.conditions ?? []).some((condition) => condition.type === type && condition.status === "True");

/** Somebody has said yes or no, or the signer gave up. */
export const isDecided = (request: CertificateSigningRequest): boolean =>
  hasCondition(request, "Approved") || hasCondition(request, "Denied") || hasCondition(request, "Failed");

/** The request with one more condition. */
export function withCondition(
  request: CertificateSigningRequest,
  condition: CertificateSigningRequestCondition,
): CertificateSigningRequest {
  const conditions = [...(request.status?.conditions ?? []), condition];
  return { ...request, status: { ...request.status, conditions } };
}

/** What is asked for; undefined when it cannot be read (the API refuses such, so nothing is lost). */
export async function askedFor(request: CertificateSigningRequest): Promise<ParsedRequest | undefined> {
  try {
    return await parseCertificateRequest(Buffer.from(request.spec.request, "base64").toString("utf8"));
  } catch (error) {
    if (error instanceof CertificateRequestError) return undefined;
    throw error;
  }
}
