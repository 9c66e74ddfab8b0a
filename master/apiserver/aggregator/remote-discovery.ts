/** What an aggregated API server says that it serves, as items of an aggregated discovery document. */
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import type { APIResource } from "#shared/api/types/meta-v1.generated.ts";
import type { StreamResponse } from "#shared/http/http-over-stream.ts";
import type { RemoteVersion } from "../discovery/remote-version.ts";
import { aggregatorUser } from "./availability.ts";
import { bytesOf, headerOf } from "./remote-answer.ts";
import { discoveryDeadline, endpointOf, type RemoteParts } from "./remote-service.ts";

const aggregatedForms = ["v2", "v2beta1"].map(
  (version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
);

/** A group version as its server told it, with what that server knows the telling by. */
export interface Told {
  readonly version: RemoteVersion;
  readonly etag?: string | undefined;
}

/**
 * Asks for the aggregated list, and a server that has none for the list of the one group version. Throws where neither can
 * be read. A group version that the server leaves out has no resources.
 */
export async function discoveryOf(parts: RemoteParts, service: APIService, before?: Told): Promise<Told> {
  const { group = "", version = "" } = service.spec;
  const signal = discoveryDeadline(parts);
  const get = (path: string, ...headers: string[]): Promise<StreamResponse> =>
    endpointOf(parts, service).request(aggregatorUser, { method: "GET", path, headers }, { signal });
  const known = before?.etag ? ["If-None-Match", before.etag] : [];
  const answer = await get("/apis", "Accept", aggregatedForms.join(","), ...known);
  const type = headerOf(answer, "content-type");
  if (answer.status === 304 && before) {
    answer.body.destroy();
    return before;
  }
  if (answer.status === 200 && aggregatedForms.some((form) => isForm(type, form))) {
    const etag = headerOf(answer, "etag") || undefined;
    return { version: fromAggregated(await documentOf(answer), group, version), etag };
  }
  answer.body.destroy();
  if (answer.status === 503) throw new Error("the server is unavailable");
  const list = await get(`/apis/${group}/${version}`, "Accept", "application/json");
  if (list.status !== 200) {
    list.body.destroy();
    throw new Error(`the server answered ${list.status}`);
  }
  return { version: fromResourceList(await documentOf(list), version) };
}

/** Whatever the order of the parameters, and what else there is. */
function isForm(type: string, form: string): boolean {
  const parts = new Set(type.split(";").map((part) => part.trim().toLowerCase()));
  return form.split(";").every((part) => parts.has(part.toLowerCase()));
}

/** undefined: it is empty. Throws on what is no JSON object. */
async function documentOf(answer: StreamResponse): Promise<Record<string, unknown> | undefined> {
  const bytes = await bytesOf(answer);
  if (bytes.length === 0) return undefined;
  const document: unknown = JSON.parse(bytes.toString());
  if (!isJsonObject(document)) throw new Error("the answer is no object");
  return document;
}

type Entry = Readonly<Record<string, unknown>>;
const entriesOf = (value: unknown): Entry[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);
const noKind = { group: "", version: "", kind: "" };

function fromAggregated(document: Entry | undefined, group: string, version: string): RemoteVersion {
  if (document && document["kind"] !== "APIGroupDiscoveryList") throw new Error("the answer is of another kind");
  const found = entriesOf(document?.["items"])
    .filter(({ metadata }) => isJsonObject(metadata) && metadata["name"] === group)
    .flatMap(({ versions }) => entriesOf(versions))
    .find((each) => each["version"] === version);
  const resources = entriesOf(found?.["resources"]).map((resource) => ({
    ...withKind(resource),
    ...(Array.isArray(resource["subresources"])
      ? { subresources: entriesOf(resource["subresources"]).map(withKind) }
      : {}),
  }));
  return { version, ...(resources.length > 0 ? { resources } : {}), freshness: "Current" };
}

const withKind = (entry: Entry): Entry => ({ ...entry, responseKind: entry["responseKind"] ?? noKind });

function fromResourceList(document: Entry | undefined, version: string): RemoteVersion {
  if (document && document["kind"] !== "APIResourceList") throw new Error("the answer is of another kind");
  const list = entriesOf(document?.["resources"]) as unknown as APIResource[];
  const resources = list
    .filter(({ name }) => !name.includes("/"))
    .map((resource) => {
      const parts = list.filter(({ name }) => name.startsWith(`${resource.name}/`));
      const subresources = parts.map((part) => ({
        subresource: part.name.slice(resource.name.length + 1),
        responseKind: kindOf(part),
        verbs: part.verbs,
      }));
      return {
        resource: resource.name,
        responseKind: kindOf(resource),
        scope: resource.namespaced ? "Namespaced" : "Cluster",
        singularResource: resource.singularName,
        verbs: resource.verbs,
        ...(resource.shortNames?.length ? { shortNames: resource.shortNames } : {}),
        ...(resource.categories?.length ? { categories: resource.categories } : {}),
        ...(subresources.length > 0 ? { subresources } : {}),
      };
    });
  return { version, ...(resources.length > 0 ? { resources } : {}), freshness: "Current" };
}

/** Without a group of its own it is of the list's, which clients know. */
const kindOf = ({ group = "", version = "", kind }: APIResource): object => ({ group, version, kind });
