import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { KubeObject } from "#shared/api/object.ts";
import type { HttpRequest, HttpResponse } from "../http/arrival.ts";
import type { ApiResponse, RequestContext } from "../request.ts";
import type { Prepared, ResourceDeclaration } from "./declaration.ts";

/** The raw HTTP exchange, for what streams or upgrades (exec, port-forward, proxy). Absent for in-process clients. */
export type Exchange =
  | { readonly kind: "request"; readonly request: HttpRequest; readonly response: HttpResponse }
  | { readonly kind: "upgrade"; readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer };

export interface SubresourceCall {
  readonly declaration: ResourceDeclaration;
  readonly context: RequestContext;
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly subresource: string;
  readonly exchange?: Exchange | undefined;
}

/** Serves one subresource of one resource after authentication and authorisation. Registered by `plural/subresource`
 *  with the group: `{ "": { "pods/exec": handler } }`. */
export type SubresourceHandler = ConnectionHandler | BodyHandler;

export interface ConnectionHandler {
  /** Called once admission let the connection pass. `handled` means that it was answered on the exchange itself. */
  handle(call: SubresourceCall): Promise<ApiResponse | "handled">;
}

export interface BodyHandler {
  /** `body`: decoded, of the kind that the declaration names, as mutating admission left it. Throws StatusError. */
  prepare(call: SubresourceCall, body: KubeObject): Prepared<ApiResponse>;
}
