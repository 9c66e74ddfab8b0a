import { StatusError } from "#shared/api/errors.ts";
import type { PublishedResource } from "#shared/api/openapi/published-resource.ts";
import { OpenApiPublisher } from "#shared/api/openapi/publisher.ts";
import { kubernetesVersion } from "#shared/version.ts";
import { connectsBy, pathNotFound } from "./registry/request-target.ts";
import type { ResourceTable } from "./registry/resource-table.ts";
import type { ServedResource } from "./registry/served-resource.ts";
import type { ApiResponse, RequestInfo } from "./request.ts";
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
    const { info, headers, query, method } = context;
    if (method !== "GET" && method !== "HEAD") throw new StatusError("MethodNotAllowed", "only GET is supported here");
    const others = info.path === "/openapi/v3" ? (external?.openApiDocuments() ?? []) : [];
    if (others.length > 0) return wholeIndex(publisher, others);
    const answer = await publisher.respond({
      path: info.path,
      accept: headers["accept"],
      acceptEncoding: headers["accept-encoding"],
      ifNoneMatch: headers["if-none-match"],
      hash: query.get("hash") ?? undefined,
    });
    if (!answer) {
      const elsewhere = external?.handlerFor(info);
      if (elsewhere) return elsewhere(context, exchange);
      throw pathNotFound();
    }
    const { "content-type": contentType = "", ...rest } = lowerCased(answer.headers);
    return { kind: "bytes", code: answer.status, contentType, headers: rest, body: answer.body ?? "" };
  };
  return { exact: { "/openapi/v2": handler, "/openapi/v3": handler }, prefixes: { "/openapi/": handler } };
}

/** The list of documents, with those of other servers: they are asked for there each time. */
async function wholeIndex(publisher: OpenApiPublisher, others: readonly string[]): Promise<ApiResponse> {
  const answer = await publisher.respond({ path: "/openapi/v3" });
  const own = JSON.parse(Buffer.from(answer?.body ?? "{}").toString()) as { paths?: object };
  const more = others.map((name) => [name, { serverRelativeURL: `/openapi/v3/${name}` }]);
  const body = JSON.stringify({ paths: { ...own.paths, ...Object.fromEntries(more) } });
  return { kind: "bytes", code: 200, contentType: "application/json", headers: { vary: "Accept" }, body };
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
