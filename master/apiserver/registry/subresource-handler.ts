import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { KubeObject } from "#shared/api/object.ts";
import type { HttpRequest, HttpResponse } from "../http/arrival.ts";
import type { ApiResponse, RequestContext } from "../request.ts";
import type { Judge, ResourceDeclaration } from "./declaration.ts";

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
  /** Decoded body, where there is one. */
  readonly body?: KubeObject | undefined;
  /** For a body: to be called before anything is done with it. */
  readonly judge: Judge;
  readonly exchange?: Exchange | undefined;
}

/** Serves one subresource of one resource after authentication and authorisation. Registered by `plural/subresource`
 *  with the group: `{ "": { "pods/exec": handler } }`. `handled` means that the handler answered on the exchange itself. */
export interface SubresourceHandler {
  handle(call: SubresourceCall): Promise<ApiResponse | "handled">;
}
