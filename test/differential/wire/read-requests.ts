/** Reads of every kind: forms, selectors, pages, revisions, and paths that lead nowhere. */
import type { WireGroup, WireRequest } from "./request.ts";
import { type Held, held } from "./world.ts";

const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
const partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const partialList = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

function ofObject(each: Held): WireRequest[] {
  const get = (what: string, path: string, accept?: string): WireRequest => ({
    name: `get ${each.sample} ${what}`,
    method: "GET",
    path: each.path + path,
    ...(accept && { headers: { accept } }),
  });
  return [
    get("plain", ""),
    get("metadata", "", partial),
    get("yaml", "", "application/yaml"),
    get("nothing known", "", "text/html"),
    get("anything", "", "text/html, */*;q=0.1"),
    get("of no such name", "-of-nobody"),
    get("subresource", "/nothing"),
    // The answer takes three seconds; it is the same for all.
    ...(each.sample === "pod" ? [get("of the future", "?resourceVersion=999999999")] : []),
    get("of no revision", "?resourceVersion=abc"),
    { name: `head ${each.sample}`, method: "HEAD", path: each.path },
    { name: `options ${each.sample}`, method: "OPTIONS", path: each.path },
    { name: `post to ${each.sample}`, method: "POST", path: each.path, body: each.object },
    {
      name: `put ${each.sample} of no such name`,
      method: "PUT",
      path: `${each.path}-of-nobody?dryRun=All`,
      body: each.object,
    },
    { name: `delete ${each.sample} of no such name`, method: "DELETE", path: `${each.path}-of-nobody` },
  ];
}

function ofCollection(each: Held): WireRequest[] {
  const mine = `metadata.name%3D${each.path.split("/").at(-1)}`;
  const list = (what: string, query: string, accept?: string): WireRequest => ({
    name: `list ${each.sample} ${what}`,
    method: "GET",
    path: `${each.collection}?${query}`,
    ...(accept && { headers: { accept } }),
  });
  return [
    list("by name", `fieldSelector=${mine}`),
    list("as a table", `fieldSelector=${mine}`, table),
    list("as a table without objects", `fieldSelector=${mine}&includeObject=None`, table),
    list("as a table with bad objects", `fieldSelector=${mine}&includeObject=Some`, table),
    list("metadata", `fieldSelector=${mine}`, partialList),
    list("by a bad label", "labelSelector=a%20b"),
    list("by no such label", "labelSelector=a%20in%20(b),!c,d%3De"),
    list("by an unclosed set", "labelSelector=a%20in%20(b"),
    list("by an unknown field", "fieldSelector=spec.unknown%3Da"),
    list("by a bad field", "fieldSelector=metadata.name"),
    list("by phase", "fieldSelector=status.phase%3DGone"),
    list("by another name", "fieldSelector=metadata.name!%3Da,metadata.name%3Db"),
    list("by namespace", "fieldSelector=metadata.namespace%3Dnobody"),
    list("with a negative limit", "limit=-1&labelSelector=none"),
    list("with a bad limit", "limit=many"),
    list("with a bad page", "limit=1&continue=abc"),
    list("with a page and a revision", "limit=1&continue=abc&resourceVersion=5"),
    list("of a bad revision", "resourceVersion=abc"),
    ...(each.sample === "pod"
      ? [list("of the future", "resourceVersion=999999999&labelSelector=none&timeoutSeconds=1")]
      : []),
    list("of no match", "resourceVersionMatch=Exact"),
    list("of a bad match", "resourceVersion=1&resourceVersionMatch=Perhaps"),
    list("exactly of none", "resourceVersion=0&resourceVersionMatch=Exact"),
    list("with a bad timeout", "timeoutSeconds=soon"),
    list("watched with a bad revision", "watch=1&timeoutSeconds=1&resourceVersion=abc"),
    list("watched with a match", "watch=1&timeoutSeconds=1&resourceVersionMatch=NotOlderThan"),
    list(
      "watched from the start without bookmarks",
      `watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&fieldSelector=${mine}`,
    ),
    list(
      "watched from the start without match",
      "watch=1&timeoutSeconds=1&sendInitialEvents=true&allowWatchBookmarks=true",
    ),
    list("initial events without watch", "sendInitialEvents=true"),
    { name: `put on all ${each.sample}`, method: "PUT", path: each.collection, body: each.object },
    {
      name: `patch all ${each.sample}`,
      method: "PATCH",
      path: each.collection,
      body: {},
      headers: { "content-type": "application/merge-patch+json" },
    },
    {
      name: `delete no ${each.sample}`,
      method: "DELETE",
      path: `${each.collection}?dryRun=All&labelSelector=none%3Dnone`,
    },
    {
      name: `delete ${each.sample} by a bad selector`,
      method: "DELETE",
      path: `${each.collection}?labelSelector=a%20b`,
    },
  ];
}

const seen = new Set<string>();
const kinds = held.filter(({ collection }) => !seen.has(collection) && seen.add(collection));

export const readGroups: readonly WireGroup[] = kinds.map((each) => ({
  name: `read ${each.sample}`,
  requests: [...ofObject(each), ...ofCollection(each)],
}));
