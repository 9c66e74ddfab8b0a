import type { Field } from "./field.ts";
import { isPercent, isPortName, isPortNumber } from "./names.ts";

export const protocols = ["SCTP", "TCP", "UDP"] as const;

export function validatePortNumberOrName(port: number | string | undefined, field: Field): void {
  if (typeof port === "string") field.invalidEach(port, isPortName(port));
  else field.invalidEach(port ?? 0, isPortNumber(port ?? 0));
}

/** A number or a percentage: neither negative nor anything else. */
export function validateNumberOrPercent(value: number | string, field: Field): void {
  if (typeof value === "string") field.invalidEach(value, isPercent(value));
  else if (value < 0) field.invalid(value, "must be greater than or equal to 0");
}

/** 0 for 0% and such, undefined where it is no percentage. */
function percentOf(value: number | string | undefined): number | undefined {
  return typeof value === "string" && isPercent(value).length === 0 ? Number.parseInt(value, 10) : undefined;
}

export function validateNotMoreThanAll(value: number | string | undefined, field: Field): void {
  if ((percentOf(value) ?? 0) > 100) field.invalid(value, "must not be greater than 100%");
}

/** A number as it stands; a percentage as its number of percent (upstream compares zero with it only). */
export function numberOrPercentValue(value: number | string | undefined): number {
  return typeof value === "number" ? value : (percentOf(value) ?? 0);
}
