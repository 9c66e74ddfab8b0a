import type { FieldError } from "#shared/api/errors.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import { collect, each } from "../validation/field.ts";
import { validateSignerName } from "./signer-name.ts";

const minLife_s = 600;
const legacySigner = "kubernetes.io/legacy-unknown";
const usages = [
  "any",
  "cert sign",
  "client auth",
  "code signing",
  "content commitment",
  "crl sign",
  "data encipherment",
  "decipher only",
  "digital signature",
  "email protection",
  "encipher only",
  "ipsec end system",
  "ipsec tunnel",
  "ipsec user",
  "key agreement",
  "key encipherment",
  "microsoft sgc",
  "netscape sgc",
  "ocsp signing",
  "s/mime",
  "server auth",
  "signing",
  "timestamping",
];

/** What is asked for, but for the request's own signature: admission checks that, since it has to wait for it. */
export const validateRequest = ({ spec }: Pick<CertificateSigningRequest, "spec">): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    if (spec.request === undefined) field.at("request").invalid(null, "PEM block type must be CERTIFICATE REQUEST");
    if (!spec.usages?.length) field.at("usages").required();
    const seen = new Set<string>();
    each(spec.usages, field.at("usages"), (usage, at) => {
      if (!usages.includes(usage)) at.ruled("usages that are known").notSupported(usage, usages);
      if (seen.has(usage)) at.ruled("usages once each").duplicate(usage);
      seen.add(usage);
    });
    if (spec.signerName === legacySigner)
      field
        .at("signerName")
        .ruled("no legacy signer")
        .invalid(spec.signerName, "the legacy signerName is not allowed via this API version");
    else validateSignerName(spec.signerName, field.at("signerName"));
    const life_s = spec.expirationSeconds;
    if (life_s !== undefined && life_s < minLife_s)
      field.at("expirationSeconds").invalid(life_s, "may not specify a duration less than 600 seconds (10 minutes)");
  });
