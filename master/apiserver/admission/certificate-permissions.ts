import { certificateSigningRequests } from "#shared/api/resources.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import { CertificateRequestError, parseCertificateRequest } from "#shared/pki/certificate-request.ts";
import { signerNames } from "#shared/pki/signers.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { isWriteTo, refusal } from "./attributes.ts";

/** Whoever approves a request needs the verb `approve` on its signer. */
export class CertificateApproval implements AdmissionPlugin {
  readonly name = "CertificateApproval";
  readonly resources = [certificateSigningRequests];

  constructor(private readonly authorizer: Authorizer) {}

  async validate(attributes: AdmissionAttributes): Promise<void> {
    if (attributes.operation !== "UPDATE" || !isWriteTo(attributes, certificateSigningRequests, "approval")) return;
    const { signerName } = (attributes.oldObject as CertificateSigningRequest).spec;
    if (await mayUseSigner(this.authorizer, attributes, "approve", signerName)) return;
    throw refusal(attributes, `user not permitted to approve requests with signerName "${signerName}"`);
  }
}

/** Whoever issues or fails a request needs the verb `sign` on its signer. */
export class CertificateSigning implements AdmissionPlugin {
  readonly name = "CertificateSigning";
  readonly resources = [certificateSigningRequests];

  constructor(private readonly authorizer: Authorizer) {}

  async validate(attributes: AdmissionAttributes): Promise<void> {
    if (attributes.operation !== "UPDATE" || !isWriteTo(attributes, certificateSigningRequests, "status")) return;
    const old = attributes.oldObject as CertificateSigningRequest;
    const draft = attributes.object as CertificateSigningRequest;
    const isSame =
      draft.status?.certificate === old.status?.certificate &&
      Bun.deepEquals(draft.status?.conditions ?? [], old.status?.conditions ?? []);
    if (isSame || (await mayUseSigner(this.authorizer, attributes, "sign", old.spec.signerName))) return;
    throw refusal(attributes, `user not permitted to sign requests with signerName "${old.spec.signerName}"`);
  }
}

/** Nobody gets into system:masters by a signed request. */
export class CertificateSubjectRestriction implements AdmissionPlugin {
  readonly name = "CertificateSubjectRestriction";
  readonly resources = [certificateSigningRequests];

  async validate(attributes: AdmissionAttributes): Promise<void> {
    if (attributes.operation !== "CREATE" || !isWriteTo(attributes, certificateSigningRequests)) return;
    const { spec } = attributes.object as CertificateSigningRequest;
    if (spec.signerName !== signerNames.apiClient) return;
    if ((await organizationsOf(spec.request)).includes("system:masters"))
      throw refusal(attributes, `use of ${signerNames.apiClient} signer with system:masters group is not allowed`);
  }
}

/** None for a request that cannot be read: CertificateRequests refuses that with its reason. */
async function organizationsOf(request: string): Promise<readonly string[]> {
  try {
    return (await parseCertificateRequest(Buffer.from(request, "base64").toString("utf8"))).organizations;
  } catch (error) {
    if (error instanceof CertificateRequestError) return [];
    throw error;
  }
}

/** On the signer itself, or on all of its domain (`example.com/*`). */
async function mayUseSigner(
  authorizer: Authorizer,
  { user }: AdmissionAttributes,
  verb: string,
  signerName: string,
): Promise<boolean> {
  const ask = async (name: string): Promise<boolean> => {
    const decision = await authorizer.authorize({
      user,
      verb,
      isResourceRequest: true,
      path: "",
      group: certificateSigningRequests.group,
      version: "*",
      resource: "signers",
      name,
    });
    return decision.outcome === "allow";
  };
  return (await ask(signerName)) || (await ask(`${signerName.split("/")[0]}/*`));
}
