/** What each path of the kubelet's server takes in rights, as upstream's kubelet maps it (KEP-2862). */

const verbs: Readonly<Record<string, string>> = {
  GET: "get",
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};

/** Any of these subresources of the node opens the path. */
export function subresourcesOf(path: string): readonly string[] {
  const isBelow = (root: string): boolean => path === root || path.startsWith(`${root}/`);
  if (isBelow("/pods") || isBelow("/runningpods")) return ["pods", "proxy"];
  if (isBelow("/healthz")) return ["healthz", "proxy"];
  if (isBelow("/configz")) return ["configz", "proxy"];
  if (isBelow("/stats")) return ["stats"];
  if (isBelow("/metrics")) return ["metrics"];
  if (isBelow("/logs")) return ["log"];
  if (isBelow("/checkpoint")) return ["checkpoint"];
  if (isBelow("/statusz")) return ["statusz"];
  if (isBelow("/flagz")) return ["configz"];
  return ["proxy"];
}

/** What the API server is asked of a request, one after the other until it says yes. */
export function nodeAttributes(
  method: string,
  path: string,
  nodeName: string,
): { readonly verb: string; readonly subresources: readonly string[]; readonly asked: Record<string, string>[] } {
  // A method that Kubernetes has no verb for is nobody's right.
  const verb = verbs[method] ?? "";
  const subresources = subresourcesOf(path);
  const asked = subresources.map((subresource) => ({
    verb,
    version: "v1",
    resource: "nodes",
    subresource,
    name: nodeName,
  }));
  return { verb, subresources, asked };
}
