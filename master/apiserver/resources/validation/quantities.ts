/** Resource names and amounts (pkg/apis/core/helper and the quantity rules of core's validation). */
import {
  compareQuantities,
  milliValue,
  parseQuantity,
  type Quantity,
  scaledValue,
  zeroQuantity,
} from "#shared/api/quantity.ts";
import type { Field } from "./field.ts";
import { isQualifiedName } from "./names.ts";

export type Amounts = Readonly<Record<string, string | number>>;

const compute = ["cpu", "memory", "ephemeral-storage"] as const;
const objectCounts = [
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "services.nodeports",
  "services.loadbalancers",
];
const quotaResources = new Set([
  ...compute,
  ...compute.map((name) => `requests.${name}`),
  ...compute.map((name) => `limits.${name}`),
  ...objectCounts,
  "requests.storage",
]);
const standardResources = new Set([...quotaResources, "storage"]);

export const isHugePages = (name: string): boolean => name.startsWith("hugepages-");
const isQuotaHugePages = (name: string): boolean => isHugePages(name) || name.startsWith("requests.hugepages-");
export const isNativeResource = (name: string): boolean => !name.includes("/") || name.includes("kubernetes.io/");
export const isOvercommitAllowed = (name: string): boolean => isNativeResource(name) && !isHugePages(name);
export const isStandardQuotaResource = (name: string): boolean => quotaResources.has(name) || isQuotaHugePages(name);

function isExtendedResource(name: string): boolean {
  if (isNativeResource(name) || name.startsWith("requests.")) return false;
  return isQualifiedName(`requests.${name}`).length === 0;
}
const isIntegerResource = (name: string): boolean => objectCounts.includes(name) || isExtendedResource(name);

export function compareAmounts(a: string | number, b: string | number): -1 | 0 | 1 {
  return compareQuantities(parseQuantity(a), parseQuantity(b));
}
export const isNegative = (amount: string | number | Quantity): boolean =>
  compareQuantities(typeof amount === "object" ? amount : parseQuantity(amount), zeroQuantity) < 0;

export function validatePositiveAmount(amount: string | number, field: Field): void {
  if (compareQuantities(parseQuantity(amount), zeroQuantity) <= 0)
    field.invalid(String(amount), "must be greater than zero");
}

/** As validatePositiveAmount, in the words of autoscaling; an absent amount is fine. */
export function validatePositive(amount: string | number | undefined, field: Field): void {
  if (amount !== undefined && compareQuantities(parseQuantity(amount), zeroQuantity) <= 0)
    field.invalid(String(amount), "must be positive");
}

/** An amount of a resource: not negative, and whole where only whole ones make sense. */
export function validateAmount(name: string, amount: string | number, field: Field): void {
  const quantity = parseQuantity(amount);
  if (isNegative(quantity)) field.invalid(String(amount), "must be greater than or equal to 0");
  if (isIntegerResource(name) && scaledValue(quantity, -3) % 1000n !== 0n)
    field.invalid(String(amount), "must be an integer");
}

/** A resource's name at all; true when nothing was wrong. */
export function validateResourceName(name: string, field: Field): boolean {
  const errors = isQualifiedName(name);
  field.invalidEach(name, errors);
  if (errors.length > 0) return false;
  if (!name.includes("/") && !standardResources.has(name) && !isQuotaHugePages(name)) {
    field.invalid(name, "must be a standard resource type or fully qualified");
    return false;
  }
  return true;
}

export function validateContainerResourceName(name: string, field: Field): void {
  validateResourceName(name, field);
  if (!name.includes("/")) {
    if (!(compute as readonly string[]).includes(name) && !isHugePages(name)) {
      field.invalid(name, "must be a standard resource for containers");
    }
  } else if (!isNativeResource(name) && !isExtendedResource(name)) {
    field.invalid(name, "doesn't follow extended resource name standard");
  }
}

export function validateQuotaResourceName(name: string, field: Field): void {
  validateResourceName(name, field);
  if (!name.includes("/") && !isStandardQuotaResource(name))
    field.invalid(name, "must be a standard resource for quota");
}

/** Whether an amount of huge pages is a multiple of the page. */
export function isHugePagesDivisible(name: string, amount: string | number): boolean {
  try {
    const page = parseQuantity(name.slice("hugepages-".length));
    if (compareQuantities(page, zeroQuantity) <= 0 || milliValue(page) % 1000 !== 0) return false;
    return scaledValue(parseQuantity(amount), 0) % scaledValue(page, 0) === 0n;
  } catch {
    return false;
  }
}
