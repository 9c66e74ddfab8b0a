import { buildDate } from "./build-date.ts";
import type { NamedSubject, Validity } from "./certificate-facts.ts";
import type { SigningProfile } from "./certificate-request.ts";

/** Signers that the cluster itself runs (certificates.k8s.io). */
export const signerNames = {
  apiClient: "kubernetes.io/kube-apiserver-client",
  kubeletClient: "kubernetes.io/kube-apiserver-client-kubelet",
  kubeletServing: "kubernetes.io/kubelet-serving",
  legacyUnknown: "kubernetes.io/legacy-unknown",
} as const;

export type SignerName = (typeof signerNames)[keyof typeof signerNames];

const all: readonly string[] = Object.values(signerNames);
export const isOwnSigner = (name: string): name is SignerName => all.includes(name);

/** Usages that a board asks for; keys are ECDSA, so there is no key encipherment. */
export const kubeletClientUsages = ["digital signature", "client auth"] as const;
export const kubeletServingUsages = ["digital signature", "server auth"] as const;

/** Why the signer does not sign this; undefined when it does. Rules: kubernetes.io signers' documentation. */
export function requestProblem(
  signer: SignerName,
  request: NamedSubject,
  usages: readonly string[],
): string | undefined {
  switch (signer) {
    case signerNames.legacyUnknown:
      return undefined;
    case signerNames.apiClient:
      return apiClientProblem(usages);
    case signerNames.kubeletClient:
      return kubeletClientProblem(request, usages);
    case signerNames.kubeletServing:
      return kubeletServingProblem(request, usages);
  }
}

function apiClientProblem(usages: readonly string[]): string | undefined {
  const other = usages.find((usage) => !["digital signature", "key encipherment", "client auth"].includes(usage));
  if (other !== undefined) return `invalid usage for client certificate: ${other}`;
  return usages.includes("client auth") ? undefined : "missing required usage for client certificate: client auth";
}

function kubeletClientProblem(request: NamedSubject, usages: readonly string[]): string | undefined {
  if (!isNodesGroup(request)) return "subject organization is not system:nodes";
  if (request.dnsNames.length > 0) return "DNS subjectAltNames are not allowed";
  if (request.emailAddresses.length > 0) return "Email subjectAltNames are not allowed";
  if (request.ipAddresses.length > 0) return "IP subjectAltNames are not allowed";
  if (request.uris.length > 0) return "URI subjectAltNames are not allowed";
  if (!request.commonName.startsWith("system:node:")) return "subject common name does not begin with system:node:";
  return isExactly(usages, "client auth")
    ? undefined
    : "usages did not match [client auth digital signature key encipherment]";
}

function kubeletServingProblem(request: NamedSubject, usages: readonly string[]): string | undefined {
  if (!isNodesGroup(request)) return "subject organization is not system:nodes";
  if (request.dnsNames.length === 0 && request.ipAddresses.length === 0) return "DNS or IP subjectAltName is required";
  if (request.emailAddresses.length > 0) return "Email subjectAltNames are not allowed";
  if (request.uris.length > 0) return "URI subjectAltNames are not allowed";
  if (!isExactly(usages, "server auth")) return "usages did not match [digital signature key encipherment server auth]";
  return request.commonName.startsWith("system:node:")
    ? undefined
    : "subject common name does not begin with system:node:";
}

const isNodesGroup = ({ organizations }: NamedSubject): boolean =>
  organizations.length === 1 && organizations[0] === "system:nodes";

/** `digital signature` and `purpose`, with or without `key encipherment`. */
function isExactly(usages: readonly string[], purpose: string): boolean {
  const found = new Set(usages);
  const needed = found.has("digital signature") && found.has(purpose);
  return needed && found.size === (found.has("key encipherment") ? 3 : 2);
}

const extendedUsageOids: Readonly<Record<string, string>> = {
  any: "2.5.29.37.0",
  "server auth": "1.3.6.1.5.5.7.3.1",
  "client auth": "1.3.6.1.5.5.7.3.2",
  "code signing": "1.3.6.1.5.5.7.3.3",
  "email protection": "1.3.6.1.5.5.7.3.4",
  "s/mime": "1.3.6.1.5.5.7.3.4",
  "ipsec end system": "1.3.6.1.5.5.7.3.5",
  "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
  "ipsec user": "1.3.6.1.5.5.7.3.7",
  timestamping: "1.3.6.1.5.5.7.3.8",
  "ocsp signing": "1.3.6.1.5.5.7.3.9",
  "microsoft sgc": "1.3.6.1.4.1.311.10.3.3",
  "netscape sgc": "2.16.840.1.113730.4.1",
};

const yearlong_s = 365 * 86_400;
const shortest_s = 600;
const backdate_s = 300;
/** Under this the end is not moved back together with the beginning. */
const short_s = 8 * 3600;

/** How a request is signed. Certificates of boards begin at the build date, so that a board whose clock is not set yet
 *  takes them; others five minutes ago. They last `longest_s`, a year, or as long as was asked if that is less. */
export function signingProfile(
  signer: SignerName,
  usages: readonly string[],
  expirationSeconds: number | undefined,
  now: Date,
  longest_s = yearlong_s,
): SigningProfile {
  return {
    extendedUsages: usages.flatMap((usage) => extendedUsageOids[usage] ?? []),
    keyUsages: usages,
    validity: validityOf(signer, expirationSeconds, now, longest_s),
  };
}

function validityOf(signer: SignerName, expirationSeconds: number | undefined, now: Date, longest_s: number): Validity {
  const lifetime_s = Math.min(longest_s, Math.max(shortest_s, expirationSeconds ?? longest_s));
  const backdated_ms = now.getTime() - backdate_s * 1000;
  const isBoards = signer === signerNames.kubeletClient || signer === signerNames.kubeletServing;
  const end_s = lifetime_s < short_s ? lifetime_s : lifetime_s - backdate_s;
  return {
    notBefore: new Date(isBoards ? Math.min(buildDate.getTime(), backdated_ms) : backdated_ms),
    notAfter: new Date(now.getTime() + end_s * 1000),
  };
}
