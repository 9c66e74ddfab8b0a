import { bundleFingerprints } from "./certificate-bundle.ts";

/** Enough of a fingerprint to tell a cluster's authorities apart. */
const shown = 16;

/** Authorities that a board trusts, and the one that signed its certificate: a rotation of the CA waits for both. */
const trustedAnnotation = "bramble.dev/trusted-authorities";
const issuerAnnotation = "bramble.dev/certificate-authority";
/** What the cluster trusts by now, at the Node of a board that does not yet: the board asks for it at once. */
const wantedAuthoritiesAnnotation = "bramble.dev/wanted-authorities";

/** What a board says of its authorities at its Node. */
export function authorityAnnotations(trustedPem: string, issuer: string | undefined): Record<string, string> {
  return {
    [trustedAnnotation]: authoritiesText(trustedPem),
    [issuerAnnotation]: (issuer ?? "").slice(0, shown),
  };
}

/** Names all authorities of a PEM text, in its order: the first signs. */
function authoritiesText(pem: string): string {
  return bundleFingerprints(pem)
    .map((fingerprint) => fingerprint.slice(0, shown))
    .join(",");
}

type Annotations = Readonly<Record<string, string>> | undefined;

/** All that is said of authorities at a Node, as one text that changes with it. */
export const authoritiesSaid = (annotations: Annotations): string =>
  [trustedAnnotation, issuerAnnotation, wantedAuthoritiesAnnotation].map((name) => annotations?.[name] ?? "").join(" ");

/** What a master has to write at a Node so that its board asks for these authorities: nothing where the board has them, was
 *  told already, or is about to say for the first time what it has. */
export function authoritiesToTell(annotations: Annotations, trustedPem: string): Record<string, string> | undefined {
  if (annotations?.[trustedAnnotation] === undefined) return undefined;
  const wanted = authoritiesText(trustedPem);
  const last = annotations[wantedAuthoritiesAnnotation] ?? annotations[trustedAnnotation];
  return last === wanted ? undefined : { [wantedAuthoritiesAnnotation]: wanted };
}

/** Whether a master has told the board of other authorities than it trusts. */
export function isBehindAuthorities(annotations: Annotations, trustedPem: string): boolean {
  const wanted = annotations?.[wantedAuthoritiesAnnotation];
  return wanted !== undefined && wanted !== authoritiesText(trustedPem);
}

/** Whether a Node's annotations say that its board trusts the authority of that fingerprint, and whether that signed its certificate. */
export function boardAuthority(
  annotations: Annotations,
  fingerprint: string,
): { readonly isTrusted: boolean; readonly isIssuer: boolean } {
  const short = fingerprint.slice(0, shown);
  return {
    isTrusted: (annotations?.[trustedAnnotation] ?? "").split(",").includes(short),
    isIssuer: annotations?.[issuerAnnotation] === short,
  };
}
