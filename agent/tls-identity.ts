import type { Credentials } from "#shared/client/http-transport.ts";

/** A client's credentials in the words of node:tls. PEM. */
export interface TlsIdentity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** By which a server is known, where that is not its host's name. */
  readonly servername?: string;
}

export const tlsIdentityOf = ({ ca = "", certificate = "", key = "", serverName }: Credentials): TlsIdentity => ({
  ca,
  cert: certificate,
  key,
  ...(serverName ? { servername: serverName } : {}),
});
