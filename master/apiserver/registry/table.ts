/** Server-side printing (meta.k8s.io/v1 Table) and metadata alone (PartialObjectMetadata), as clients ask by Accept. */
import type { KubeObject } from "#shared/api/object.ts";
import type { Table, TableColumnDefinition, TableRow } from "#shared/api/types/meta-v1.generated.ts";
import type { CachedObject } from "../request.ts";
import { ageColumn, createdAtColumn, humanDuration, nameColumn } from "../resources/columns.ts";
import type { ResourceDeclaration, TableColumn } from "./declaration.ts";

export type IncludeObject = "None" | "Metadata" | "Object";

export interface TableOptions {
  readonly include: IncludeObject;
  /** Of meta.k8s.io, of the table and of the metadata in it. */
  readonly version: string;
  readonly withColumns: boolean;
  readonly now_ms: number;
}

/** Columns of kinds that declare none. */
const plainColumns: readonly TableColumn<KubeObject>[] = [nameColumn, createdAtColumn];

/** What is printed: something that is stored, or what is made of it (a Scale). */
type Printed = Pick<CachedObject, "view">;
type Printing = Pick<ResourceDeclaration, "columns" | "custom" | "rowConditions">;

const columnsOf = (declaration: Printing): readonly TableColumn<KubeObject>[] =>
  declaration.columns ?? (declaration.custom ? [nameColumn, ageColumn] : plainColumns);

function columnDefinitions(declaration: Printing): TableColumnDefinition[] {
  return columnsOf(declaration).map(
    ({ name, type, format = "", description = "", priority = 0, isVerbatim = false }) => ({
      name,
      // Built-in kinds give ages as text; a custom resource's date column says so.
      type: type === "date" && !declaration.custom && !isVerbatim ? "string" : type,
      format,
      description,
      priority,
    }),
  );
}

function cell(column: TableColumn<KubeObject>, object: KubeObject, custom: boolean, now_ms: number): unknown {
  const value = column.value(object);
  if (column.type !== "date" || column.isVerbatim) return value ?? null;
  if (typeof value !== "string" || value === "") return custom && value === undefined ? null : "<unknown>";
  const time_ms = Date.parse(value);
  return Number.isNaN(time_ms) ? "<invalid>" : humanDuration(now_ms - time_ms);
}

/** A bookmark as a row, whose cells tell nothing: there is no object to print. */
export function bookmarkTable(declaration: Printing, bookmark: KubeObject, options: TableOptions): Table {
  const { resourceVersion } = bookmark.metadata;
  const cells = columnsOf(declaration).map(({ type }) => (type === "integer" || type === "number" ? 0 : ""));
  const object = rowObject(bookmark, options);
  const rows = [{ cells, ...(object && { object }) }];
  return { ...table(declaration, [], { resourceVersion }, options), rows } as unknown as Table;
}

function rowObject(
  view: KubeObject,
  { include, version }: Pick<TableOptions, "include" | "version">,
): object | undefined {
  if (include === "None") return undefined;
  return include === "Metadata" ? partialMetadata(view, version) : view;
}

export function tableRow(declaration: Printing, object: Printed, options: Omit<TableOptions, "withColumns">): TableRow {
  const view = object.view();
  const cells = columnsOf(declaration).map((column) => cell(column, view, declaration.custom === true, options.now_ms));
  const conditions = declaration.rowConditions?.(view) ?? [];
  const shown = rowObject(view, options);
  return { cells, ...(conditions.length > 0 && { conditions }), ...(shown && { object: shown }) } as TableRow;
}

export function table(
  declaration: Printing,
  objects: readonly Printed[],
  metadata: object,
  options: TableOptions,
): Table {
  return {
    kind: "Table",
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata,
    // As upstream: a list that is left out is null.
    columnDefinitions: options.withColumns ? columnDefinitions(declaration) : null,
    rows: objects.map((object) => tableRow(declaration, object, options)),
  } as unknown as Table;
}

export function partialMetadata(object: KubeObject, version: string): KubeObject {
  return { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}
