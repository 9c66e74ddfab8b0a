/** Options of writes: CreateOptions, UpdateOptions, PatchOptions in the query, DeleteOptions in query or body. */
import { badRequest, invalid, StatusError } from "#shared/api/errors.ts";
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import { integerOf, isTrue } from "../query-values.ts";
import type { RequestBody } from "../request.ts";
import { collect } from "../resources/validation/field.ts";
import { validateFieldManager } from "../resources/validation/object-meta.ts";
import { decodeDocument, type FieldValidation, objectOf, UnrecognizedBodyError } from "./decode-body.ts";

export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldManager: string | undefined;
  readonly fieldValidation: FieldValidation;
  readonly force: boolean | undefined;
}

type OptionsKind = "CreateOptions" | "UpdateOptions" | "PatchOptions";

const kindOf = (kind: string): { group: string; kind: string } => ({ group: "meta.k8s.io", kind });

/** Throws Invalid for values that no option has. */
export function writeOptions(query: URLSearchParams, kind: OptionsKind): WriteOptions {
  const dryRun = query.getAll("dryRun");
  checkDryRun(dryRun, kind);
  const fieldManager = query.get("fieldManager") ?? "";
  const faults = collect((root) => validateFieldManager(fieldManager, root.at("fieldManager")));
  if (faults.length > 0) throw invalid(kindOf(kind), "", faults);
  const validation = query.get("fieldValidation") ?? "";
  if (!isFieldValidation(validation)) {
    throw invalid(kindOf(kind), "", [
      {
        field: "fieldValidation",
        reason: "FieldValueNotSupported",
        message: `Unsupported value: "${validation}": supported values: "", "Ignore", "Strict", "Warn"`,
      },
    ]);
  }
  const force = query.get("force");
  return {
    dryRun: dryRun.length > 0,
    fieldManager: fieldManager === "" ? undefined : fieldManager,
    fieldValidation: validation === "" ? "Warn" : validation,
    force: force === null ? undefined : isTrue(force),
  };
}

const isFieldValidation = (text: string): text is FieldValidation | "" =>
  text === "" || text === "Ignore" || text === "Warn" || text === "Strict";

function checkDryRun(values: readonly string[], kind: string): void {
  if (values.every((value) => value === "All")) return;
  throw invalid(kindOf(kind), "", [
    {
      field: "dryRun",
      reason: "FieldValueNotSupported",
      message: `Unsupported value: ${JSON.stringify(values)}: supported values: "All"`,
    },
  ]);
}

/** From the body where there is one, else from the query. Throws BadRequest and Invalid. */
export function deleteOptions(
  body: RequestBody,
  contentType: string | undefined,
  query: URLSearchParams,
): DeleteOptions & { readonly isDryRun: boolean } {
  const options = bodyOptions(body, contentType) ?? queryOptions(query);
  checkDeleteOptions(options);
  return { ...options, isDryRun: (options.dryRun ?? []).length > 0 };
}

/** Throws Invalid as upstream's ValidateDeleteOptions. */
export function checkDeleteOptions(options: DeleteOptions): void {
  checkDryRun(options.dryRun ?? [], "DeleteOptions");
  if (options.propagationPolicy !== undefined && options.orphanDependents !== undefined) {
    throw invalid(kindOf("DeleteOptions"), "", [
      {
        field: "propagationPolicy",
        reason: "FieldValueInvalid",
        message: `Invalid value: "${options.propagationPolicy}": orphanDependents and deletionPropagation cannot be both set`,
      },
    ]);
  }
  const policy = options.propagationPolicy;
  if (policy !== undefined && policy !== "Foreground" && policy !== "Background" && policy !== "Orphan") {
    throw invalid(kindOf("DeleteOptions"), "", [
      {
        field: "propagationPolicy",
        reason: "FieldValueNotSupported",
        message: `Unsupported value: "${policy}": supported values: "Foreground", "Background", "Orphan", "nil"`,
      },
    ]);
  }
}

function bodyOptions(body: RequestBody, contentType: string | undefined): DeleteOptions | undefined {
  if (body.kind === "none" || (body.kind === "bytes" && body.bytes.length === 0)) return undefined;
  try {
    const document = decodeDocument(body, contentType);
    if (document.value === null || document.value === undefined) return undefined;
    const gvk = { group: "", version: "v1", kind: "DeleteOptions" };
    const value = ofCoreGroup(document.value);
    const options = objectOf({ ...document, value }, { gvk, schema: schemaFor(gvk), custom: false }, "Ignore", []);
    return options as unknown as DeleteOptions;
  } catch (error) {
    if (error instanceof UnrecognizedBodyError) throw badRequest(error.message);
    if (error instanceof StatusError && error.reason === "BadRequest")
      throw badRequest(
        error.message.replace(/^DeleteOptions in version "v1" cannot be handled as a DeleteOptions: /, ""),
      );
    throw error;
  }
}

/** Where upstream's source makes its table of kinds. */
const scheme = "pkg/runtime/scheme.go:111";

/** Clients send these in the group of the resource too (`apps/v1`), with the same fields. */
function ofCoreGroup(given: unknown): unknown {
  if (!isJsonObject(given)) return given;
  const { apiVersion = "", kind = "" } = given;
  if (typeof kind === "string" && kind !== "" && kind !== "DeleteOptions")
    throw badRequest(
      `no kind ${goQuote(kind)} is registered for version ${goQuote(String(apiVersion))} in scheme "${scheme}"`,
    );
  const isVersion = typeof apiVersion === "string" && apiVersion.split("/").length <= 2;
  return {
    ...given,
    ...(isVersion && { apiVersion: "v1" }),
    ...(typeof kind === "string" && { kind: "DeleteOptions" }),
  };
}

function queryOptions(query: URLSearchParams): DeleteOptions {
  const grace = query.get("gracePeriodSeconds");
  const policy = query.get("propagationPolicy");
  const orphan = query.get("orphanDependents");
  return {
    ...(grace === null ? {} : { gracePeriodSeconds: integerOf(grace) }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
    ...(orphan === null ? {} : { orphanDependents: isTrue(orphan) }),
    ...preconditionsOf(query),
    dryRun: query.getAll("dryRun"),
  };
}

/** What upstream makes preconditions of, though it tells of it nowhere: of a collection's objects, too. */
function preconditionsOf(query: URLSearchParams): Pick<DeleteOptions, "preconditions"> {
  const uid = query.get("uid") ?? "";
  const resourceVersion = query.get("resourceVersion") ?? "";
  if (uid === "" && resourceVersion === "") return {};
  return { preconditions: { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) } };
}
