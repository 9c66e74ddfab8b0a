/** Certificates and keys that a person made elsewhere, in the place of those that a master makes for itself. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { GivenCredentials } from "#shared/config/given-credentials.ts";
import { readNamedFile } from "#shared/config/named-file.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { joinCertificates, splitCertificates } from "#shared/pki/certificate-bundle.ts";
import { parseServiceAccountKeys, type ServiceAccountKey } from "#shared/pki/service-account-key.ts";
import type { MasterPki } from "./master-pki.ts";

/** Paths, by the settings that name them; empty where they name none. */
export interface CredentialFiles extends Partial<GivenCredentials> {
  readonly clientCaFile: string;
}

const settingsOfFiles = [
  "clientCaFile",
  "tlsCertFile",
  "tlsPrivateKeyFile",
  "kubeletClientCertificate",
  "kubeletClientKey",
  "proxyClientCertFile",
  "proxyClientKeyFile",
  "serviceAccountSigningKeyFile",
  "serviceAccountKeyFile",
] as const satisfies readonly (keyof CredentialFiles)[];

/** All files that are named, to be looked at when they change. */
export function filesOf(files: CredentialFiles): readonly string[] {
  const all = { ...files, ...servingFiles(files) };
  return settingsOfFiles.flatMap((setting) => all[setting] ?? []).filter((path) => path !== "");
}

/** As upstream, those of the folder only where no others are named, and by half of a pair it is told that the other is missing. */
function servingFiles(files: CredentialFiles): Pick<CredentialFiles, "tlsCertFile" | "tlsPrivateKeyFile"> {
  const { certDir, tlsCertFile = "", tlsPrivateKeyFile = "" } = files;
  const named = { tlsCertFile, tlsPrivateKeyFile };
  if (!certDir || tlsCertFile || tlsPrivateKeyFile) return named;
  const inFolder = { tlsCertFile: join(certDir, "apiserver.crt"), tlsPrivateKeyFile: join(certDir, "apiserver.key") };
  return existsSync(inFolder.tlsCertFile) || existsSync(inFolder.tlsPrivateKeyFile) ? inFolder : named;
}

/** The same with what the files hold. Throws ConfigError for one that cannot be used. */
export function withGiven(pki: MasterPki, files: CredentialFiles): MasterPki {
  const { certificates, authorities, door } = pki;
  const { tlsCertFile, tlsPrivateKeyFile } = servingFiles(files);
  const serving = pairOf("tls-cert-file", tlsCertFile, "tls-private-key-file", tlsPrivateKeyFile);
  return {
    ...pki,
    authorities: { ...authorities, serviceAccountKeys: accountKeys(files) ?? authorities.serviceAccountKeys },
    certificates: {
      ...certificates,
      kubeletClient:
        pairOf(
          "kubelet-client-certificate",
          files.kubeletClientCertificate,
          "kubelet-client-key",
          files.kubeletClientKey,
        ) ?? certificates.kubeletClient,
      frontProxyClient:
        pairOf(
          "proxy-client-cert-file",
          files.proxyClientCertFile,
          "proxy-client-key-file",
          files.proxyClientKeyFile,
        ) ?? certificates.frontProxyClient,
    },
    door: {
      ...door,
      ...(serving && { cert: serving.certificatePem, key: serving.keyPem }),
      ca: joinCertificates(door.ca, clientAuthorities(files.clientCaFile)),
    },
  };
}

function pairOf(
  certificateSetting: string,
  certificateFile: string | undefined,
  keySetting: string,
  keyFile: string | undefined,
): KeyAndCertificate | undefined {
  if (!certificateFile && !keyFile) return undefined;
  if (!certificateFile || !keyFile)
    throw new ConfigError(`${certificateSetting} and ${keySetting} must be specified together`);
  const pair = {
    certificatePem: readNamedFile(certificateSetting, certificateFile),
    keyPem: readNamedFile(keySetting, keyFile),
  };
  const fits = parsed(certificateSetting, certificateFile, () =>
    new X509Certificate(pair.certificatePem).checkPrivateKey(createPrivateKey(pair.keyPem)),
  );
  if (!fits) throw new ConfigError(`${keySetting}: ${keyFile} is not the key of ${certificateFile}`);
  return pair;
}

/** Those of the cluster's own making still count: boards and its own components have theirs by it. */
function clientAuthorities(path: string): string {
  if (path === "") return "";
  const text = readNamedFile("client-ca-file", path);
  const certificates = parsed("client-ca-file", path, () =>
    splitCertificates(text).map((pem) => new X509Certificate(pem)),
  );
  if (certificates.length === 0) throw new ConfigError(`client-ca-file: ${path}: there is no certificate in it`);
  return text;
}

/** The one that signs first; undefined where none is named. */
function accountKeys({
  serviceAccountSigningKeyFile: signing = "",
  serviceAccountKeyFile: verifying = [],
}: CredentialFiles): readonly ServiceAccountKey[] | undefined {
  if (signing === "" && verifying.length === 0) return undefined;
  if (signing === "")
    throw new ConfigError("service-account-key-file: service-account-signing-key-file must be specified beside it");
  const keysIn = (setting: string, path: string): ServiceAccountKey[] => {
    const text = readNamedFile(setting, path);
    return parsed(setting, path, () => parseServiceAccountKeys(text));
  };
  const signer = keysIn("service-account-signing-key-file", signing).find(({ privateKey }) => privateKey !== undefined);
  if (!signer) throw new ConfigError(`service-account-signing-key-file: ${signing} holds no private key`);
  const others = verifying
    .flatMap((path) => keysIn("service-account-key-file", path))
    // Whoever signed with it elsewhere is not to sign here.
    .map(({ privateKey: _, ...key }) => key)
    .filter(({ keyId }) => keyId !== signer.keyId);
  return [signer, ...others];
}

function parsed<T>(setting: string, path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new ConfigError(`${setting}: ${path}: ${(error as Error).message}`);
  }
}
