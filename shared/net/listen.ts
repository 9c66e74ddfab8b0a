import { ConfigError } from "#shared/config/option.ts";
import { hostPort } from "#shared/http/host-port.ts";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** A server of TCP or TLS, or one of HTTP before its first connection. */
export interface Listener {
  once(event: "error", listener: (error: Error) => void): unknown;
  off(event: "error", listener: (error: Error) => void): unknown;
  listen(options: ListenAddress, done: () => void): unknown;
}

/** Resolves when the server takes connections. Rejects with ConfigError, which says what to do, where the port cannot be had.
 *  @param setting what names another port, without dashes. */
export function listenAt(server: Listener, address: ListenAddress, setting?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      const where = hostPort(address.host, address.port);
      reject(new ConfigError(`cannot listen on ${where}: ${reasonOf(error, address.port, setting)}`, { cause: error }));
    };
    server.once("error", fail);
    server.listen(address, () => {
      server.off("error", fail);
      resolve();
    });
  });
}

function reasonOf({ code, message }: NodeJS.ErrnoException, port: number, setting: string | undefined): string {
  const other = setting === undefined ? "" : `, or set another port (${setting})`;
  switch (code) {
    case "EADDRINUSE":
      return `another program does (sudo ss -Hltnp "sport = :${port}" shows which): end it${other}`;
    case "EADDRNOTAVAIL":
      return "this board has no such address";
    case "EACCES":
      return `ports below 1024 are root's: put sudo before the command${other}`;
    default:
      return message;
  }
}
