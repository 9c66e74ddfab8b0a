/** One request of a client, passed on to an aggregated API server, and its answer passed back. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import type { StreamResponse } from "#shared/http/http-over-stream.ts";
import type { Exchange } from "../registry/subresource-handler.ts";
import type { ApiResponse, RequestContext } from "../request.ts";
import { connectRemote, passedHeaders, type RemoteParts, requestRemote, upgradeHead } from "./remote-service.ts";

const MAX_BUFFERED_BYTES = 64 * 1024 * 1024;

export async function passOn(
  parts: RemoteParts,
  service: APIService,
  context: RequestContext,
  exchange: Exchange | undefined,
): Promise<ApiResponse | "handled"> {
  if (exchange?.kind === "upgrade") return upgraded(parts, service, context, exchange);
  const { method, info, query, user, body } = context;
  const search = query.size > 0 ? `?${query}` : "";
  const path = `${exchange?.request.url?.split("?")[0] ?? info.path}${search}`;
  if (exchange) {
    const { request, response } = exchange;
    const sent = body.kind === "bytes" ? body.bytes : hasBody(request) ? request : undefined;
    const answer = await requestRemote(parts, service, user, {
      method,
      path,
      headers: passedHeaders(request),
      body: sent,
    });
    passBack(answer, response);
    return "handled";
  }
  const text = body.kind === "object" ? Buffer.from(JSON.stringify(body.object)) : undefined;
  const headers = ["Accept", "application/json"];
  if (text) headers.push("Content-Type", context.headers["content-type"] ?? "application/json");
  const answer = await requestRemote(parts, service, user, { method, path, headers, body: text });
  return buffered(answer);
}

function hasBody(request: IncomingMessage): boolean {
  return request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
}

function passBack(answer: StreamResponse, response: ServerResponse): void {
  for (let index = 0; index + 1 < answer.headers.length; index += 2) {
    response.appendHeader(answer.headers[index] ?? "", answer.headers[index + 1] ?? "");
  }
  response.writeHead(answer.status);
  response.flushHeaders();
  response.on("close", () => answer.body.destroy());
  answer.body.on("error", () => response.destroy());
  answer.body.pipe(response);
}

/** For clients in this process, which take whole answers. */
async function buffered(answer: StreamResponse): Promise<ApiResponse> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer.body) {
    size += (chunk as Buffer).length;
    if (size > MAX_BUFFERED_BYTES) throw new Error("the answer of an aggregated API server is too long");
    chunks.push(chunk as Buffer);
  }
  const value = JSON.parse(Buffer.concat(chunks).toString()) as object;
  return { kind: "object", code: answer.status, value: () => value, text: () => JSON.stringify(value) };
}

async function upgraded(
  parts: RemoteParts,
  service: APIService,
  { user }: RequestContext,
  { socket, request, head }: Extract<Exchange, { kind: "upgrade" }>,
): Promise<"handled"> {
  const stream = await connectRemote(parts, service);
  stream.write(upgradeHead(service, user, request));
  if (head.length > 0) stream.write(head);
  socket.on("error", () => stream.destroy());
  stream.on("error", () => socket.destroy());
  socket.on("close", () => stream.destroy());
  stream.on("close", () => socket.end());
  stream.pipe(socket);
  socket.pipe(stream);
  return "handled";
}
