import { type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import type { Attributes, Authorizer, Decision } from "../../authz/authorizer.ts";
import type { ResourceTable } from "../../registry/resource-table.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { refusal } from "../attributes.ts";

/** Whoever changes an object's owners must be allowed to delete it, and whoever keeps an owner from being deleted to set that
 *  owner's finalizers. */
export class OwnerReferencesPermissionEnforcement implements AdmissionPlugin {
  readonly name = "OwnerReferencesPermissionEnforcement";

  constructor(
    private readonly authorizer: Authorizer,
    private readonly table: () => Pick<ResourceTable, "all">,
  ) {}

  validate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const { operation, declaration, subresource, object, oldObject } = attributes;
    if (!object || (operation !== "CREATE" && operation !== "UPDATE")) return undefined;
    // Old kubelets damage it, and the strategy keeps it as it was.
    if (declaration.ref.group === "" && declaration.ref.plural === "pods" && subresource === "status") return undefined;
    const [now, before] = [ownersOf(object), ownersOf(oldObject)];
    if (Bun.deepEquals(now, before)) return undefined;
    return this.#judge(attributes, blockingAnew(now, before));
  }

  async #judge(attributes: AdmissionAttributes, blocking: readonly OwnerReference[]): Promise<void> {
    const { operation, declaration, resource, subresource, namespace, name } = attributes;
    if (operation !== "CREATE") {
      const { group, plural } = declaration.ref;
      const version = resource?.version ?? declaration.ref.version;
      const asked = { verb: "delete", group, version, resource: plural, subresource, namespace, name } as const;
      const decision = await this.#ask(attributes, asked);
      if (decision.outcome !== "allow")
        throw refusal(attributes, `cannot set an ownerRef on a resource you can't delete: ${said(decision)}`);
    }
    if (blocking.length === 0) return;
    const anything = { verb: "update", group: "*", version: "*", resource: "*", subresource: "finalizers", name: "*" };
    if ((await this.#ask(attributes, anything)).outcome === "allow") return;
    for (const owner of blocking) await this.#assertMayBlock(attributes, owner);
  }

  async #assertMayBlock(attributes: AdmissionAttributes, owner: OwnerReference): Promise<void> {
    const { group, version } = parseApiVersion(owner.apiVersion);
    const kinds = [...this.table().all()].filter(
      ({ declaration: { ref }, version: served }) =>
        ref.group === group && ref.kind === owner.kind && served === version,
    );
    if (kinds.length === 0)
      throw refusal(
        attributes,
        `cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion ${owner.apiVersion} Kind ${owner.kind}: no matches for kind "${owner.kind}" in version "${owner.apiVersion}"`,
      );
    for (const { declaration } of kinds) {
      const { plural, namespaced } = declaration.ref;
      const asked = {
        ...{ verb: "update", group, version, resource: plural, subresource: "finalizers", name: owner.name },
        namespace: namespaced ? attributes.namespace : undefined,
      };
      const decision = await this.#ask(attributes, asked);
      if (decision.outcome !== "allow")
        throw refusal(
          attributes,
          `cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: ${said(decision)}`,
        );
    }
  }

  async #ask({ user }: AdmissionAttributes, asked: Asked): Promise<Decision> {
    return this.authorizer.authorize({ ...asked, user, isResourceRequest: true, path: "" } as Attributes);
  }
}

type Asked = Pick<Attributes, "group" | "version" | "resource" | "subresource" | "namespace" | "name"> & {
  readonly verb: string;
};

const said = ({ reason, error }: Decision): string => `${reason}, ${error ?? "<nil>"}`;

const ownersOf = (object: KubeObject | undefined): readonly OwnerReference[] => object?.metadata.ownerReferences ?? [];

/** Those that keep their owner from being deleted and did not before. */
function blockingAnew(now: readonly OwnerReference[], before: readonly OwnerReference[]): OwnerReference[] {
  const former = new Map(before.map((owner) => [owner.uid, owner]));
  return now.filter(({ uid, blockOwnerDeletion }) => blockOwnerDeletion && !former.get(uid)?.blockOwnerDeletion);
}
