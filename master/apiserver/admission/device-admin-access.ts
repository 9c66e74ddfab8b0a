import { invalid } from "#shared/api/errors.ts";
import { namespaces, resourceClaims, resourceClaimTemplates } from "#shared/api/resources.ts";
import type { DeviceClaim, ResourceClaim } from "#shared/api/types/resource-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import { collect } from "../resources/validation/field.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { draftOf, isWriteTo } from "./attributes.ts";

const label = "resource.kubernetes.io/admin-access";

const why = `admin access to devices requires the \`${label}: true\` label on the containing namespace`;

const grantedIn = (claim: Readonly<ResourceClaim> | undefined): number =>
  claim?.status?.allocation?.devices?.results?.findIndex(({ adminAccess }) => adminAccess === true) ?? -1;

/** Access to devices that others use is for namespaces whose label allows it (KEP-5018). It stands in the storage of the
 *  kinds upstream; here admission sees the namespace. */
export class DeviceAdminAccess implements AdmissionPlugin {
  readonly name = "DeviceAdminAccess";
  readonly resources = [resourceClaims, resourceClaimTemplates];

  constructor(private readonly reader: ResourceReader) {}

  async validate(attributes: AdmissionAttributes): Promise<void> {
    if (isWriteTo(attributes, resourceClaims, "status")) this.#judgeStatus(attributes);
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
    if (index < 0 || this.#isMarked(namespace)) return;
    // Upstream names this place for templates too.
    const at = `requests[${index}].adminAccess`;
    throw invalid(
      kind,
      name,
      collect((root) => root.at("spec", "devices", at).forbidden(why)),
    );
  }

  /** What was granted once stays so. */
  #judgeStatus(attributes: AdmissionAttributes): void {
    const { name, namespace = "", object, oldObject } = attributes;
    const index = grantedIn(object as ResourceClaim | undefined);
    if (index < 0 || grantedIn(oldObject as ResourceClaim | undefined) >= 0 || this.#isMarked(namespace)) return;
    const at = `results[${index}].adminAccess`;
    throw invalid(
      resourceClaims,
      name,
      collect((root) => root.at("status", "allocation", "devices", at).forbidden(why)),
    );
  }

  #isMarked(namespace: string): boolean {
    return this.reader.get(namespaces, { name: namespace })?.metadata.labels?.[label] === "true";
  }
}
