/** What is there before anything is asked: a namespace with an object of every sample, under a name of its own. */
import { type Sample, samples } from "../resources/samples.ts";
import { type Path, withValue } from "./places.ts";
import type { Json, WireGroup, WireRequest } from "./request.ts";

export const namespace = "wire";
/** Where quotas and limits do not meet the pods that are asked about. */
const limitsNamespace = "wire-limits";

/** What would act on other requests if it stood as in the sample. */
export const harmless: Readonly<Record<string, readonly (readonly [Path, unknown])[]>> = {
  mutatingWebhookConfiguration: [[["webhooks", 0, "rules", 0, "resources"], ["nothings"]]],
  validatingWebhookConfiguration: [[["webhooks", 0, "rules", 0, "resources"], ["nothings"]]],
  validatingAdmissionPolicy: [[["spec", "matchConstraints", "resourceRules", 0, "resources"], ["nothings"]]],
  priorityClass: [[["globalDefault"], false]],
  storageClass: [[["metadata", "annotations"], undefined]],
};

/** Kinds whose names are bound to their contents. */
export const keepsName = new Set(["customResourceDefinition", "apiService", "csiNode", "ipAddress"]);

export interface Held {
  readonly sample: string;
  readonly kind: Sample;
  /** As it was posted. */
  readonly object: Json;
  readonly collection: string;
  /** Path of the object. */
  readonly path: string;
}

export function collectionOf({ group, version, plural, namespaced }: Sample, inNamespace = namespace): string {
  const base = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
  return `${base}${namespaced ? `/namespaces/${inNamespace}` : ""}/${plural}`;
}

/** The sample as it is posted in our namespace. */
export function placedObject(sample: Sample, inNamespace = namespace): Json {
  const object = structuredClone(sample.object) as Json & { metadata: Json };
  if (sample.namespaced) object.metadata["namespace"] = inNamespace;
  return object;
}

export const held: readonly Held[] = Object.entries(samples).map(([sample, kind]) => {
  const where = /^(resourceQuota|limitRange)$/.test(sample) ? limitsNamespace : namespace;
  const name = keepsName.has(sample)
    ? String((kind.object["metadata"] as Json)["name"])
    : `held-${sample.toLowerCase()}`;
  let object = withValue(placedObject(kind, where), ["metadata", "name"], name);
  if (sample === "event") object = withValue(object, ["involvedObject", "namespace"], namespace);
  for (const [path, value] of harmless[sample] ?? []) object = withValue(object, path, value);
  const collection = collectionOf(kind, where);
  return { sample, kind, object, collection, path: `${collection}/${name}` };
});

const seen = new Set<string>();
/** One of each kind. */
export const heldKinds: readonly Held[] = held.filter(
  ({ collection }) => !seen.has(collection) && seen.add(collection),
);

const namespaceObject = (name: string): Json => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } };

const post = (name: string, path: string, body: Json): WireRequest => ({ name, method: "POST", path, body });

export const world: WireGroup = {
  name: "world",
  inOrder: true,
  requests: [
    ...[namespace, limitsNamespace].flatMap((name) => [
      post(`world namespace ${name}`, "/api/v1/namespaces", namespaceObject(name)),
      post(`world account ${name}`, `/api/v1/namespaces/${name}/serviceaccounts`, account),
    ]),
    post("world account builder", `/api/v1/namespaces/${namespace}/serviceaccounts`, {
      ...account,
      metadata: { name: "builder" },
    }),
    ...held.map(({ sample, collection, object }) => post(`world ${sample}`, collection, object)),
  ],
};
