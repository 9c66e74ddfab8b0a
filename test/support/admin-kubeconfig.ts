import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import type { SecuredServer } from "./secured-server.ts";

/** A kubeconfig, in JSON, of somebody in system:masters: for programs that run beside a test's server. */
export async function adminKubeconfig({ pki, url }: SecuredServer): Promise<string> {
  const { ca } = pki.authorities;
  const { certificatePem, keyPem } = await issueCertificate(
    ca,
    { commonName: "admin", organizations: ["system:masters"] },
    [extendedKeyUsages.clientAuth],
  );
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "it",
    contexts: [{ name: "it", context: { cluster: "it", user: "it" } }],
    clusters: [{ name: "it", cluster: { server: url, "certificate-authority-data": base64(ca.certificatePem) } }],
    users: [
      {
        name: "it",
        user: { "client-certificate-data": base64(certificatePem), "client-key-data": base64(keyPem) },
      },
    ],
  });
}
