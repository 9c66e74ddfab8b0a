import { StatusError } from "../errors.ts";

/** 422 for a patch that is well formed but does not fit the object; the client gets upstream's generic text. */
export function patchDoesNotApply(why: string): StatusError {
  return new StatusError("Invalid", "the server rejected our request due to an error in our request", {
    cause: new Error(why),
    hasDetails: true,
  });
}

/** What upstream answers for a plain error of its own code: 500 without a reason. */
export function unclassifiedError(message: string, cause?: unknown): StatusError {
  return new StatusError("", message, { code: 500, cause });
}

export const tooLarge = (why: string): StatusError =>
  new StatusError("RequestEntityTooLarge", `Request entity too large: ${why}`);

const kindNames: Readonly<Record<string, string>> = { string: "string", number: "number", boolean: "bool" };

/** How Go's decoder names a JSON value in `cannot unmarshal …`. */
export function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return kindNames[typeof value] ?? "object";
}
