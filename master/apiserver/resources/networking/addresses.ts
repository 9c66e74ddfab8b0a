import type { FieldError } from "#shared/api/errors.ts";
import { ipAddresses, serviceCIDRs } from "#shared/api/resources.ts";
import type { IPAddress, ServiceCIDR } from "#shared/api/types/networking-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";
import { parseRange, validateCanonicalAddress, validateCanonicalRange } from "../validation/addresses.ts";
import { collect, each, type Field, immutable, immutableMessage } from "../validation/field.ts";
import { isDns1123Subdomain, isPathSegment } from "../validation/names.ts";
import { validateSegments } from "./references.ts";

/** What stands behind `Invalid value: "…": `. */
const detailOf = ({ message }: FieldError): string => message.replace(/^Invalid value: "(?:[^"\\]|\\.)*": /, "");

const validateParent = ({ spec: { parentRef } }: IPAddress): FieldError[] =>
  collect((root) => {
    const field = root.at("spec", "parentRef");
    if (parentRef === undefined) {
      field.required();
      return;
    }
    const { group, resource, name, namespace } = parentRef;
    if (group) field.at("group").invalidEach(group, isDns1123Subdomain(group));
    validateSegments({ resource, name }, field);
    if (namespace) field.at("namespace").invalidEach(namespace, isPathSegment(namespace));
  });

const validateServiceCIDR = ({ spec }: ServiceCIDR): FieldError[] =>
  collect((root) => validateRanges(spec, root.at("spec", "cidrs")));

function validateRanges(spec: ServiceCIDR["spec"], field: Field): void {
  const { cidrs = [] } = spec;
  if (cidrs.length === 0) {
    field.required("at least one CIDR required");
    return;
  }
  if (cidrs.length > 2) {
    // With the name of Go's field.
    field.invalid({ CIDRs: cidrs }, "may only hold up to 2 values");
    return;
  }
  each(cidrs, field, validateCanonicalRange);
  const [family, other] = cidrs.map((range) => parseRange(range)?.bits);
  if (cidrs.length === 2 && family !== undefined && family === other) {
    field.invalid(cidrs, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64");
  }
}

/** A second family may be added, nothing else changes. */
const validateServiceCIDRUpdate = ({ spec }: ServiceCIDR, old: Readonly<ServiceCIDR>): FieldError[] =>
  collect((root) => {
    const field = root.at("spec", "cidrs");
    const [now, before] = [spec.cidrs ?? [], old.spec.cidrs ?? []];
    const isAddition = before.length === 1 && now.length === 2;
    if (now.length !== before.length && !isAddition) {
      field.invalid(now, immutableMessage);
      return;
    }
    for (const [index, range] of before.entries())
      if (now[index] !== range) field.index(index).invalid(now[index], immutableMessage);
    if (isAddition) validateRanges(spec, field);
  });

function parent({ spec: { parentRef } }: IPAddress): string {
  if (parentRef === undefined) return "<none>";
  const { group, resource, namespace, name } = parentRef;
  const qualified = (group ? `${resource}.${group}` : resource).toLowerCase();
  return namespace ? `${qualified}/${namespace}/${name}` : `${qualified}/${name}`;
}

export const ipAddress: ResourceDeclaration<IPAddress> = {
  ref: ipAddresses,
  shortNames: ["ip"],
  columns: [nameColumn, column("ParentRef", parent)],
  strategy: {
    judgesNameOnUpdate: true,
    validateName: (name) => collect((root) => validateCanonicalAddress(name, root)).map(detailOf),
    validate: validateParent,
    validateUpdate: (object, old) => [
      ...validateParent(object),
      ...collect((root) => immutable(object.spec.parentRef, old.spec.parentRef, root.at("spec", "parentRef"))),
    ],
  },
};

export const serviceCIDR: ResourceDeclaration<ServiceCIDR> = {
  ref: serviceCIDRs,
  subresources: { status },
  columns: [nameColumn, column("CIDRs", ({ spec }) => (spec.cidrs ?? []).join(",")), ageColumn],
  strategy: {
    hasStatus: true,
    statusResets: [["metadata"]],
    // Upstream names them under a group that there is not, so they do not count.
    resetFields: [],
    statusResetFields: [],
    validate: validateServiceCIDR,
    validateUpdate: validateServiceCIDRUpdate,
  },
};
