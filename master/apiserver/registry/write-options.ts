/** Options of writes: CreateOptions, UpdateOptions, PatchOptions in the query, DeleteOptions in query or body. */
import { badRequest, invalid, StatusError } from "#shared/api/errors.ts";
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import { isTrue } from "#shared/http/query-flag.ts";
import { integerOf } from "../query-values.ts";
import type { RequestBody } from "../request.ts";
import { collect, type Field } from "../resources/validation/field.ts";
import { validateFieldManager } from "../resources/validation/object-meta.ts";
import { decodeDocument, type FieldValidation, objectOf, UnrecognizedBodyError } from "./decode-body.ts";
import type { PatchType } from "./patch.ts";

export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldManager: string | undefined;
  readonly fieldValidation: FieldValidation;
  /** What of them the client gave, as admission is shown it: without what is usual where nothing is said. */
  readonly given: { readonly fieldManager?: string; readonly fieldValidation?: string };
  readonly force: boolean | undefined;
}

type OptionsKind = "CreateOptions" | "UpdateOptions" | "PatchOptions";

const kindOf = (kind: string): { group: string; kind: string } => ({ group: "meta.k8s.io", kind });

/** `patchType`: of a patch. Throws Invalid, with all that is wrong (upstream's ValidateCreateOptions and the like). */
export function writeOptions(query: URLSearchParams, kind: OptionsKind, patchType?: PatchType): WriteOptions {
  const dryRun = query.getAll("dryRun");
  const fieldManager = query.get("fieldManager") ?? "";
  const validation = query.get("fieldValidation") ?? "";
  const force = query.get("force");
  throwFaults(kind, (root) => {
    if (patchType === "apply" && fieldManager === "") root.at("fieldManager").required("is required for apply patch");
    if (patchType !== undefined && patchType !== "apply" && force !== null)
      root.at("force").forbidden("may not be specified for non-apply patch");
    validateFieldManager(fieldManager, root.at("fieldManager"));
    validateDryRun(dryRun, root.at("dryRun"));
    if (!isFieldValidation(validation))
      root.at("fieldValidation").notSupported(validation, ["", "Ignore", "Strict", "Warn"]);
  });
  return {
    dryRun: dryRun.length > 0,
    fieldManager: fieldManager === "" ? undefined : fieldManager,
    fieldValidation: isFieldValidation(validation) && validation !== "" ? validation : "Warn",
    given: { ...(fieldManager && { fieldManager }), ...(validation && { fieldValidation: validation }) },
    force: force === null ? undefined : isTrue(force),
  };
}

const isFieldValidation = (text: string): text is FieldValidation | "" =>
  text === "" || text === "Ignore" || text === "Warn" || text === "Strict";

function throwFaults(kind: string, validate: (root: Field) => void): void {
  const faults = collect(validate);
  if (faults.length > 0) throw invalid(kindOf(kind), "", faults);
}

function validateDryRun(values: readonly string[], field: Field): void {
  if (values.some((value) => value !== "All")) field.notSupported(values, ["All"]);
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
export function checkDeleteOptions({ propagationPolicy: policy, orphanDependents, dryRun }: DeleteOptions): void {
  throwFaults("DeleteOptions", (root) => {
    const field = root.at("propagationPolicy");
    if (policy !== undefined && orphanDependents !== undefined)
      field.invalid(policy, "orphanDependents and deletionPropagation cannot be both set");
    if (policy !== undefined && policy !== "Foreground" && policy !== "Background" && policy !== "Orphan")
      field.notSupported(policy, ["Foreground", "Background", "Orphan", "nil"]);
    validateDryRun(dryRun ?? [], root.at("dryRun"));
  });
}

/** What says how an object is deleted has no place where it cannot be read (upstream's ValidateIgnoreStoreReadError). Throws Invalid. */
export function checkUnreadableOptions(options: DeleteOptions): void {
  const others = ["propagationPolicy", "orphanDependents", "gracePeriodSeconds", "preconditions"] as const;
  throwFaults("DeleteOptions", (root) => {
    const field = root.at("ignoreStoreReadErrorWithClusterBreakingPotential");
    const refuse = (name: string): void => field.invalid(true, `cannot be set together with .${name}`);
    if ((options.dryRun ?? []).length > 0) refuse("dryRun");
    for (const name of others) if (options[name] !== undefined) refuse(name);
  });
}

/** What a client said of a deletion, as admission is shown it. */
export function givenOf(options: DeleteOptions): object {
  const { apiVersion: _, kind: __, dryRun: ___, ...rest } = options;
  const { metadata: ____, isDryRun: _____, ...given } = rest as Record<string, unknown>;
  return given;
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
  const ignores = query.get("ignoreStoreReadErrorWithClusterBreakingPotential");
  return {
    ...(grace === null ? {} : { gracePeriodSeconds: integerOf(grace) }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
    ...(orphan === null ? {} : { orphanDependents: isTrue(orphan) }),
    ...(ignores === null ? {} : { ignoreStoreReadErrorWithClusterBreakingPotential: isTrue(ignores) }),
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
