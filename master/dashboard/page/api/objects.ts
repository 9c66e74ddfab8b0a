/** Kinds of the cluster and paths of their objects. */
import { ApiError, getJson } from "./request.ts";

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly controller?: boolean;
  }[];
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: Metadata;
}

/** A served resource. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
}

const allVerbs = ["create", "delete", "get", "list", "patch", "update", "watch"];

const resource = (group: string, version: string, plural: string, kind: string, namespaced = true): Resource => ({
  group,
  version,
  plural,
  kind,
  namespaced,
  verbs: allVerbs,
});

export const pods = resource("", "v1", "pods", "Pod");
export const nodes = resource("", "v1", "nodes", "Node", false);
export const events = resource("", "v1", "events", "Event");
export const namespaces = resource("", "v1", "namespaces", "Namespace", false);
export const deployments = resource("apps", "v1", "deployments", "Deployment");
export const statefulSets = resource("apps", "v1", "statefulsets", "StatefulSet");
export const daemonSets = resource("apps", "v1", "daemonsets", "DaemonSet");
export const jobs = resource("batch", "v1", "jobs", "Job");
export const cronJobs = resource("batch", "v1", "cronjobs", "CronJob");

function groupPath({ group, version }: Pick<Resource, "group" | "version">): string {
  return group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
}

export function listPath(resource: Resource, namespace?: string): string {
  const inside = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${groupPath(resource)}${inside}/${resource.plural}`;
}

export function objectPath(
  resource: Resource,
  { namespace, name }: { namespace?: string | undefined; name: string },
): string {
  return `${listPath(resource, namespace)}/${encodeURIComponent(name)}`;
}

interface Discovery {
  readonly items: readonly {
    readonly metadata?: { readonly name?: string };
    readonly versions: readonly {
      readonly version: string;
      readonly resources?: readonly {
        readonly resource: string;
        readonly responseKind: { readonly kind: string };
        readonly scope: string;
        readonly verbs: readonly string[];
      }[];
    }[];
  }[];
}

let known: Promise<Resource[]> | undefined;

/** All that is served, each in its preferred version. Asked once; again where that failed. */
export function allResources(): Promise<Resource[]> {
  known ??= discover().catch((error: unknown) => {
    known = undefined;
    throw error;
  });
  return known;
}

async function discover(): Promise<Resource[]> {
  const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  const documents = await Promise.all([
    getJson<Discovery>("/api", { accept }),
    getJson<Discovery>("/apis", { accept }),
  ]);
  const found = new Map<string, Resource>();
  for (const { items } of documents) {
    for (const { metadata, versions } of items) {
      for (const { version, resources = [] } of versions) {
        for (const { resource: plural, responseKind, scope, verbs } of resources) {
          const group = metadata?.name ?? "";
          const key = `${group}/${plural}`;
          if (found.has(key)) continue;
          found.set(key, {
            group,
            version,
            plural,
            kind: responseKind.kind,
            namespaced: scope === "Namespaced",
            verbs,
          });
        }
      }
    }
  }
  return [...found.values()];
}

export async function findResource(apiVersion: string, kind: string): Promise<Resource> {
  const slash = apiVersion.indexOf("/");
  const [group, version] = slash < 0 ? ["", apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
  const matches = (each: Resource): boolean => each.group === group && each.kind === kind && !each.plural.includes("/");
  const found = (await allResources()).find(matches);
  if (!found) throw new ApiError(404, { message: `This cluster serves no kind ${kind} in ${apiVersion}.` });
  return { ...found, version };
}
