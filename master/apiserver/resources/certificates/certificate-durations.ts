/** Whether signers give certificates the lifetimes that are asked for, under upstream's names. */
import { certificateSigningRequests } from "#shared/api/resources.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable } from "#shared/metrics/tables.ts";
import { parseCertificate } from "#shared/pki/certificate-facts.ts";
import type { StoredChange, WriteCompanion } from "../../registry/write-companion.ts";

/** Short-lived certificates are dated back; beside it a twentieth of what is asked for may be missing or too much. */
const DATED_BACK_S = 300;

const counter = (name: string, what: string): CounterTable =>
  new CounterTable({
    name: `apiserver_certificates_registry_${name}`,
    help: `Issued certificates of requests that ask for a lifetime${what}, by signer.`,
    labels: ["signerName"],
  });

/** Counts a request when its certificate comes. */
export class CertificateDurations implements WriteCompanion {
  readonly ref = certificateSigningRequests;
  readonly #requested = counter("csr_requested_duration_total", "");
  readonly #honored = counter("csr_honored_duration_total", " and got it");
  readonly #report: (message: string, error: unknown) => void;

  constructor(report: (message: string, error: unknown) => void) {
    this.#report = report;
  }

  async follow({ before, after }: StoredChange): Promise<void> {
    if (!before || !after) return;
    const { spec, status: old } = before as CertificateSigningRequest;
    const { certificate } = (after as CertificateSigningRequest).status ?? {};
    if (old?.certificate || !certificate || spec.expirationSeconds === undefined) return;
    // Others have names of anybody's choice.
    const signer = spec.signerName.startsWith("kubernetes.io/") ? spec.signerName : "other";
    this.#requested.add([signer]);
    try {
      if (isHonored(spec.expirationSeconds, lifetime_s(certificate))) this.#honored.add([signer]);
    } catch (error) {
      this.#report(`the certificate of ${before.metadata.name} cannot be read`, error);
    }
  }

  families(): Family[] {
    return [this.#requested.family(), this.#honored.family()];
  }
}

/** @param certificate PEM in base64, as requests have it. */
function lifetime_s(certificate: string): number {
  const { notBefore, notAfter } = parseCertificate(Buffer.from(certificate, "base64").toString());
  return (notAfter.getTime() - notBefore.getTime()) / 1000;
}

export const isHonored = (asked_s: number, given_s: number): boolean =>
  Math.abs(asked_s - given_s) < DATED_BACK_S + asked_s / 20;
