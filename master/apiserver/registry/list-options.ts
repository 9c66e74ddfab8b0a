/** What the query of a list or a watch asks for, read and validated (upstream's meta/internalversion validation). */
import { StatusError } from "#shared/api/errors.ts";
import { joinErrors } from "#shared/api/joined-errors.ts";
import { isTrue } from "#shared/http/query-flag.ts";
import { integerOf } from "../query-values.ts";

export interface ListOptions {
  readonly limit: number;
  readonly continueToken: string;
  readonly resourceVersion: string;
  readonly match: string;
  readonly sendInitialEvents: boolean | undefined;
  readonly allowBookmarks: boolean;
  /** 0: not given. */
  readonly timeout_s: number;
}

interface Fault {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

const matchField = "resourceVersionMatch";

/** Throws BadRequest for what is no number, Invalid for options that exclude each other. */
export function readListOptions(query: URLSearchParams): ListOptions {
  const options = decoded(query);
  throwFaults(listFaults(options));
  return options;
}

/** The same for a watch. One that starts from no revision is sent what is there, as if it had asked for it (KEP-3157). */
export function readWatchOptions(query: URLSearchParams): ListOptions {
  const given = decoded(query);
  const { resourceVersion, match, sendInitialEvents } = given;
  const startsAnywhere = resourceVersion === "" || resourceVersion === "0";
  const isLegacy = startsAnywhere && sendInitialEvents === undefined && match === "";
  const options = isLegacy ? { ...given, match: "NotOlderThan", sendInitialEvents: true } : given;
  throwFaults(watchFaults(options));
  return options;
}

function decoded(query: URLSearchParams): ListOptions {
  const flag = (name: string): boolean | undefined => {
    const text = query.get(name);
    return text === null ? undefined : isTrue(text);
  };
  return {
    limit: Math.max(0, integerOf(query.get("limit") ?? "0")),
    continueToken: query.get("continue") ?? "",
    resourceVersion: query.get("resourceVersion") ?? "",
    match: query.get(matchField) ?? "",
    sendInitialEvents: flag("sendInitialEvents"),
    allowBookmarks: flag("allowWatchBookmarks") ?? false,
    timeout_s: integerOf(query.get("timeoutSeconds") ?? "0"),
  };
}

function listFaults({ match, resourceVersion, continueToken, sendInitialEvents }: ListOptions): Fault[] {
  const faults: Fault[] = [];
  if (match !== "") {
    if (resourceVersion === "") {
      faults.push(forbidden(matchField, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
    }
    if (continueToken !== "") faults.push(matchWithContinue);
    if (match !== "Exact" && match !== "NotOlderThan") {
      faults.push(unsupportedMatch(match, '"Exact", "NotOlderThan", ""'));
    }
    if (match === "Exact" && resourceVersion === "0") {
      faults.push(forbidden(matchField, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (sendInitialEvents !== undefined) {
    faults.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
  }
  return faults;
}

function watchFaults({ match, continueToken, sendInitialEvents }: ListOptions): Fault[] {
  const faults: Fault[] = [];
  const isNotOlderThan = match === "NotOlderThan";
  if (sendInitialEvents !== undefined && !isNotOlderThan) {
    faults.push(forbidden(matchField, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
  }
  if (match === "") return faults;
  if (sendInitialEvents === undefined) {
    faults.push(
      forbidden(matchField, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"),
    );
  }
  if (!isNotOlderThan) faults.push(unsupportedMatch(match, '"NotOlderThan"'));
  if (continueToken !== "") faults.push(matchWithContinue);
  return faults;
}

const forbidden = (field: string, why: string): Fault => ({
  reason: "FieldValueForbidden",
  message: `Forbidden: ${why}`,
  field,
});

const matchWithContinue = forbidden(matchField, "resourceVersionMatch is forbidden when continue is provided");

const unsupportedMatch = (match: string, supported: string): Fault => ({
  reason: "FieldValueNotSupported",
  message: `Unsupported value: ${JSON.stringify(match)}: supported values: ${supported}`,
  field: matchField,
});

function throwFaults(causes: readonly Fault[]): void {
  if (causes.length === 0) return;
  const all = joinErrors(causes.map(({ field, message }) => `${field}: ${message}`));
  throw new StatusError("Invalid", `ListOptions.meta.k8s.io "" is invalid: ${all}`, {
    group: "meta.k8s.io",
    kind: "ListOptions",
    causes,
  });
}
