import { bundleFingerprints } from "./certificate-bundle.ts";

/** Enough of a fingerprint to tell a cluster's authorities apart. */
const shown = 16;

/** Authorities that a board trusts, and the one that signed its certificate: a rotation of the CA waits for both. */
const trustedAnnotation = "bramble.dev/trusted-authorities";
const issuerAnnotation = "bramble.dev/certificate-authority";

/** What a board says of its authorities at its Node. */
export function authorityAnnotations(trustedPem: string, issuer: string | undefined): Record<string, string> {
  return {
    [trustedAnnotation]: bundleFingerprints(trustedPem)
      .map((fingerprint) => fingerprint.slice(0, shown))
      .join(","),
    [issuerAnnotation]: (issuer ?? "").slice(0, shown),
  };
}

/** Whether a Node's annotations say that its board trusts the authority of that fingerprint, and whether that signed its certificate. */
export function boardAuthority(
  annotations: Readonly<Record<string, string>> | undefined,
  fingerprint: string,
): { readonly isTrusted: boolean; readonly isIssuer: boolean } {
  const short = fingerprint.slice(0, shown);
  return {
    isTrusted: (annotations?.[trustedAnnotation] ?? "").split(",").includes(short),
    isIssuer: annotations?.[issuerAnnotation] === short,
  };
}
