/** Requests to one API server, and whether anything is known of what became of them. */
import type { Credentials } from "#shared/client/http-transport.ts";
import type { Answer } from "./history.ts";

/** So long a request may take: a server that stands still goes on within seconds. */
const PATIENCE_MS = 60_000;

export interface Address {
  readonly url: string;
  readonly credentials: Credentials;
}

export interface ServerRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: object | undefined;
  readonly contentType?: string | undefined;
}

/** Never rejects: a broken connection is an answer that was lost. */
export async function callServer(
  address: Address,
  { method, path, body, contentType = "application/json" }: ServerRequest,
  cut: AbortSignal,
): Promise<Answer> {
  try {
    const signal = AbortSignal.any([cut, AbortSignal.timeout(PATIENCE_MS)]);
    const response = await openStream(address, { method, path, body, contentType }, signal);
    return { kind: "answered", code: response.status, body: JSON.parse(await response.text()) };
  } catch {
    return { kind: "lost" };
  }
}

export function openStream(address: Address, request: ServerRequest, signal: AbortSignal): Promise<Response> {
  const { ca, certificate: cert, key } = address.credentials;
  return fetch(`${address.url}${request.path}`, {
    method: request.method,
    headers: { accept: "application/json", "content-type": request.contentType ?? "application/json" },
    ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    signal,
    tls: { ca, cert, key },
  } as RequestInit);
}
