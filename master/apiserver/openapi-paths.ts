import type { PublishedResource } from "#shared/api/openapi/published-resource.ts";
import { OpenApiPublisher } from "#shared/api/openapi/publisher.ts";
import { kubernetesVersion } from "#shared/version.ts";
import { connectsBy, pathNotFound } from "./registry/request-target.ts";
import type { ResourceTable } from "./registry/resource-table.ts";
import type { ServedResource } from "./registry/served-resource.ts";
import type { RequestInfo } from "./request.ts";
import type { PathHandler } from "./server.ts";

const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/** Documents of other API servers (Aggregator). */
export interface ExternalDocuments {
  openApiDocuments(): readonly string[];
  handlerFor(info: RequestInfo): PathHandler | undefined;
}

/** /openapi/v2 and /openapi/v3: made on demand from what is served at that moment. */
export function openApiPaths(
  table: ResourceTable,
  external?: ExternalDocuments,
): {
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
  const handler: PathHandler = async (context, exchange) => {
    // As upstream's router has it, any method is answered.
    const { info, headers, query } = context;
    const answer = await publisher.respond({
      path: info.path,
      accept: headers["accept"],
      acceptEncoding: headers["accept-encoding"],
      ifNoneMatch: headers["if-none-match"],
      hash: query.get("hash") ?? undefined,
      elsewhere: external?.openApiDocuments(),
    });
    if (!answer) {
      const elsewhere = external?.handlerFor(info);
      if (elsewhere) return elsewhere(context, exchange);
      if (info.path.startsWith("/openapi/v3/")) return { kind: "bytes", code: 404, contentType: "", body: "" };
      throw pathNotFound();
    }
    const { "content-type": contentType = "", ...rest } = lowerCased(answer.headers);
    return { kind: "bytes", code: answer.status, contentType, headers: rest, body: answer.body ?? "" };
  };
  return { exact: { "/openapi/v2": handler, "/openapi/v3": handler }, prefixes: { "/openapi/": handler } };
}

function publishedResource({ declaration, gvk }: ServedResource): PublishedResource {
  const { ref, verbs, virtual, subresources, listKind, published, strategy } = declaration;
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
      connects: subresource.body !== undefined && connectsBy(subresource.body.kind),
      textOptions: name === "log" ? { group: "", version: "v1", kind: "PodLogOptions" } : undefined,
    })),
    // Upstream's documents do not tell it of a kind that has a gate of its own before it is gone.
    answersDeleteWithObject: strategy?.isRemovable ? undefined : strategy?.answersDeleteWithObject,
    custom: published?.(gvk.version),
  };
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
