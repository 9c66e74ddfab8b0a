import { unauthorized } from "#shared/api/errors.ts";
import { HistogramTable } from "#shared/metrics/tables.ts";
import type { User } from "../request.ts";
import type { Authenticator, Credentials } from "./authenticator.ts";
import type { ClientIdentities } from "./client-identity.ts";

const day_s = 86_400;

export const clientCertificateExpirations = new HistogramTable(
  {
    name: "apiserver_client_certificate_expiration_seconds",
    help: "For how long the certificates of requests were still valid.",
    labels: [],
  },
  [0, 1800, 3600, 7200, 21_600, 43_200, ...[1, 2, 4, 7, 30, 90, 180, 365].map((days) => days * day_s)],
);

/** Takes the user from a certificate that an authority of clients issued. One that shows another certificate is refused. */
export class ClientCertificates implements Authenticator {
  constructor(private readonly identities: ClientIdentities) {}

  authenticate({ clientCertificate }: Credentials): User | undefined {
    if (!clientCertificate) return undefined;
    const identity = clientCertificate.isClients ? this.identities.valid(clientCertificate.raw) : undefined;
    if (!identity) throw unauthorized();
    clientCertificateExpirations.observe((identity.notAfter_ms - this.identities.now_ms()) / 1000);
    return identity.user.name === "" ? undefined : identity.user;
  }
}
