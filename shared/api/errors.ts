import { goQuote } from "./selector/go-quote.ts";
import type { ListMeta, Status, StatusCause } from "./types/meta-v1.generated.ts";

/** Reasons of metav1.Status with the HTTP code each goes with; the one table that ties them together. */
const codes = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
  ServerTimeout: 500,
} as const;

export type StatusReason = keyof typeof codes;

/** The types of a field error (field.ErrorType of apimachinery) as they appear in `details.causes[].reason`. */
export type FieldErrorReason =
  | "FieldValueNotFound"
  | "FieldValueRequired"
  | "FieldValueDuplicate"
  | "FieldValueInvalid"
  | "FieldValueNotSupported"
  | "FieldValueForbidden"
  | "FieldValueTooLong"
  | "FieldValueTooMany"
  | "InternalError"
  | "FieldValueTypeInvalid";

export interface FieldError {
  /** `spec.containers[0].name` */
  readonly field: string;
  readonly reason: FieldErrorReason;
  /** The whole text after the field, as upstream words it: `Invalid value: "x": must be …`. */
  readonly message: string;
}

export interface StatusErrorOptions {
  readonly group?: string | undefined;
  readonly kind?: string | undefined;
  readonly name?: string | undefined;
  readonly uid?: string | undefined;
  readonly causes?: readonly StatusCause[] | undefined;
  readonly retryAfterSeconds?: number | undefined;
  /** Of the Status itself: the `continue` token of an expired list. */
  readonly listMetadata?: ListMeta | undefined;
  /** `details` are written though nothing stands in them, as of upstream's generic answers. */
  readonly hasDetails?: boolean | undefined;
  /** Where the code is not the reason's usual one. */
  readonly code?: number | undefined;
  /** That the answer has beside its usual ones, by lower-case name. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** What is answered instead of a Status, as text. */
  readonly plainText?: string | undefined;
  readonly cause?: unknown;
}

/** The one error type of the API: thrown by the server's stages, rendered as metav1.Status, and rebuilt by clients. */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly code: number;

  constructor(
    readonly reason: StatusReason | (string & {}),
    message: string,
    readonly options: StatusErrorOptions = {},
  ) {
    super(message, { cause: options.cause });
    this.code = options.code ?? (codes as Record<string, number>)[reason] ?? 500;
  }

  toStatus(): Status {
    const { group, kind, name, uid, causes, retryAfterSeconds, hasDetails = false } = this.options;
    const details = {
      ...(name ? { name } : {}),
      ...(group ? { group } : {}),
      ...(kind ? { kind } : {}),
      ...(uid ? { uid } : {}),
      ...(causes?.length ? { causes: [...causes] } : {}),
      ...(retryAfterSeconds ? { retryAfterSeconds } : {}),
    };
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: this.options.listMetadata ?? {},
      status: "Failure",
      message: this.message,
      ...(this.reason === "" ? {} : { reason: this.reason as StatusReason }),
      ...(hasDetails || Object.keys(details).length > 0 ? { details } : {}),
      code: this.code,
    };
  }

  static fromStatus(status: Status, fallbackCode: number): StatusError {
    const { details } = status;
    return new StatusError(status.reason ?? "", status.message ?? `the server answered with code ${fallbackCode}`, {
      group: details?.group,
      kind: details?.kind,
      name: details?.name,
      uid: details?.uid,
      causes: details?.causes,
      retryAfterSeconds: details?.retryAfterSeconds,
      listMetadata: status.metadata,
      code: status.code ?? fallbackCode,
    });
  }
}

/** `pods`, `deployments.apps`: how messages name a resource. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
}
const qualified = (resource: ResourceName): string =>
  resource.group === "" ? resource.plural : `${resource.plural}.${resource.group}`;
const about = (resource: ResourceName, name: string): StatusErrorOptions => ({
  group: resource.group,
  kind: resource.plural,
  // One out of a path may hold bytes that are no text.
  name: name.toWellFormed(),
});

export const badRequest = (message: string): StatusError => new StatusError("BadRequest", message);
export const unauthorized = (message = "Unauthorized"): StatusError => new StatusError("Unauthorized", message);
export const notFound = (resource: ResourceName, name: string): StatusError =>
  new StatusError("NotFound", `${qualified(resource)} ${goQuote(name)} not found`, about(resource, name));
export const alreadyExists = (resource: ResourceName, name: string): StatusError =>
  new StatusError("AlreadyExists", `${qualified(resource)} ${goQuote(name)} already exists`, about(resource, name));
export const conflict = (resource: ResourceName, name: string, why: string): StatusError =>
  new StatusError(
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(resource)} ${goQuote(name)}: ${why}`,
    about(resource, name),
  );
/** The answer to a stale resourceVersion; clients retry on it. */
export const staleObject = (resource: ResourceName, name: string): StatusError =>
  conflict(
    resource,
    name,
    "the object has been modified; please apply your changes to the latest version and try again",
  );
export const forbidden = (resource: ResourceName, name: string, why: string): StatusError =>
  new StatusError(
    "Forbidden",
    resource.plural === "" && resource.group === ""
      ? `forbidden: ${why}`
      : name
        ? `${qualified(resource)} ${goQuote(name)} is forbidden: ${why}`
        : `${qualified(resource)} is forbidden: ${why}`,
    about(resource, name),
  );
export const methodNotAllowed = (resource: ResourceName, action: string): StatusError =>
  new StatusError("MethodNotAllowed", `${action} is not supported on resources of kind "${qualified(resource)}"`, {
    group: resource.group,
    kind: resource.plural,
  });
export const expired = (message: string): StatusError => new StatusError("Expired", message);
export const tooManyRequests = (message: string, retryAfterSeconds: number): StatusError =>
  new StatusError("TooManyRequests", message, { retryAfterSeconds });
export const internalError = (message: string, cause?: unknown): StatusError =>
  new StatusError("InternalError", `Internal error occurred: ${message}`, {
    causes: [{ message }],
    cause,
  });
export const serviceUnavailable = (message: string): StatusError => new StatusError("ServiceUnavailable", message);
export const unsupportedMediaType = (message: string): StatusError => new StatusError("UnsupportedMediaType", message);
export const notAcceptable = (message: string): StatusError => new StatusError("NotAcceptable", message);

/** 422 for an object that fails validation; `kind` is the object's kind, `group` its API group. */
export function invalid(
  kind: { readonly group: string; readonly kind: string },
  name: string,
  errors: readonly FieldError[],
): StatusError {
  const texts = [...new Set(errors.map((error) => `${error.field}: ${error.message}`))];
  const list = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  const title = kind.group === "" ? kind.kind : `${kind.kind}.${kind.group}`;
  return new StatusError("Invalid", `${title} ${goQuote(name)} is invalid: ${list}`, {
    group: kind.group,
    kind: kind.kind,
    name,
    causes: errors.map(({ field, reason, message }) => ({ reason, message, field })),
  });
}

export const isNotFound = (error: unknown): boolean => hasReason(error, "NotFound");
export const isConflict = (error: unknown): boolean => hasReason(error, "Conflict");
export const isAlreadyExists = (error: unknown): boolean => hasReason(error, "AlreadyExists");
export const isExpired = (error: unknown): boolean => hasReason(error, "Expired") || hasReason(error, "Gone");

export function hasReason(error: unknown, reason: StatusReason): boolean {
  return error instanceof StatusError && error.reason === reason;
}
