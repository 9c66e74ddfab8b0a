/** Makes the steps of a scenario. */
import type { Body, Json } from "../wire/request.ts";
import type { Compaction, Read, Restart, Watch, Write } from "./scenario.ts";

export const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
export const partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
export const partialList = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
export const protobuf = "application/vnd.kubernetes.protobuf";

export const write = (label: string, method: string, path: string, body?: Body, type?: string): Write => ({
  do: "write",
  label,
  method,
  path,
  ...(body !== undefined && { body }),
  ...(type && { headers: { "content-type": type } }),
});

export const merge = (label: string, path: string, body: Json): Write =>
  write(label, "PATCH", path, body, "application/merge-patch+json");

export const label = (what: string, path: string, labels: Json): Write => merge(what, path, { metadata: { labels } });

export const read = (what: string, path: string, accept?: string): Read => ({
  do: "read",
  label: what,
  method: "GET",
  path,
  ...(accept && { headers: { accept } }),
});

export const watch = (what: string, path: string, query: string, accept?: string): Watch => ({
  do: "watch",
  label: what,
  path: `${path}?watch=1&${query}`,
  ...(accept && { headers: { accept } }),
});

export const ending = (step: Watch): Watch => ({ ...step, ends: true });

export const compaction: Compaction = { do: "compact", label: "compaction" };
export const restart: Restart = { do: "restart", label: "restart" };

/** A namespace with the account that its pods want. */
export const ownNamespace = (name: string): readonly Write[] => [
  write(`namespace ${name}`, "POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } }),
  ...["default", "builder"].map((account) =>
    write(`account ${account} in ${name}`, "POST", `/api/v1/namespaces/${name}/serviceaccounts`, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: account },
    }),
  ),
];

export const all = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
