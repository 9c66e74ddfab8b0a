/** Requests for OpenAPI documents, and their answers, as the API server has them. */
import type { AskedDocument } from "#shared/api/openapi/document-answer.ts";
import type { ContentResponse } from "#shared/http/serve-content.ts";
import type { ApiResponse, RequestContext } from "./request.ts";

export function openApiRequest({ method, headers, query }: RequestContext): AskedDocument {
  return { method, headers, hash: query.get("hash") ?? undefined };
}

export function openApiAnswer({ status, headers, body }: ContentResponse): ApiResponse {
  const lowerCased = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  const { "content-type": contentType = "", ...rest } = Object.fromEntries(lowerCased) as Record<string, string>;
  return { kind: "bytes", code: status, contentType, headers: rest, body: body ?? "" };
}
