import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from "#shared/api/types/certificates-v1.generated.ts";
import type { NamedSubject } from "#shared/pki/certificate-facts.ts";
import { CertificateRequestError, parseCertificateRequest } from "#shared/pki/certificate-request.ts";

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

const read = new WeakMap<CertificateSigningRequest, Promise<NamedSubject | undefined>>();

/** What is asked for; undefined when it cannot be read (the API refuses such, so nothing is lost). Read once as long as the same
 *  object is asked about. */
export function askedFor(request: CertificateSigningRequest): Promise<NamedSubject | undefined> {
  const known = read.get(request) ?? parsed(request);
  read.set(request, known);
  return known;
}

async function parsed(request: CertificateSigningRequest): Promise<NamedSubject | undefined> {
  try {
    return await parseCertificateRequest(Buffer.from(request.spec.request, "base64").toString("utf8"));
  } catch (error) {
    if (error instanceof CertificateRequestError) return undefined;
    throw error;
  }
}
