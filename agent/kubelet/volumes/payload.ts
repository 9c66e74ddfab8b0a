import { isNotFound } from "#shared/api/errors.ts";
import { joinErrors } from "#shared/api/joined-errors.ts";
import type {
  ConfigMap,
  DownwardAPIVolumeFile,
  KeyToPath,
  Pod,
  Secret,
  ServiceAccountTokenProjection,
  Volume,
  VolumeProjection,
} from "#shared/api/types/core-v1.generated.ts";
import type { ObjectSource } from "../container/environment.ts";
import { fieldValue, type PodFacts, resourceFieldValue } from "../container/field-ref.ts";
import { findContainer } from "../pod-containers.ts";
import type { Payload, ProjectedFile } from "./atomic-writer.ts";

export interface PayloadSources {
  readonly facts: PodFacts;
  readonly objects: ObjectSource;
  /** Undefined while the master is away and there is no token yet: the file comes later. */
  token(projection: ServiceAccountTokenProjection): Promise<string | undefined>;
}

const defaultMode = 0o644;

/** The files of a volume that shows API objects; other volumes have none. Rejects when a source is missing. */
export async function volumePayload(volume: Volume, sources: PayloadSources): Promise<Payload> {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap) return one({ configMap }, configMap.defaultMode, sources);
  if (secret) {
    const { secretName, items, optional } = secret;
    return one({ secret: { name: secretName, items, optional } }, secret.defaultMode, sources);
  }
  if (downwardAPI) return one({ downwardAPI }, downwardAPI.defaultMode, sources);
  const files = new Map<string, ProjectedFile>();
  const failures = new Set<string>();
  for (const source of projected?.sources ?? []) {
    try {
      for (const [path, file] of await one(source, projected?.defaultMode, sources)) files.set(path, file);
    } catch (error) {
      failures.add((error as Error).message);
    }
  }
  if (failures.size > 0) throw new Error(joinErrors(failures));
  return files;
}

async function one(source: VolumeProjection, mode = defaultMode, sources: PayloadSources): Promise<Payload> {
  const { facts, objects } = sources;
  const namespace = facts.pod.metadata.namespace ?? "";
  if (source.configMap) {
    const { name = "", items, optional } = source.configMap;
    const map = await optionally(optional, () => objects.configMap(namespace, name));
    return fromKeys(configMapContent(map), items, mode, optional, "configmap references non-existent config key: ");
  }
  if (source.secret) {
    const { name = "", items, optional } = source.secret;
    const secret = await optionally(optional, () => objects.secret(namespace, name));
    return fromKeys(secretContent(secret), items, mode, optional, "references non-existent secret key: ");
  }
  if (source.downwardAPI) return downward(source.downwardAPI.items ?? [], mode, facts);
  if (source.serviceAccountToken) return token(source.serviceAccountToken, mode, sources);
  if (source.clusterTrustBundle) throw new Error("clusterTrustBundle projections are not supported by this node");
  if (source.podCertificate) throw new Error("podCertificate projections are not supported by this node");
  return new Map();
}

async function optionally<T>(optional: boolean | undefined, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (optional && isNotFound(error)) return undefined;
    throw error;
  }
}

function configMapContent(map: ConfigMap | undefined): Map<string, Uint8Array> {
  const content = new Map<string, Uint8Array>();
  for (const [key, text] of Object.entries(map?.data ?? {})) content.set(key, Buffer.from(text));
  for (const [key, base64] of Object.entries(map?.binaryData ?? {})) content.set(key, Buffer.from(base64, "base64"));
  return content;
}

function secretContent(secret: Secret | undefined): Map<string, Uint8Array> {
  return new Map(Object.entries(secret?.data ?? {}).map(([key, base64]) => [key, Buffer.from(base64, "base64")]));
}

function fromKeys(
  content: ReadonlyMap<string, Uint8Array>,
  items: readonly KeyToPath[] | undefined,
  mode: number,
  optional: boolean | undefined,
  missing: string,
): Payload {
  if (!items?.length) return new Map([...content].map(([key, data]) => [key, { data, mode }]));
  const files = new Map<string, ProjectedFile>();
  for (const item of items) {
    const data = content.get(item.key);
    if (data) files.set(item.path, { data, mode: item.mode ?? mode });
    else if (!optional) throw new Error(`${missing}${item.key}`);
  }
  return files;
}

function downward(items: readonly DownwardAPIVolumeFile[], mode: number, facts: PodFacts): Payload {
  return new Map(
    items.map(({ path, fieldRef, resourceFieldRef, mode: own }) => {
      let text = "";
      if (fieldRef) text = fieldValue(fieldRef.fieldPath, facts);
      else if (resourceFieldRef) {
        const { containerName = "" } = resourceFieldRef;
        const found = findContainer(facts.pod.spec, containerName);
        if (!found) throw new Error(`container ${containerName} not found`);
        text = resourceFieldValue(resourceFieldRef, found.container, facts);
      }
      return [path, { data: Buffer.from(text), mode: own ?? mode }];
    }),
  );
}

async function token(
  projection: ServiceAccountTokenProjection,
  mode: number,
  { facts, token }: PayloadSources,
): Promise<Payload> {
  const text = await token(projection);
  if (text === undefined) return new Map();
  const uid = commonUser(facts.pod);
  const restricted = uid !== undefined || facts.pod.spec.securityContext?.fsGroup !== undefined;
  return new Map([[projection.path, { data: Buffer.from(text), mode: restricted ? 0o600 : mode, uid }]]);
}

/** The user that all containers run as, if the spec says so of each: a token can then be theirs alone. */
function commonUser(pod: Pod): number | undefined {
  const { initContainers = [], containers, ephemeralContainers = [], securityContext } = pod.spec;
  const users = new Set(
    [...initContainers, ...containers, ...ephemeralContainers].map(
      (container) => container.securityContext?.runAsUser ?? securityContext?.runAsUser,
    ),
  );
  const [only] = users;
  return users.size === 1 ? only : undefined;
}
