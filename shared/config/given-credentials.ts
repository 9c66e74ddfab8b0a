/** Certificates and keys of an API server that were made elsewhere, such as kubeadm's: upstream's flags. */
import { text, texts, under, type ValuesOf } from "./option.ts";

const ownUnlessGiven = "(default: one of its own)";

export const givenCredentialOptions = under("Certificates and keys that were made elsewhere:", {
  tlsCertFile: text("tls-cert-file", "FILE", `what the API server shows to its clients ${ownUnlessGiven}`, ""),
  tlsPrivateKeyFile: text("tls-private-key-file", "FILE", "the key of that certificate", ""),
  certDir: text(
    "cert-dir",
    "DIR",
    "where apiserver.crt and apiserver.key are what it shows, if they are there and tls-cert-file names none",
    "",
  ),
  kubeletClientCertificate: text(
    "kubelet-client-certificate",
    "FILE",
    "what it shows to kubelets: those that keep no tunnel to it are then called at their Nodes' addresses",
    "",
  ),
  kubeletClientKey: text("kubelet-client-key", "FILE", "the key of that certificate", ""),
  kubeletCertificateAuthority: text(
    "kubelet-certificate-authority",
    "FILE",
    "by whom kubelets that are called must have their certificates; without it nobody asks",
    "",
  ),
  kubeletPreferredAddressTypes: texts(
    "kubelet-preferred-address-types",
    "TYPE",
    "which address of a Node is called, the first that it has",
    ["Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"],
  ),
  proxyClientCertFile: text(
    "proxy-client-cert-file",
    "FILE",
    `what it shows to aggregated API servers ${ownUnlessGiven}`,
    "",
  ),
  proxyClientKeyFile: text("proxy-client-key-file", "FILE", "the key of that certificate", ""),
  serviceAccountSigningKeyFile: text(
    "service-account-signing-key-file",
    "FILE",
    `the key that signs service accounts' tokens ${ownUnlessGiven}`,
    "",
  ),
  serviceAccountKeyFile: texts(
    "service-account-key-file",
    "FILE",
    "keys, public or private, whose tokens count beside those of the signing one; repeatable",
  ),
} as const);

export type GivenCredentials = ValuesOf<typeof givenCredentialOptions>;
