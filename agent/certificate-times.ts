import { type Clock, systemClock } from "#shared/client/clock.ts";
import { gaugeFamily } from "#shared/metrics/process-families.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable } from "#shared/metrics/tables.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { parseCertificate } from "#shared/pki/certificate-facts.ts";

interface Dated {
  readonly pem: string;
  readonly end_ms: number;
}

/** How long a board's certificates are good for, and how often they could not be renewed, under the names of upstream's kubelet. */
export class CertificateTimes {
  readonly #clientErrors = new CounterTable({
    name: "kubelet_certificate_manager_client_expiration_renew_errors",
    help: "Renewals of the certificate to the API server that failed.",
    labels: [],
  });
  readonly #serverErrors = new CounterTable({
    name: "kubelet_server_expiration_renew_errors",
    help: "Renewals of the certificate of the kubelet's port that failed.",
    labels: [],
  });
  #client: Dated | undefined;
  #serving: Dated | undefined;

  /** @param client the certificate to the API server as it is now, PEM; undefined: the board goes by something else */
  constructor(
    private readonly client: () => string | undefined,
    private readonly clock: Pick<Clock, "wall_ms"> = systemClock,
  ) {}

  /** Counts a renewal of the certificate to the API server if it fails. */
  async renewing<T>(renew: () => Promise<T>): Promise<T> {
    return counted(this.#clientErrors, renew);
  }

  /** Notes which certificate the kubelet's port shows; counts it if there is none to be had. */
  async serving(get: () => Promise<KeyAndCertificate>): Promise<KeyAndCertificate> {
    const pair = await counted(this.#serverErrors, get);
    this.#serving = dated(pair.certificatePem, this.#serving);
    return pair;
  }

  families(): Family[] {
    const pem = this.client();
    this.#client = pem === undefined ? undefined : dated(pem, this.#client);
    // As upstream has it, what is not used never ends.
    const ttl = (name: string, help: string, certificate: Dated | undefined): Family => {
      const left_ms = certificate ? certificate.end_ms - this.clock.wall_ms() : Number.POSITIVE_INFINITY;
      return gaugeFamily(`kubelet_certificate_manager_${name}_ttl_seconds`, help, [
        { labels: {}, value: left_ms / 1000 },
      ]);
    };
    return [
      ttl("client", "How long the certificate to the API server is good for; below 0: it has run out.", this.#client),
      ttl("server", "How long the certificate of the kubelet's port is good for.", this.#serving),
      this.#clientErrors.family(),
      this.#serverErrors.family(),
    ];
  }
}

/** Reading one takes long on a small board: it is done once. */
const dated = (pem: string, known: Dated | undefined): Dated =>
  known?.pem === pem ? known : { pem, end_ms: parseCertificate(pem).notAfter.getTime() };

async function counted<T>(errors: CounterTable, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    errors.add();
    throw error;
  }
}
