import { invalid, type StatusError } from "#shared/api/errors.ts";
import { parseApiVersion } from "#shared/api/object.ts";
import {
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
} from "#shared/api/resources.ts";
import type {
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { MutatingAdmissionPolicy } from "#shared/api/types/admissionregistration-v1beta1.generated.ts";
import type { Authorizer } from "../../authz/authorizer.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { ResourceTable } from "../../registry/resource-table.ts";
import type { User } from "../../request.ts";
import { collect } from "../../resources/validation/field.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { draftOf } from "../attributes.ts";
import { ConfigurationError, paramResource } from "./params.ts";

interface Parts {
  readonly reader: ResourceReader;
  readonly resources: ResourceTable;
  /** The whole chain. */
  readonly authorizer: Authorizer;
}

/** What somebody must be allowed; all groups, versions and resources where it is not known of which kind params are. */
interface Wanted {
  readonly verb: "get" | "list";
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

const anything = { group: "*", version: "*", resource: "*" } as const;

/**
 * By a policy nobody gets to read what they may not: who writes one must be allowed to read objects of its paramKind, and
 * who binds one the params that the binding names. It stands in the storage of these kinds upstream, after all else was found
 * to be in order.
 */
export class ParamPermissions implements AdmissionPlugin {
  readonly name = "ParamPermissions";
  readonly resources = [
    validatingAdmissionPolicies,
    mutatingAdmissionPolicies,
    validatingAdmissionPolicyBindings,
    mutatingAdmissionPolicyBindings,
  ];
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  validate(attributes: AdmissionAttributes): Promise<void> | undefined {
    if (attributes.user.groups.includes("system:masters")) return undefined;
    const policy = draftOf(attributes, validatingAdmissionPolicies) ?? draftOf(attributes, mutatingAdmissionPolicies);
    if (policy?.spec.paramKind) {
      const old = (attributes.oldObject as typeof policy | undefined)?.spec.paramKind;
      return old && isSameKind(old, policy.spec.paramKind)
        ? undefined
        : this.#judgePolicy(attributes, policy.spec.paramKind);
    }
    const binding =
      draftOf(attributes, validatingAdmissionPolicyBindings) ?? draftOf(attributes, mutatingAdmissionPolicyBindings);
    const { policyName = "", paramRef } = binding?.spec ?? {};
    // Upstream compares pointers: whatever an update changes, this is asked anew.
    return paramRef && this.#judgeBinding(attributes, policyName, paramRef);
  }

  async #judgePolicy(attributes: AdmissionAttributes, kind: ParamKind): Promise<void> {
    const { user } = attributes;
    const told = this.#resourceOf(kind);
    const wanted = { verb: "get", ...told, namespace: "*", name: "*" } as const;
    const { isAllowed, error } = await this.#ask(user, wanted);
    if (isAllowed) return;
    const { kind: name = "", apiVersion = "" } = kind;
    const why = `user ${userText(user)} must have "get" permission on all objects of the referenced paramKind (kind=${name}, apiVersion=${apiVersion})`;
    throw refusalOf(attributes, "paramKind", error ?? why);
  }

  async #judgeBinding(attributes: AdmissionAttributes, policyName: string, paramRef: ParamRef): Promise<void> {
    const { user, declaration } = attributes;
    const isMutating = declaration.ref.plural === mutatingAdmissionPolicyBindings.plural;
    const policy = this.#policyOf(isMutating, policyName);
    const kind = policy?.spec.paramKind;
    const told = kind ? this.#resourceOf(kind) : anything;
    const { name, namespace } = paramRef;
    const verb = name ? "get" : "list";
    const { isAllowed, error } = await this.#ask(user, {
      verb,
      ...told,
      ...(name && { name }),
      ...(namespace && { namespace }),
    });
    if (isAllowed) return;
    const who = userText(user);
    const lacks = `to determine minimum required permissions and user ${who} does not have "${verb}" permission for all groups, versions and resources`;
    // Upstream has the two the wrong way round for one kind.
    const [first, second] = isMutating ? [verb, who] : [who, verb];
    const why = !policy
      ? `unable to get policy ${policyName} ${lacks}`
      : kind && told.resource === "*"
        ? `unable to resolve paramKind &{${kind.apiVersion ?? ""} ${kind.kind ?? ""}} ${lacks}`
        : `user ${first} does not have "${second}" permission on the object referenced by paramRef`;
    const failed = error !== undefined && !isMutating ? `failed to authorize request: ${error}` : error;
    throw refusalOf(attributes, "paramRef", failed ?? why);
  }

  #policyOf(isMutating: boolean, name: string): MutatingAdmissionPolicy | ValidatingAdmissionPolicy | undefined {
    const { reader } = this.#parts;
    return isMutating
      ? reader.get(mutatingAdmissionPolicies, { name })
      : reader.get(validatingAdmissionPolicies, { name });
  }

  /** Of the version and group alone where no such kind is served. */
  #resourceOf(kind: ParamKind): { readonly group: string; readonly version: string; readonly resource: string } {
    const { group, version } = parseApiVersion(kind.apiVersion ?? "");
    try {
      return { group, version, resource: paramResource(this.#parts.resources, kind).declaration.ref.plural };
    } catch (error) {
      if (error instanceof ConfigurationError) return { group, version, resource: "*" };
      throw error;
    }
  }

  async #ask(
    user: User,
    wanted: Wanted,
  ): Promise<{ readonly isAllowed: boolean; readonly error?: string | undefined }> {
    const { outcome, error } = await this.#parts.authorizer.authorize({
      user,
      isResourceRequest: true,
      path: "",
      ...wanted,
    });
    return { isAllowed: outcome === "allow", error };
  }
}

const isSameKind = (a: ParamKind, b: ParamKind): boolean =>
  (a.apiVersion ?? "") === (b.apiVersion ?? "") && (a.kind ?? "") === (b.kind ?? "");

/** As Go prints its struct of a user. */
function userText({ name, uid = "", groups, extra = {} }: User): string {
  const entries = Object.entries(extra)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, values]) => `${key}:[${values.join(" ")}]`);
  return `&{${name} ${uid} [${groups.join(" ")}] map[${entries.join(" ")}]}`;
}

const refusalOf = ({ declaration, name }: AdmissionAttributes, field: string, why: string): StatusError =>
  invalid(
    declaration.ref,
    name,
    collect((root) => root.at("spec", field).forbidden(why)),
  );
