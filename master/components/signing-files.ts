import type { ControllerManagerSettings } from "#shared/config/component-settings.ts";
import { readNamedFile } from "#shared/config/named-file.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { type SignerName, signerNames } from "#shared/pki/signers.ts";
import type { SigningAuthority } from "../controllers/certificates/signer.ts";

interface Files {
  /** Of the settings, without `cluster-signing-`, for messages. */
  readonly name: string;
  readonly certificate: string;
  readonly key: string;
}

/** The CAs in the files that the settings name, read whenever something is to be signed: they change when a CA is rotated.
 *  Where none is named nothing is signed. Throws ConfigError, worded as upstream. */
export function signingAuthority(settings: ControllerManagerSettings): SigningAuthority {
  const general = { name: "", certificate: settings.clusterSigningCertFile, key: settings.clusterSigningKeyFile };
  const single = filesOfSigners(settings);
  const given = [...single.values()].filter(({ certificate, key }) => certificate !== "" || key !== "");
  for (const { name, certificate, key } of given) {
    if (certificate === "") throw new ConfigError(`"cluster-signing-${name}": cannot specify key without cert`);
    if (key === "") throw new ConfigError(`"cluster-signing-${name}": cannot specify cert without key`);
  }
  if (given.length > 0 && (general.certificate !== "" || general.key !== ""))
    throw new ConfigError(
      "cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags at the same time",
    );
  if (given.length === 0 && general.certificate === "" && general.key === "") return () => undefined;
  // What is missing is said before anything runs.
  for (const files of given.length > 0 ? given : [general]) pairIn(files);
  return (signer) => {
    if (given.length === 0) return pairIn(general);
    const files = single.get(signer);
    return files && files.certificate !== "" ? pairIn(files) : undefined;
  };
}

const filesOfSigners = (settings: ControllerManagerSettings): ReadonlyMap<SignerName, Files> =>
  new Map([
    [
      signerNames.kubeletServing,
      {
        name: "kubelet-serving",
        certificate: settings.clusterSigningKubeletServingCertFile,
        key: settings.clusterSigningKubeletServingKeyFile,
      },
    ],
    [
      signerNames.kubeletClient,
      {
        name: "kubelet-client",
        certificate: settings.clusterSigningKubeletClientCertFile,
        key: settings.clusterSigningKubeletClientKeyFile,
      },
    ],
    [
      signerNames.apiClient,
      {
        name: "kube-apiserver-client",
        certificate: settings.clusterSigningKubeApiserverClientCertFile,
        key: settings.clusterSigningKubeApiserverClientKeyFile,
      },
    ],
    [
      signerNames.legacyUnknown,
      {
        name: "legacy-unknown",
        certificate: settings.clusterSigningLegacyUnknownCertFile,
        key: settings.clusterSigningLegacyUnknownKeyFile,
      },
    ],
  ]);

function pairIn({ name, certificate, key }: Files): KeyAndCertificate {
  const setting = name === "" ? "cluster-signing" : `cluster-signing-${name}`;
  return {
    certificatePem: readNamedFile(`${setting}-cert-file`, certificate),
    keyPem: readNamedFile(`${setting}-key-file`, key),
  };
}
