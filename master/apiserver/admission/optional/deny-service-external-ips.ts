import { services } from "#shared/api/resources.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { draftOf, refusal } from "../attributes.ts";

/** No Service gets addresses of its own choice any more (CVE-2020-8554); those that have some may keep them. */
export class DenyServiceExternalIPs implements AdmissionPlugin {
  readonly name = "DenyServiceExternalIPs";
  readonly resources = [services];

  validate(attributes: AdmissionAttributes): undefined {
    const wanted = draftOf(attributes, services)?.spec?.externalIPs ?? [];
    const present = (attributes.oldObject as Service | undefined)?.spec?.externalIPs ?? [];
    if (wanted.some((ip) => !present.includes(ip)))
      throw refusal(attributes, "Use of external IPs is denied by admission control");
  }
}
