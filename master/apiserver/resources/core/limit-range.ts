import type { FieldError } from "#shared/api/errors.ts";
import { compareQuantities, parseQuantity, quantityOf } from "#shared/api/quantity.ts";
import { limitRanges } from "#shared/api/resources.ts";
import type { LimitRange, LimitRangeItem } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { createdAtColumn, nameColumn } from "../columns.ts";
import { collect, type Field } from "../validation/field.ts";
import { isQualifiedName } from "../validation/names.ts";
import {
  type Amounts,
  compareAmounts,
  isOvercommitAllowed,
  validateContainerResourceName,
  validateResourceName,
} from "../validation/quantities.ts";

/** Maximum gives the default limit, which gives the default request; a minimum is a request, too. */
function defaultItem(item: LimitRangeItem): void {
  const limits = { ...item.max, ...item.default };
  const requests = { ...item.min, ...limits, ...item.defaultRequest };
  if (Object.keys(limits).length > 0) item.default = limits;
  if (Object.keys(requests).length > 0) item.defaultRequest = requests;
}

/** Upstream names a range that has no name at all. */
function nameLimits(draft: LimitRange): void {
  if (!draft.metadata.name) draft.metadata.name = crypto.randomUUID();
}

const sides = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] as const;

function validate({ spec }: LimitRange): FieldError[] {
  return collect((root) => {
    const types = new Set<string>();
    for (const [index, item] of (spec.limits ?? []).entries()) {
      const field = root.at("spec", "limits").index(index);
      validateType(item.type ?? "", field.at("type"));
      if (types.has(item.type)) field.at("type").duplicate(item.type);
      types.add(item.type);
      validateItem(item, field);
    }
  });
}

function validateType(type: string, field: Field): void {
  const errors = isQualifiedName(type);
  field.invalidEach(type, errors);
  if (errors.length > 0 || type.includes("/")) return;
  if (!["Pod", "Container", "PersistentVolumeClaim"].includes(type)) {
    field.invalid(type, "must be a standard limit type or fully qualified");
  }
}

function validateItem(item: LimitRangeItem, field: Field): void {
  const isCompute = item.type === "Pod" || item.type === "Container";
  const names = new Set<string>();
  for (const side of sides) {
    const amounts: Amounts = item[side] ?? {};
    if (item.type === "Pod" && (side === "default" || side === "defaultRequest")) {
      if (Object.keys(amounts).length > 0) field.at(side).forbidden("may not be specified when `type` is 'Pod'");
      continue;
    }
    for (const name of Object.keys(amounts)) {
      const at = field.at(side).key(name);
      if (isCompute) validateContainerResourceName(name, at);
      else validateResourceName(name, at);
      names.add(name);
    }
  }
  if (item.type === "PersistentVolumeClaim" && !item.min?.["storage"] && !item.max?.["storage"]) {
    field.at("limits").required("either minimum or maximum storage value is required, but neither was provided");
  }
  for (const name of names) validateOrder(item, name, field);
}

/** Minimum, default request, default and maximum of one resource must stand in this order. */
function validateOrder(item: LimitRangeItem, name: string, field: Field): void {
  const { type } = item;
  const [max, min, ratio] = [item.max?.[name], item.min?.[name], item.maxLimitRequestRatio?.[name]];
  const [limit, request] = type === "Pod" ? [] : [item.default?.[name], item.defaultRequest?.[name]];
  const exceeds = (a: string | number | undefined, b: string | number | undefined): boolean =>
    a !== undefined && b !== undefined && compareAmounts(a, b) > 0;
  const at = (side: (typeof sides)[number]): Field => field.at(side).key(name);
  if (exceeds(min, max)) at("min").invalid(min, `min value ${min} is greater than max value ${max}`);
  if (exceeds(min, request)) {
    at("defaultRequest").invalid(request, `min value ${min} is greater than default request value ${request}`);
  }
  if (exceeds(request, max)) {
    at("defaultRequest").invalid(request, `default request value ${request} is greater than max value ${max}`);
  }
  if (exceeds(request, limit)) {
    at("defaultRequest").invalid(
      request,
      `default request value ${request} is greater than default limit value ${limit}`,
    );
  }
  if (exceeds(min, limit)) at("default").invalid(min, `min value ${min} is greater than default value ${limit}`);
  if (exceeds(limit, max)) at("default").invalid(max, `default value ${limit} is greater than max value ${max}`);
  if (ratio !== undefined) validateRatio(ratio, min, max, at("maxLimitRequestRatio"));
  if (
    limit !== undefined &&
    request !== undefined &&
    !isOvercommitAllowed(name) &&
    compareAmounts(limit, request) !== 0
  ) {
    at("defaultRequest").invalid(
      request,
      `default value ${limit} must equal to defaultRequest value ${request} in ${name}`,
    );
  }
}

const asNumber = (amount: string | number): number => {
  const { unscaled, scale } = parseQuantity(amount);
  return Number(unscaled) * 10 ** scale;
};

function validateRatio(
  ratio: string | number,
  min: string | number | undefined,
  max: string | number | undefined,
  field: Field,
): void {
  if (compareQuantities(parseQuantity(ratio), quantityOf(1)) < 0) field.invalid(ratio, `ratio ${ratio} is less than 1`);
  if (min === undefined || max === undefined) return;
  const bound = asNumber(max) / asNumber(min);
  if (asNumber(ratio) > bound) field.invalid(ratio, `ratio ${ratio} is greater than max/min = ${bound.toFixed(6)}`);
}

export const limitRange: ResourceDeclaration<LimitRange> = {
  ref: limitRanges,
  shortNames: ["limits"],
  columns: [nameColumn, createdAtColumn],
  strategy: {
    judgesNameOnUpdate: true,
    allowCreateOnUpdate: true,
    applyDefaults(draft) {
      draft.spec ??= { limits: [] };
      for (const item of draft.spec.limits ?? []) if (item.type === "Container") defaultItem(item);
    },
    prepareForCreate: nameLimits,
    validate,
    validateUpdate: validate,
  },
};
