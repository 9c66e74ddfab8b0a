import { documentName, type PublishedResource } from "#shared/api/openapi/published-resource.ts";
import { OpenApiPublisher, type OtherServers } from "#shared/api/openapi/publisher.ts";
import { kubernetesVersion } from "#shared/version.ts";
import { openApiAnswer, openApiRequest } from "./openapi-answer.ts";
import { connectsBy, pathNotFound } from "./registry/request-target.ts";
import type { ResourceTable } from "./registry/resource-table.ts";
import type { ServedResource } from "./registry/served-resource.ts";
import type { PathHandler } from "./server-parts.ts";

const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/** Documents of other API servers (Aggregator). */
export interface ExternalDocuments {
  readonly openApi: OtherServers & { handlerFor(name: string): Promise<PathHandler | undefined> };
  /** Group versions of ours that another server has taken over. */
  replaced(): readonly GroupVersion[];
}

interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

const v3Prefix = "/openapi/v3/";

/** /openapi/v2 and /openapi/v3: made on demand from what is served at that moment. */
export function openApiPaths(
  table: ResourceTable,
  external?: ExternalDocuments,
): {
  readonly exact: Record<string, PathHandler>;
  readonly prefixes: Record<string, PathHandler>;
} {
  let state = "";
  let published: readonly PublishedResource[] = [];
  const publisher = new OpenApiPublisher({
    version: kubernetesVersion,
    resources: () => {
      const replaced = new Set(external?.replaced().map(documentName));
      // The publisher keeps what it made as long as it gets the same array.
      const current = [table.generation, ...replaced].join();
      if (state !== current) {
        state = current;
        published = [...table.all()].filter(({ gvk }) => !replaced.has(documentName(gvk))).map(publishedResource);
      }
      return published;
    },
  });
  const handler: PathHandler = async (context, exchange) => {
    // As upstream's router has it, any method is answered.
    const { path } = context.info;
    const answer = await publisher.respond({ ...openApiRequest(context), path, elsewhere: external?.openApi });
    if (answer) return openApiAnswer(answer);
    if (!path.startsWith(v3Prefix)) throw pathNotFound();
    const elsewhere = await external?.openApi.handlerFor(path.slice(v3Prefix.length));
    return elsewhere ? elsewhere(context, exchange) : { kind: "bytes", code: 404, contentType: "", body: "" };
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
