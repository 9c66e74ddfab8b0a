/** Answers in the form that the client asked for: the object itself, a Table, or metadata alone. */
import { badRequest, notAcceptable } from "#shared/api/errors.ts";
import type { Accepted } from "../http/negotiate.ts";
import type { ApiResponse, CachedObject, ListShape, RequestContext, WatchFrame } from "../request.ts";
import type { ResourceDeclaration } from "./declaration.ts";
import type { ServedResource } from "./served-resource.ts";
import { type IncludeObject, partialMetadata, table, tableRow } from "./table.ts";

export function valueResponse(value: object, code = 200): ApiResponse {
  return { kind: "object", code, value: () => value, text: () => JSON.stringify(value) };
}

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
  { declaration }: { readonly declaration: Pick<ResourceDeclaration, "columns" | "custom"> },
  object: Pick<CachedObject, "view" | "text">,
  code = 200,
): ApiResponse {
  if (accepted.as === undefined) return { kind: "object", code, value: () => object.view(), text: () => object.text() };
  if (accepted.as === "PartialObjectMetadata") return valueResponse(partialMetadata(object.view()), code);
  if (accepted.as !== "Table") throw notAcceptable(`you requested ${accepted.as} of a single object`);
  const { resourceVersion } = object.view().metadata;
  const options = { include: includeOf(context), withColumns: true, now_ms: Date.now() };
  return valueResponse(table(declaration, [object], { resourceVersion }, options), code);
}

export function listResponse(
  context: RequestContext,
  accepted: Accepted,
  resource: ServedResource,
  items: readonly CachedObject[],
  metadata: object,
): ApiResponse {
  const list = { kind: "list", code: 200, apiVersion: resource.apiVersion, listKind: resource.listKind } as const;
  const shape = accepted.as && listShape(accepted.as, context, resource, metadata);
  return { ...list, metadata, items, shape };
}

function listShape(
  as: NonNullable<Accepted["as"]>,
  context: RequestContext,
  { declaration }: ServedResource,
  metadata: object,
): ListShape {
  if (as !== "Table") {
    const head = { kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1", metadata };
    return { head, name: "items", member: (item) => partialMetadata(item.view()) };
  }
  const include = includeOf(context);
  const now_ms = Date.now();
  const { rows: _, ...head } = table(declaration, [], metadata, { include, withColumns: true, now_ms });
  return { head, name: "rows", member: (item) => tableRow(declaration, item, include, now_ms) };
}

/** Frames in the asked form. Only the first Table of a watch names its columns. */
export function watchResponse(
  context: RequestContext,
  accepted: Accepted,
  resource: ServedResource,
  frames: AsyncIterable<WatchFrame>,
): ApiResponse {
  if (accepted.as === undefined) return { kind: "watch", frames };
  const include = includeOf(context);
  const isTable = accepted.as === "Table";
  let withColumns = true;
  const shape = (frame: WatchFrame): WatchFrame => {
    const { object } = frame;
    if (!object && (!isTable || frame.type === "ERROR")) return frame;
    const view = (): object => {
      if (!object)
        return { ...table(resource.declaration, [], metadataOf(frame), { include, withColumns: false, now_ms: 0 }) };
      if (!isTable) return partialMetadata(object.view());
      const options = { include, withColumns, now_ms: Date.now() };
      withColumns = false;
      return table(resource.declaration, [object], { resourceVersion: String(object.revision) }, options);
    };
    const value = view();
    return { type: frame.type, weight: frame.weight, view: () => value, text: () => JSON.stringify(value) };
  };
  return { kind: "watch", frames: mapped(frames, shape) };
}

const metadataOf = (frame: WatchFrame): object => (frame.view() as { metadata?: object }).metadata ?? {};

async function* mapped<T, U>(source: AsyncIterable<T>, map: (item: T) => U): AsyncGenerator<U> {
  for await (const item of source) yield map(item);
}
