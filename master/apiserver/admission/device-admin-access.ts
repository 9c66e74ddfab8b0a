import { invalid } from "#shared/api/errors.ts";
import { namespaces, resourceClaims, resourceClaimTemplates } from "#shared/api/resources.ts";
import type { DeviceClaim } from "#shared/api/types/resource-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import { collect } from "../resources/validation/field.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { draftOf } from "./attributes.ts";

const label = "resource.kubernetes.io/admin-access";

/** Access to devices that others use is for namespaces whose label allows it (KEP-5018). It stands in the storage of the
 *  kinds upstream; here admission sees the namespace. */
export class DeviceAdminAccess implements AdmissionPlugin {
  readonly name = "DeviceAdminAccess";
  readonly resources = [resourceClaims, resourceClaimTemplates];

  constructor(private readonly reader: ResourceReader) {}

  async validate(attributes: AdmissionAttributes): Promise<void> {
    if (attributes.operation !== "CREATE") return;
    const claim = draftOf(attributes, resourceClaims);
    if (claim) this.#judge(attributes, resourceClaims, claim.spec.devices);
    const template = draftOf(attributes, resourceClaimTemplates);
    if (template) this.#judge(attributes, resourceClaimTemplates, template.spec.spec.devices);
  }

  #judge(
    { name, namespace = "" }: AdmissionAttributes,
    kind: { readonly group: string; readonly kind: string },
    devices: DeviceClaim | undefined,
  ): void {
    const index = devices?.requests?.findIndex(({ exactly }) => exactly?.adminAccess === true) ?? -1;
    if (index < 0) return;
    if (this.reader.get(namespaces, { name: namespace })?.metadata.labels?.[label] === "true") return;
    const why = `admin access to devices requires the \`${label}: true\` label on the containing namespace`;
    // Upstream names this place for templates too.
    const at = `requests[${index}].adminAccess`;
    throw invalid(
      kind,
      name,
      collect((root) => root.at("spec", "devices", at).forbidden(why)),
    );
  }
}
