import { randomInt } from "node:crypto";
import { referencedNames } from "#shared/api/pod-references.ts";
import { pods, serviceAccounts } from "#shared/api/resources.ts";
import type {
  Container,
  Pod,
  PodSpec,
  ServiceAccount,
  Volume,
  VolumeMount,
} from "#shared/api/types/core-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { awaitObject, draftOf, isWriteTo, refusal } from "./attributes.ts";

const mountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
const volumePrefix = "kube-api-access-";
const mirror = "kubernetes.io/config.mirror";
/** Seconds that a pod's token lives; the odd number marks tokens that may be extended while clients learn to renew. */
const podTokenLifetime_s = 3607;
/** The default ServiceAccount comes a moment after its namespace. */
const defaultPatience_ms = 1500;
const patience_ms = 150;

/** Every pod runs as a service account: by default `default`, with its token, CA and namespace mounted, and its pull
 *  secrets. */
export class ServiceAccountPlugin implements AdmissionPlugin {
  readonly name = "ServiceAccount";
  readonly resources = [pods];

  constructor(private readonly reader: ResourceReader) {}

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const pod = draftOf(attributes, pods);
    if (!pod?.spec || attributes.operation !== "CREATE") return;
    // A kubelet deletes a mirror pod that is not exactly what it made.
    if (isMirror(pod)) return;
    const { spec } = pod;
    spec.serviceAccountName ||= spec.serviceAccount || "default";
    // The old name of the field is kept in step for old clients.
    spec.serviceAccount = spec.serviceAccountName;
    const account = await this.#accountOf(attributes, spec.serviceAccountName);
    if (spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) mountToken(spec);
    if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length)
      spec.imagePullSecrets = account.imagePullSecrets.map(({ name }) => ({ name }));
  }

  async validate(attributes: AdmissionAttributes): Promise<void> {
    if (isWriteTo(attributes, pods, "ephemeralcontainers")) return this.#validateEphemeral(attributes);
    const pod = draftOf(attributes, pods);
    if (!pod?.spec || attributes.operation !== "CREATE") return;
    if (isMirror(pod)) return assertMirror(attributes, pod);
    if (!pod.spec.serviceAccountName) throw this.#noAccount(attributes);
    const account = await this.#accountOf(attributes, pod.spec.serviceAccountName);
    if (!enforcesMountableSecrets(account)) return;
    const problem = secretProblem(pod.spec, account);
    if (problem) throw refusal(attributes, problem);
  }

  async #validateEphemeral(attributes: AdmissionAttributes): Promise<void> {
    const pod = attributes.object as Pod | undefined;
    if (!pod?.spec || attributes.operation !== "UPDATE") return;
    if (!pod.spec.serviceAccountName) throw this.#noAccount(attributes);
    const account = await this.#accountOf(attributes, pod.spec.serviceAccountName);
    if (!enforcesMountableSecrets(account)) return;
    const problem = containerSecretProblem("ephemeral container", pod.spec.ephemeralContainers ?? [], account);
    if (problem) throw refusal(attributes, problem);
  }

  #noAccount(attributes: AdmissionAttributes) {
    return refusal(
      attributes,
      `no service account specified for pod ${attributes.namespace}/${attributes.object?.metadata.name ?? ""}`,
    );
  }

  async #accountOf(attributes: AdmissionAttributes, name: string): Promise<ServiceAccount> {
    const { namespace } = attributes;
    const wait_ms = name === "default" ? defaultPatience_ms : patience_ms;
    const account = await awaitObject(this.reader, serviceAccounts, { namespace, name }, wait_ms);
    if (account) return account;
    throw refusal(
      attributes,
      `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`,
    );
  }
}

const isMirror = (pod: Pod): boolean => pod.metadata.annotations?.[mirror] !== undefined;

function assertMirror(attributes: AdmissionAttributes, pod: Pod): void {
  if (pod.spec?.serviceAccountName) throw refusal(attributes, "a mirror pod may not reference service accounts");
  if (referencedNames(pod, "secret").length > 0) throw refusal(attributes, "a mirror pod may not reference secrets");
  const projections = (pod.spec?.volumes ?? []).flatMap((volume) => volume.projected?.sources ?? []);
  if (projections.some((source) => source.serviceAccountToken))
    throw refusal(attributes, "a mirror pod may not use ServiceAccountToken volume projections");
}

function mountToken(spec: PodSpec): void {
  const existing = spec.volumes?.find((volume) => volume.name.startsWith(volumePrefix));
  const name = existing?.name ?? `${volumePrefix}${randomSuffix()}`;
  const mount: VolumeMount = { name, readOnly: true, mountPath };
  let isNeeded = false;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    if (container.volumeMounts?.some((other) => other.mountPath === mountPath)) continue;
    container.volumeMounts = [...(container.volumeMounts ?? []), { ...mount }];
    isNeeded = true;
  }
  if (!existing && isNeeded) spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
}

/** The volume that gives a pod its identity. */
function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: podTokenLifetime_s, path: "token" } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        {
          downwardAPI: {
            items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
          },
        },
      ],
      defaultMode: 420,
    },
  };
}

/** Letters and digits that make no words, as upstream's generated names. */
function randomSuffix(): string {
  const alphabet = "bcdfghjklmnpqrstvwxz2456789";
  return Array.from({ length: 5 }, () => alphabet[randomInt(alphabet.length)]).join("");
}

function enforcesMountableSecrets({ metadata }: ServiceAccount): boolean {
  const value = metadata.annotations?.["kubernetes.io/enforce-mountable-secrets"] ?? "";
  return ["1", "t", "T", "true", "TRUE", "True"].includes(value);
}

function secretProblem(spec: PodSpec, account: ServiceAccount): string | undefined {
  const { name } = account.metadata;
  const mountable = new Set((account.secrets ?? []).map((secret) => secret.name));
  for (const volume of spec.volumes ?? [])
    if (volume.secret && !mountable.has(volume.secret.secretName))
      return (
        `volume with secret.secretName="${volume.secret.secretName ?? ""}" is not allowed because ` +
        `service account ${name} does not reference that secret`
      );
  const inContainers =
    containerSecretProblem("init container", spec.initContainers ?? [], account) ??
    containerSecretProblem("container", spec.containers, account);
  if (inContainers) return inContainers;
  const pull = new Set((account.imagePullSecrets ?? []).map((secret) => secret.name));
  const index = (spec.imagePullSecrets ?? []).findIndex((secret) => !pull.has(secret.name));
  if (index < 0) return undefined;
  return (
    `imagePullSecrets[${index}].name="${spec.imagePullSecrets?.[index]?.name ?? ""}" is not allowed because ` +
    `service account ${name} does not reference that imagePullSecret`
  );
}

function containerSecretProblem(
  what: string,
  containers: readonly Pick<Container, "name" | "env" | "envFrom">[],
  account: ServiceAccount,
): string | undefined {
  const mountable = new Set((account.secrets ?? []).map((secret) => secret.name));
  const tail = `is not allowed because service account ${account.metadata.name} does not reference that secret`;
  for (const container of containers) {
    for (const { name, valueFrom } of container.env ?? [])
      if (valueFrom?.secretKeyRef && !mountable.has(valueFrom.secretKeyRef.name))
        return `${what} ${container.name} with envVar ${name} referencing secret.secretName="${valueFrom.secretKeyRef.name ?? ""}" ${tail}`;
    for (const { secretRef } of container.envFrom ?? [])
      if (secretRef && !mountable.has(secretRef.name))
        return `${what} ${container.name} with envFrom referencing secret.secretName="${secretRef.name ?? ""}" ${tail}`;
  }
  return undefined;
}
