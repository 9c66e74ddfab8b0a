/** The part of websocket-driver 0.8 that is used here; the package brings no types. */
declare module "websocket-driver" {
  import type { IncomingMessage } from "node:http";
  import type { Duplex } from "node:stream";

  export interface Driver {
    readonly io: Duplex;
    /** Writes are framed, Buffers as binary and text as text; `write` gives false while the socket is backed up. */
    readonly messages: Duplex;
    readonly protocol: string | null;
    start(): boolean;
    close(reason?: string, code?: number): boolean;
    on(event: "message", listener: (event: { readonly data: Buffer | string }) => void): this;
    on(event: "close", listener: (event: { readonly code: number; readonly reason: string }) => void): this;
    on(event: "error", listener: (error: Error) => void): this;
  }

  export function http(
    request: IncomingMessage,
    options?: { readonly maxLength?: number; readonly protocols?: readonly string[] },
  ): Driver;
}
