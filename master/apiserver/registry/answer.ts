/** Answers in the form that the client asked for: the object itself, a Table, or metadata alone. */
import { badRequest, notAcceptable, type StatusError } from "#shared/api/errors.ts";
import { type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import type { Accepted, Form } from "../http/negotiate.ts";
import type { ApiResponse, CachedObject, ListShape, RequestContext, WatchFrame } from "../request.ts";
import type { ResourceDeclaration } from "./declaration.ts";
import type { ServedResource } from "./served-resource.ts";
import { bookmarkTable, type IncludeObject, partialMetadata, table, tableRow } from "./table.ts";

export function valueResponse(value: object, code = 200, accepted?: Accepted): ApiResponse {
  return { kind: "object", code, value: () => value, text: () => JSON.stringify(value), accepted };
}

/** What was made for this answer, as something that is answered. */
export const ofValue = <T extends KubeObject>(value: T): { view: () => T; text: () => string } => ({
  view: () => value,
  text: () => JSON.stringify(value),
});

function includeOf(context: RequestContext): IncludeObject {
  const include = context.query.get("includeObject") ?? "";
  if (include === "" || include === "Metadata") return "Metadata";
  if (include === "None" || include === "Object") return include;
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(include)}: ` +
      "must be 'Metadata', 'Object', 'None', or empty",
  );
}

export function objectResponse(
  context: RequestContext,
  accepted: Accepted,
  { declaration }: { readonly declaration: Pick<ResourceDeclaration, "columns" | "custom" | "rowConditions"> },
  object: Pick<CachedObject, "view" | "text">,
  code = 200,
): ApiResponse {
  const { as } = accepted;
  if (as === undefined)
    return { kind: "object", code, value: () => object.view(), text: () => object.text(), accepted };
  const view = object.view();
  if (as.kind === "PartialObjectMetadata") return valueResponse(partialMetadata(view, as.version), code, accepted);
  if (as.kind !== "Table") throw notThisForm(as, `not a list (${internalType(view, declaration)})`);
  const { resourceVersion } = view.metadata;
  const options = { include: includeOf(context), version: as.version, withColumns: true, now_ms: Date.now() };
  return valueResponse(table(declaration, [object], { resourceVersion }, options), code, accepted);
}

const notThisForm = ({ kind }: Form, actual: string): StatusError =>
  notAcceptable(`you requested ${kind}, but the requested object is ${actual}`);

/** Upstream names the type that it has in memory. */
function internalType(
  { apiVersion = "", kind = "" }: { readonly apiVersion?: string | undefined; readonly kind?: string | undefined },
  { custom }: Pick<ResourceDeclaration, "custom">,
): string {
  if (custom) return `*unstructured.Unstructured${kind.endsWith("List") ? "List" : ""}`;
  const { group } = parseApiVersion(apiVersion);
  const [first = ""] = group.split(".");
  return `*${group === "" || first === "events" ? "core" : first}.${kind}`;
}

export function listResponse(
  context: RequestContext,
  accepted: Accepted,
  resource: ServedResource,
  items: readonly CachedObject[],
  metadata: object,
): ApiResponse {
  const { apiVersion, listKind, declaration } = resource;
  const { as } = accepted;
  if (as?.kind === "PartialObjectMetadata")
    throw notThisForm(as, `a list (${internalType({ apiVersion, kind: listKind }, declaration)})`);
  const shape = as && listShape(as, context, resource, metadata);
  const shown = as?.kind === "Table" ? inRowOrder(items, declaration) : items;
  // Upstream writes it out for what it has no Go type of.
  const own = declaration.custom && !as ? { continue: "", ...metadata } : metadata;
  // Upstream fills in the kinds of objects that it has Go types of at the top of an answer alone.
  const isBare = !declaration.custom;
  return { kind: "list", code: 200, apiVersion, listKind, metadata: own, items: shown, isBare, shape, accepted };
}

const inRowOrder = (items: readonly CachedObject[], { rowOrder }: ResourceDeclaration): readonly CachedObject[] =>
  rowOrder ? items.toSorted((a, b) => rowOrder(a.view(), b.view())) : items;

function listShape(
  { kind, version }: Form,
  context: RequestContext,
  { declaration }: ServedResource,
  metadata: object,
): ListShape {
  if (kind !== "Table") {
    const head = { kind: "PartialObjectMetadataList", apiVersion: `meta.k8s.io/${version}`, metadata };
    return { head, name: "items", member: (item) => partialMetadata(item.view(), version) };
  }
  const options = { include: includeOf(context), version, withColumns: true, now_ms: Date.now() };
  const { rows: _, ...head } = table(declaration, [], metadata, options);
  return { head, name: "rows", member: (item) => tableRow(declaration, item, options) };
}

/** Frames in the asked form. Only the first Table of a watch names its columns. One of lists ends with what would be its first. */
export function watchResponse(
  context: RequestContext,
  accepted: Accepted,
  resource: ServedResource,
  frames: AsyncIterable<WatchFrame>,
): ApiResponse {
  const { as } = accepted;
  if (as === undefined) return { kind: "watch", frames, accepted };
  if (as.kind === "PartialObjectMetadataList") return { kind: "watch", frames: endingAtFirst(frames), accepted };
  const { version } = as;
  const formOf = as.kind === "Table" ? tablesOf(context, resource, version) : metadataOf(version);
  const shape = (frame: WatchFrame): WatchFrame => {
    if (frame.type === "ERROR") return frame;
    const value = formOf(frame);
    return { type: frame.type, weight: frame.weight, view: () => value, text: () => JSON.stringify(value) };
  };
  return { kind: "watch", frames: mapped(frames, shape), accepted };
}

type FrameForm = (frame: WatchFrame) => object;

const metadataOf =
  (version: string): FrameForm =>
  ({ object, view }) =>
    partialMetadata(object?.view() ?? (view() as KubeObject), version);

function tablesOf(context: RequestContext, { declaration }: ServedResource, version: string): FrameForm {
  const include = includeOf(context);
  let withColumns = true;
  return ({ object, view }) => {
    const options = { include, version, withColumns, now_ms: Date.now() };
    withColumns = false;
    if (!object) return bookmarkTable(declaration, view() as KubeObject, options);
    return table(declaration, [object], { resourceVersion: String(object.revision) }, options);
  };
}

async function* endingAtFirst(frames: AsyncIterable<WatchFrame>): AsyncGenerator<WatchFrame> {
  for await (const frame of frames) {
    if (frame.object) return;
    yield frame;
  }
}

async function* mapped<T, U>(source: AsyncIterable<T>, map: (item: T) => U): AsyncGenerator<U> {
  for await (const item of source) yield map(item);
}
