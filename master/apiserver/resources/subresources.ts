/** Subresources that many kinds have. */
import type { SubresourceDeclaration } from "../registry/declaration.ts";

export const status: SubresourceDeclaration = { verbs: ["get", "patch", "update"] };

/** The same of kinds whose subresources upstream shows in no table. */
export const unprintedStatus: SubresourceDeclaration = { ...status, unprinted: true };

/** Scale of a workload whose label selector stands in its status or spec under `labelSelector`. */
export const scale: SubresourceDeclaration = {
  verbs: ["get", "patch", "update"],
  body: { group: "autoscaling", version: "v1", kind: "Scale" },
  scale: { specReplicas: ".spec.replicas", statusReplicas: ".status.replicas", labelSelector: ".spec.selector" },
};

/** A subresource that reaches through to a board: answered by connecting, options are in the query. */
export const connect = (kind: string, verbs: readonly string[]): SubresourceDeclaration => ({
  verbs,
  body: { group: "", version: "v1", kind },
});

/** As `connect`, for every method that the server behind may know. */
export const proxy = (kind: string): SubresourceDeclaration => ({
  ...connect(kind, ["create", "delete", "get", "patch", "update"]),
  takesOptionsMethod: true,
});
