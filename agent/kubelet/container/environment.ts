import { isNotFound } from "#shared/api/errors.ts";
import type {
  ConfigMap,
  Container,
  EnvVar,
  EnvVarSource,
  Secret,
  Service,
} from "#shared/api/types/core-v1.generated.ts";
import { configError } from "./container-error.ts";
import { expand } from "./expansion.ts";
import { fieldValue, type PodFacts, resourceFieldValue } from "./field-ref.ts";
import { serviceEnvironment } from "./service-environment.ts";

/** Reads what pods of this board refer to. Both reject with StatusError NotFound for what is not there. */
export interface ObjectSource {
  configMap(namespace: string, name: string): Promise<ConfigMap>;
  secret(namespace: string, name: string): Promise<Secret>;
}

export interface EnvironmentSources {
  readonly facts: PodFacts;
  readonly objects: ObjectSource;
  /** All that this board knows of; undefined while they have not been read once. */
  readonly services: readonly Service[] | undefined;
  /** Value of a key in a dotenv file of a volume, undefined when the key is not in it; and where the file is on the board. */
  envFile(volumeName: string, path: string, key: string): Promise<{ value: string | undefined; file: string }>;
}

/**
 * The environment of a container, in this order of strength: Services, envFrom, env; `$(NAME)` refers to what stands
 * before. Rejects with ContainerStartError (CreateContainerConfigError) when something named is missing.
 */
export async function containerEnvironment(
  container: Container,
  sources: EnvironmentSources,
): Promise<{ name: string; value: string }[]> {
  const { pod } = sources.facts;
  const namespace = pod.metadata.namespace ?? "";
  if (!sources.services) {
    throw configError("services have not yet been read at least once, cannot construct envvars");
  }
  const services = serviceEnvironment(sources.services, namespace, pod.spec.enableServiceLinks !== false);
  const own = await environmentFrom(container, namespace, sources.objects);
  for (const variable of container.env ?? []) {
    const value = await variableValue(
      variable,
      container,
      namespace,
      sources,
      (name) => own.get(name) ?? services.get(name),
    );
    if (value !== undefined) own.set(variable.name, value);
  }
  return [...new Map([...services, ...own])].map(([name, value]) => ({ name, value }));
}

async function environmentFrom(
  container: Container,
  namespace: string,
  objects: ObjectSource,
): Promise<Map<string, string>> {
  const environment = new Map<string, string>();
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef) {
      const name = configMapRef.name ?? "";
      const map = await optionally(configMapRef.optional, () => objects.configMap(namespace, name));
      for (const [key, value] of Object.entries(map?.data ?? {})) environment.set(prefix + key, value);
    } else if (secretRef) {
      const name = secretRef.name ?? "";
      const secret = await optionally(secretRef.optional, () => objects.secret(namespace, name));
      for (const [key, value] of Object.entries(secret?.data ?? {})) environment.set(prefix + key, decode(value));
    }
  }
  return environment;
}

async function variableValue(
  variable: EnvVar,
  container: Container,
  namespace: string,
  sources: EnvironmentSources,
  known: (name: string) => string | undefined,
): Promise<string | undefined> {
  if (variable.value) return expand(variable.value, known);
  if (!variable.valueFrom) return "";
  return valueFrom(variable.valueFrom, container, namespace, sources);
}

async function valueFrom(
  source: EnvVarSource,
  container: Container,
  namespace: string,
  { facts, objects, envFile }: EnvironmentSources,
): Promise<string | undefined> {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = source;
  if (fieldRef) return orConfigError(() => fieldValue(fieldRef.fieldPath, facts));
  if (resourceFieldRef) return orConfigError(() => resourceFieldValue(resourceFieldRef, container, facts));
  if (configMapKeyRef) {
    const { name = "", key, optional } = configMapKeyRef;
    const map = await optionally(optional, () => objects.configMap(namespace, name));
    return required(map?.data?.[key], optional, `couldn't find key ${key} in ConfigMap ${namespace}/${name}`);
  }
  if (secretKeyRef) {
    const { name = "", key, optional } = secretKeyRef;
    const secret = await optionally(optional, () => objects.secret(namespace, name));
    const value = secret?.data?.[key];
    const text = value === undefined ? undefined : decode(value);
    return required(text, optional, `couldn't find key ${key} in Secret ${namespace}/${name}`);
  }
  if (fileKeyRef) {
    const { volumeName, path, key, optional } = fileKeyRef;
    const { value, file } = await envFile(volumeName, path, key);
    return required(value, optional, `environment variable key "${key}" not found in file "${file}"`);
  }
  return "";
}

function required(value: string | undefined, optional: boolean | undefined, message: string): string | undefined {
  if (value === undefined && !optional) throw configError(message);
  return value;
}

async function optionally<T>(optional: boolean | undefined, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (optional && isNotFound(error)) return undefined;
    throw configError((error as Error).message);
  }
}

function orConfigError<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw configError((error as Error).message);
  }
}

const decode = (base64: string): string => Buffer.from(base64, "base64").toString("utf8");
