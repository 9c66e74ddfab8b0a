/** A live list of one resource, in the server's own columns, with what the page adds to some kinds. */
import type { ComponentChildren } from "preact";
import type { Column, FeedState, Row } from "../api/feed.ts";
import type { Resource } from "../api/objects.ts";
import type { Usage } from "../api/usage.ts";
import { objectLink } from "../route.ts";
import { Actions } from "./actions.tsx";
import { useClock } from "./hooks.ts";
import { useFilter } from "./namespace.tsx";
import { Empty, Fault } from "./notes.tsx";
import { Pill, readyTone, toneOf } from "./status.tsx";
import { type TableColumn, VirtualTable } from "./virtual-table.tsx";
import { ageOf, bytesOf, coresOf } from "./words.ts";

interface ResourceTableProps {
  readonly resource: Resource;
  readonly feed: FeedState<Row>;
  readonly usage?: Usage | undefined;
  /** Whether lines have buttons. */
  readonly actions?: boolean;
  readonly hint?: ComponentChildren;
}

/** Server columns that the page shows in its own way. */
const ownColumns = new Set(["Name", "Namespace", "Age"]);
/** Columns of well-known kinds that say how it goes: on a phone's second line, as a pill. */
const stateColumns = new Set(["Status", "Ready", "Phase", "Completions", "Type", "Schedule"]);
/** Too long for a table; the object's page has them. */
const leftOut = new Set(["Containers", "Images", "Selector", "Nominated Node", "Readiness Gates"]);

export function ResourceTable({ resource, feed, usage, actions = false, hint }: ResourceTableProps) {
  const { namespace, search } = useFilter();
  const now_ms = useClock();
  const what = resource.plural;
  if (feed.phase === "failed") {
    return (
      <Fault error={feed.error} what={what}>
        {resource.namespaced && namespace === "" && (
          <p>Your rights may be for one namespace only: name it in the field at the top.</p>
        )}
      </Fault>
    );
  }
  const wanted = search.toLowerCase();
  const items =
    wanted === ""
      ? feed.items
      : feed.items.filter(
          ({ metadata, cells }) =>
            metadata.name.includes(wanted) ||
            cells.some((cell) => typeof cell === "string" && cell.toLowerCase().includes(wanted)) ||
            isLabelled(metadata, wanted),
        );
  if (feed.phase === "loading") return <p class="faint pad">Loading {what}…</p>;
  if (items.length === 0) {
    const where = namespace && resource.namespaced ? ` in ${namespace}` : "";
    return wanted === "" ? (
      <Empty title={`No ${what}${where}`}>{hint}</Empty>
    ) : (
      <Empty title={`None of ${feed.items.length} ${what} matches “${search}”`}>
        Clear the search to see them all.
      </Empty>
    );
  }
  const sorted = [...items].sort(
    (a, b) =>
      (a.metadata.namespace ?? "").localeCompare(b.metadata.namespace ?? "") ||
      a.metadata.name.localeCompare(b.metadata.name),
  );
  return (
    <>
      {feed.phase === "interrupted" && (
        <p class="banner warn" role="status">
          The connection was lost; this is what was known last. Trying again…
        </p>
      )}
      {feed.truncated && (
        <p class="banner" role="status">
          Only the first {feed.items.length} are shown. Choose a namespace to see the rest.
        </p>
      )}
      <VirtualTable
        label={what}
        items={sorted}
        keyOf={({ key }) => key}
        columns={columnsOf(resource, feed.columns, { namespace, usage, actions, now_ms })}
      />
    </>
  );
}

/** `app=web`: without the sign most searches would find labels. */
function isLabelled({ labels = {} }: Row["metadata"], wanted: string): boolean {
  return wanted.includes("=") && Object.entries(labels).some((label) => label.join("=").toLowerCase() === wanted);
}

interface ColumnParts {
  readonly namespace: string;
  readonly usage: Usage | undefined;
  readonly actions: boolean;
  readonly now_ms: number;
}

function columnsOf(
  resource: Resource,
  columns: readonly Column[],
  { namespace, usage, actions, now_ms }: ColumnParts,
): TableColumn<Row>[] {
  const showsNamespace = resource.namespaced && namespace === "";
  return [
    {
      id: "name",
      title: "Name",
      place: "main",
      cell: ({ metadata }) => <a href={objectLink(resource, metadata)}>{metadata.name}</a>,
      sort: ({ metadata }) => metadata.name,
    },
    ...(showsNamespace ? [namespaceColumn] : []),
    ...servedColumns(columns),
    ...(usage ? measuredColumns(usage) : []),
    {
      id: "age",
      title: "Age",
      place: "sub",
      align: "end",
      cell: ({ metadata }) => <span class="number">{ageOf(metadata.creationTimestamp, now_ms)}</span>,
      sort: ({ metadata }) => -Date.parse(metadata.creationTimestamp ?? ""),
    },
    ...(actions ? [actionsColumn(resource)] : []),
  ];
}

const namespaceColumn: TableColumn<Row> = {
  id: "namespace",
  title: "Namespace",
  place: "sub",
  cell: ({ metadata }) => metadata.namespace,
  sort: ({ metadata }) => metadata.namespace ?? "",
};

/** Columns that the server prints, without those that the page has itself. */
const servedColumns = (columns: readonly Column[]): TableColumn<Row>[] =>
  columns.flatMap(({ name, priority }, index): TableColumn<Row>[] => {
    if (ownColumns.has(name) || leftOut.has(name)) return [];
    // Of the server's wide columns a list of pods needs the board.
    if (priority > 0 && name !== "Node" && name !== "IP") return [];
    return [
      {
        id: name,
        title: name,
        place: stateColumns.has(name) ? "sub" : "wide",
        cell: (row) => <Cell name={name} value={row.cells[index]} row={row} />,
        sort: ({ cells }) => sortable(cells[index]),
      },
    ];
  });

const measuredColumns = (usage: Usage): TableColumn<Row>[] => [
  {
    id: "cpu",
    title: "CPU",
    place: "wide",
    align: "end",
    cell: (row) => amount(usage, row, ({ cpu_cores }) => coresOf(cpu_cores)),
    sort: (row) => usage.get(usageKey(row))?.cpu_cores ?? -1,
  },
  {
    id: "memory",
    title: "Memory",
    place: "wide",
    align: "end",
    cell: (row) => amount(usage, row, ({ memory_bytes }) => bytesOf(memory_bytes)),
    sort: (row) => usage.get(usageKey(row))?.memory_bytes ?? -1,
  },
];

const actionsColumn = (resource: Resource): TableColumn<Row> => ({
  id: "actions",
  title: "Actions",
  place: "main",
  align: "end",
  cell: ({ metadata }) => <Actions resource={resource} metadata={metadata} />,
});

const usageKey = ({ metadata }: Row): string => `pods/${metadata.namespace}/${metadata.name}`;

function amount(usage: Usage, row: Row, words: (point: { cpu_cores: number; memory_bytes: number }) => string) {
  const point = usage.get(usageKey(row));
  return <span class="number">{point ? words(point) : "–"}</span>;
}

function Cell({ name, value, row }: { readonly name: string; readonly value: unknown; readonly row: Row }) {
  const text = value === null || value === undefined ? "" : String(value);
  if (name === "Status" || name === "Phase") {
    const word = row.metadata.deletionTimestamp ? "Terminating" : text;
    return <Pill word={word} tone={toneOf(word)} />;
  }
  if ((name === "Ready" || name === "Completions") && /^\d+\/\d+$/.test(text))
    return <Pill word={text} tone={row.metadata.deletionTimestamp ? "warn" : readyTone(text)} />;
  return <span class={typeof value === "number" ? "number" : ""}>{text}</span>;
}

function sortable(value: unknown): string | number {
  return typeof value === "number" ? value : String(value ?? "");
}
