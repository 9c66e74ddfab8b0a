import { certificateSigningRequests } from "#shared/api/resources.ts";
import { timestamp } from "#shared/client/clock.ts";
import { type ControllerDefinition, defineController, watching } from "#shared/client/controller.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { signCertificateRequest } from "#shared/pki/certificate-request.ts";
import { isOwnSigner, requestProblem, type SignerName, signingProfile } from "#shared/pki/signers.ts";
import { askedFor, hasCondition, withCondition } from "./request-state.ts";

/** By whom a signer signs, as it is at the time; undefined: it does not. */
export type SigningAuthority = (signer: SignerName) => KeyAndCertificate | undefined;

/** Signs approved requests of the cluster's own signers with its CA as it is at the time; one that its signer does not allow gets the
 *  condition Failed. `longest_s`: how long a certificate lasts at most; a year unless given. */
export function certificateSigner(authority: SigningAuthority, longest_s?: number): ControllerDefinition {
  return defineController({
    name: "certificate-signer",
    serviceAccount: "certificate-controller",
    concurrency: 1,
    watches: [watching(certificateSigningRequests)],
    async reconcile(key, { lister, client, clock }) {
      const request = lister(certificateSigningRequests).get(key);
      if (!request || request.status?.certificate) return;
      const { signerName, usages = [], expirationSeconds } = request.spec;
      if (!hasCondition(request, "Approved") || hasCondition(request, "Denied") || hasCondition(request, "Failed"))
        return;
      if (!isOwnSigner(signerName)) return;
      const signer = authority(signerName);
      if (!signer) return;
      const asked = await askedFor(request);
      if (!asked) return;
      const problem = requestProblem(signerName, asked, usages);
      if (problem !== undefined) {
        const failed = withCondition(request, {
          type: "Failed",
          status: "True",
          reason: "SignerValidationFailure",
          message: problem,
          lastUpdateTime: timestamp(clock),
        });
        await client.update(certificateSigningRequests, failed, { subresource: "status" });
        return;
      }
      const pem = await signCertificateRequest(
        signer,
        Buffer.from(request.spec.request, "base64").toString("utf8"),
        signingProfile(signerName, usages, expirationSeconds, new Date(clock.wall_ms()), longest_s),
      );
      const signed = { ...request, status: { ...request.status, certificate: Buffer.from(pem).toString("base64") } };
      await client.update(certificateSigningRequests, signed, { subresource: "status" });
    },
  });
}
