import { createPrivateKey } from "node:crypto";
import { stringify } from "yaml";
import { serversExtension } from "#shared/client/kubeconfig.ts";
import type { KeyAndCertificate } from "./certificate.ts";

export interface KubeconfigParts {
  /** https://host:port */
  readonly server: string;
  /** More API servers of the same cluster, for clients that know the extension (client/kubeconfig.ts). */
  readonly furtherServers?: readonly string[] | undefined;
  /** The name that the server's certificate must have, whatever the address is that it is asked at. */
  readonly serverName?: string | undefined;
  /** Text, or the path of a file that may be renewed in place. */
  readonly caCertificatePem: string | { readonly file: string };
  /** A client certificate with its key, or a bearer token. */
  readonly credentials: KeyAndCertificate | { readonly token: string } | { readonly files: CredentialFiles };
  readonly clusterName?: string | undefined;
  readonly userName?: string | undefined;
  readonly namespace?: string | undefined;
}

/** Paths, for credentials that are renewed in place. */
export interface CredentialFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Renders a client-go kubeconfig (YAML) with one cluster, user and context. */
export function renderKubeconfig(parts: KubeconfigParts): string {
  const { clusterName = "bramble", userName = "admin", credentials } = parts;
  const contextName = clusterName;
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: clusterName,
        cluster: clusterEntry(parts),
      },
    ],
    users: [{ name: userName, user: userEntry(credentials) }],
    contexts: [
      {
        name: contextName,
        context: {
          cluster: clusterName,
          ...(parts.namespace ? { namespace: parts.namespace } : {}),
          user: userName,
        },
      },
    ],
    "current-context": contextName,
  });
}

function clusterEntry(parts: KubeconfigParts): object {
  const { server, serverName, furtherServers = [], caCertificatePem: ca } = parts;
  const authority =
    typeof ca === "string" ? { "certificate-authority-data": base64(ca) } : { "certificate-authority": ca.file };
  const extension = { name: serversExtension, extension: { servers: furtherServers } };
  return {
    ...authority,
    server,
    ...(serverName ? { "tls-server-name": serverName } : {}),
    ...(furtherServers.length > 0 ? { extensions: [extension] } : {}),
  };
}

function userEntry(credentials: KubeconfigParts["credentials"]): object {
  if ("token" in credentials) return { token: credentials.token };
  if ("files" in credentials)
    return { "client-certificate": credentials.files.certificate, "client-key": credentials.files.key };
  return {
    "client-certificate-data": base64(credentials.certificatePem),
    "client-key-data": base64(namingItsAlgorithm(credentials.keyPem)),
  };
}

/** A key of an elliptic curve as Go's tools write it (RFC 5915). Clients tell by the first line what a key is, and fabric8's, for
 *  Java, takes one that does not say (PKCS #8) for RSA. */
function namingItsAlgorithm(keyPem: string): string {
  const key = createPrivateKey(keyPem);
  return key.asymmetricKeyType === "ec" ? key.export({ type: "sec1", format: "pem" }).toString() : keyPem;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
