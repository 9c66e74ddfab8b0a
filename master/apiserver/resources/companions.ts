/** What is done beside the writes of some kinds. */
import type { Client } from "#shared/client/client.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { WriteCompanion } from "../registry/write-companion.ts";
import { CertificateDurations } from "./certificates/certificate-durations.ts";
import { ServiceAddressObjects } from "./service-address-objects.ts";

export interface Companions {
  readonly all: readonly WriteCompanion[];
  /** What they count. */
  families(): Family[];
}

export function companionsOf(parts: {
  readonly reader: ResourceReader;
  readonly client: Client;
  readonly report: (message: string, error: unknown) => void;
}): Companions {
  const durations = new CertificateDurations(parts.report);
  return { all: [new ServiceAddressObjects(parts), durations], families: () => durations.families() };
}
