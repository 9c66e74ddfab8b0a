import { type FieldError, invalid } from "#shared/api/errors.ts";
import { certificateSigningRequests } from "#shared/api/resources.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import { CertificateRequestError, parseCertificateRequest } from "#shared/pki/certificate-request.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { draftOf } from "./attributes.ts";

/** Writes into a CertificateSigningRequest who asks, and checks that it is one. It stands in the storage of the kind
 *  upstream; here it runs after every other mutating plugin, since only admission sees the user and may wait for a
 *  signature to be checked. */
export class CertificateRequests implements AdmissionPlugin {
  readonly name = "CertificateRequests";
  readonly resources = [certificateSigningRequests];

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const draft = draftOf(attributes, certificateSigningRequests);
    if (!draft || attributes.operation !== "CREATE") return;
    const { user } = attributes;
    const { request, signerName, expirationSeconds, usages } = draft.spec;
    draft.spec = {
      request,
      signerName,
      ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
      ...(usages ? { usages } : {}),
      username: user.name,
      ...(user.uid ? { uid: user.uid } : {}),
      groups: [...user.groups],
      ...(user.extra
        ? { extra: Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]])) }
        : {}),
    };
  }

  async validate(attributes: AdmissionAttributes): Promise<void> {
    const draft = draftOf(attributes, certificateSigningRequests);
    if (!draft || attributes.operation !== "CREATE") return;
    const errors = await requestErrors(draft);
    if (errors.length > 0) throw invalid(certificateSigningRequests, attributes.name, errors);
  }
}

async function requestErrors({ spec }: CertificateSigningRequest): Promise<FieldError[]> {
  try {
    await parseCertificateRequest(Buffer.from(spec.request ?? "", "base64").toString("utf8"));
    return [];
  } catch (error) {
    if (!(error instanceof CertificateRequestError)) throw error;
    return [
      {
        field: "spec.request",
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(spec.request ?? "")}: ${error.message}`,
      },
    ];
  }
}
