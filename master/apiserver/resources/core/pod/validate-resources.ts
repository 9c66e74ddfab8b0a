/** Resource requirements of containers and pods. */
import { compareQuantities, formatQuantity, parseQuantity } from "#shared/api/quantity.ts";
import type { PodSpec, ResourceClaim, ResourceRequirements } from "#shared/api/types/core-v1.generated.ts";
import type { Field } from "../../validation/field.ts";
import { isDns1123Label } from "../../validation/names.ts";
import {
  compareAmounts,
  isHugePages,
  isHugePagesDivisible,
  isOvercommitAllowed,
  validateAmount,
  validateContainerResourceName,
  validateResourceName,
} from "../../validation/quantities.ts";
import { aggregate, isPodLevelResource } from "./aggregate.ts";

type NameCheck = (name: string, field: Field) => void;

export function validateContainerResources(
  resources: ResourceRequirements | undefined,
  podClaims: ReadonlySet<string>,
  field: Field,
): void {
  validateRequirements(resources ?? {}, validateContainerResourceName, podClaims, field);
}

function validateRequirements(
  { limits = {}, requests = {}, claims = [] }: ResourceRequirements,
  validateName: NameCheck,
  podClaims: ReadonlySet<string>,
  field: Field,
): void {
  for (const [name, amount] of Object.entries(limits)) {
    validateEntry(name, amount, validateName, field.at("limits").key(name));
  }
  for (const [name, amount] of Object.entries(requests)) {
    validateEntry(name, amount, validateName, field.at("requests").key(name));
    const limit = limits[name];
    if (limit === undefined) {
      if (!isOvercommitAllowed(name)) field.at("limits").required("Limit must be set for non overcommitable resources");
      continue;
    }
    const order = compareAmounts(amount, limit);
    if (order !== 0 && !isOvercommitAllowed(name)) {
      field.at("requests").invalid(String(amount), `must be equal to ${name} limit of ${limit}`);
    } else if (order > 0) {
      field.at("requests").invalid(String(amount), `must be less than or equal to ${name} limit of ${limit}`);
    }
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some(isHugePages) && !names.includes("cpu") && !names.includes("memory")) {
    field.forbidden("HugePages require cpu or memory");
  }
  validateClaimReferences(claims, podClaims, field.at("claims"));
}

function validateEntry(name: string, amount: string | number, validateName: NameCheck, field: Field): void {
  validateName(name, field);
  validateAmount(name, amount, field);
  if (isHugePages(name) && !isHugePagesDivisible(name, amount)) {
    field.ruled("whole huge pages").invalid(String(amount), `${amount} is not positive integer multiple of ${name}`);
  }
}

function validateClaimReferences(claims: readonly ResourceClaim[], known: ReadonlySet<string>, field: Field): void {
  const seen = new Set<string>();
  /** Claims of which a single request was named. */
  const inPart = new Set<string>();
  let names: string | undefined;
  for (const [index, { name = "", request = "" }] of claims.entries()) {
    const at = field.index(index);
    if (name === "") {
      at.required();
      continue;
    }
    const key = request === "" ? name : `${name}/${request}`;
    if (seen.has(name)) at.duplicate(name);
    else {
      if (request !== "") at.at("request").invalidEach(request, isDns1123Label(request));
      if (seen.has(key)) at.duplicate(key);
      else if (request === "" && inPart.has(name)) at.duplicate(name);
      seen.add(key);
      if (request !== "") inPart.add(name);
    }
    if (!known.has(name)) {
      names ??= known.size === 0 ? " which is empty" : `: ${[...known].sort().join(", ")}`;
      at.notFound(name, `must be one of the names in pod.spec.resourceClaims${names}`);
    }
  }
}

/** Pod-level resources (KEP-2837): only of some kinds, and no less than what the containers ask for together. */
export function validatePodLevelResources(spec: PodSpec, podClaims: ReadonlySet<string>, pod: Field): void {
  const { resources } = spec;
  if (resources === undefined) return;
  const field = pod.at("resources");
  if (spec.os?.name === "windows") {
    field.forbidden("may not be set for a windows pod");
    return;
  }
  if (resources.claims) field.at("claims").forbidden("claims may not be set for Resources at pod-level");
  const validateName: NameCheck = (name, at) => {
    if (validateResourceName(name, at) && !isPodLevelResource(name))
      at.notSupported(name, ["cpu", "hugepages-", "memory"]);
  };
  validateRequirements(resources, validateName, podClaims, field);
  for (const side of ["requests", "limits"] as const) {
    for (const [name, total] of aggregate(spec, side)) {
      const amount = resources[side]?.[name];
      if (amount === undefined || (side === "limits" && !isHugePages(name))) continue;
      if (compareQuantities(total, parseQuantity(amount)) <= 0) continue;
      const message = `must be greater than or equal to aggregate container ${side} of ${formatQuantity(total)}`;
      field.at(side).key(name).invalid(String(amount), message);
    }
  }
  for (const [index, container] of (spec.containers ?? []).entries()) {
    for (const [name, amount] of Object.entries(container.resources?.limits ?? {})) {
      const limit = resources.limits?.[name];
      if (limit === undefined || compareAmounts(amount, limit) <= 0) continue;
      field
        .at("containers")
        .index(index)
        .key(name)
        .at("limits")
        .invalid(String(amount), `must be less than or equal to pod limits of ${limit}`);
    }
  }
}
