import { StatusError } from "#shared/api/errors.ts";
import type { PublishedResource } from "#shared/api/openapi/published-resource.ts";
import { OpenApiPublisher } from "#shared/api/openapi/publisher.ts";
import { kubernetesVersion } from "#shared/version.ts";
import { connectsBy, pathNotFound } from "./registry/endpoint.ts";
import type { ResourceTable } from "./registry/resource-table.ts";
import type { ServedResource } from "./registry/served-resource.ts";
import type { PathHandler } from "./server.ts";

const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/** /openapi/v2 and /openapi/v3: made on demand from what is served at that moment. */
export function openApiPaths(table: ResourceTable): {
  readonly exact: Record<string, PathHandler>;
  readonly prefixes: Record<string, PathHandler>;
} {
  let generation = -1;
  let published: readonly PublishedResource[] = [];
  const publisher = new OpenApiPublisher({
    version: kubernetesVersion,
    resources: () => {
      // The publisher keeps what it made as long as it gets the same array.
      if (generation !== table.generation) {
        generation = table.generation;
        published = [...table.all()].map(publishedResource);
      }
      return published;
    },
  });
  const handler: PathHandler = async ({ info, headers, query, method }) => {
    if (method !== "GET" && method !== "HEAD") throw new StatusError("MethodNotAllowed", "only GET is supported here");
    const answer = await publisher.respond({
      path: info.path,
      accept: headers["accept"],
      acceptEncoding: headers["accept-encoding"],
      ifNoneMatch: headers["if-none-match"],
      hash: query.get("hash") ?? undefined,
    });
    if (!answer) throw pathNotFound();
    const { "content-type": contentType = "application/json", ...rest } = lowerCased(answer.headers);
    return { kind: "bytes", code: answer.status, contentType, headers: rest, body: answer.body ?? "" };
  };
  return { exact: { "/openapi/v2": handler, "/openapi/v3": handler }, prefixes: { "/openapi/": handler } };
}

function publishedResource({ declaration, gvk }: ServedResource): PublishedResource {
  const { ref, verbs, virtual, subresources, listKind, published } = declaration;
  return {
    ...gvk,
    plural: ref.plural,
    namespaced: ref.namespaced,
    listKind,
    verbs: verbs ?? (virtual ? ["create"] : allVerbs),
    subresources: Object.entries(subresources ?? {}).map(([name, subresource]) => ({
      name,
      verbs: subresource.verbs,
      body: subresource.body,
      connects: name === "log" || (subresource.body !== undefined && connectsBy(subresource.body.kind)),
    })),
    custom: published?.(gvk.version),
  };
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
