import { useState } from "preact/hooks";
import { events, type KubeObject } from "../api/objects.ts";
import { useClock, useObjects, useTitle } from "../parts/hooks.ts";
import { useFilter } from "../parts/namespace.tsx";
import { Empty, Fault } from "../parts/notes.tsx";
import { type About, ObjectButton } from "../parts/object-button.tsx";
import { Pill } from "../parts/status.tsx";
import { type TableColumn, VirtualTable } from "../parts/virtual-table.tsx";
import { ageOf } from "../parts/words.ts";

interface Event extends KubeObject {
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly count?: number;
  readonly firstTimestamp?: string;
  readonly lastTimestamp?: string;
  readonly eventTime?: string;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string };
  readonly involvedObject?: About;
}

const timeOf = ({ series, lastTimestamp, eventTime, metadata }: Event): string | undefined =>
  series?.lastObservedTime || lastTimestamp || eventTime || metadata.creationTimestamp;

/** What has happened lately, the newest first. */
export function Events() {
  useTitle("Events");
  const { namespace } = useFilter();
  const [onlyWarnings, setOnlyWarnings] = useState(false);
  return (
    <>
      <header class="page-head">
        <h1>Events</h1>
        <label class="check push">
          <input
            type="checkbox"
            checked={onlyWarnings}
            onChange={(event) => setOnlyWarnings(event.currentTarget.checked)}
          />
          Warnings only
        </label>
      </header>
      <EventTable namespace={namespace} fieldSelector={onlyWarnings ? "type=Warning" : ""} />
    </>
  );
}

interface EventTableProps {
  readonly namespace: string;
  readonly fieldSelector: string;
  /** Whether it says what each event is about. */
  readonly about?: boolean;
}

export function EventTable({ namespace, fieldSelector, about = true }: EventTableProps) {
  const { items, phase, error } = useObjects<Event>(events, { namespace, fieldSelector });
  const { search } = useFilter();
  const now_ms = useClock();
  if (phase === "failed") return <Fault error={error} what="events" />;
  if (phase === "loading") return <p class="faint pad">Loading events…</p>;
  const wanted = about ? search.toLowerCase() : "";
  const shown = items
    .filter(({ message = "", reason = "", involvedObject }) =>
      `${message} ${reason} ${involvedObject?.name ?? ""}`.toLowerCase().includes(wanted),
    )
    .sort((a, b) => (timeOf(b) ?? "").localeCompare(timeOf(a) ?? ""));
  if (shown.length === 0) return <Empty title="No events">The cluster keeps events for an hour.</Empty>;
  return (
    <VirtualTable
      label="events"
      items={shown}
      keyOf={({ metadata }) => metadata.uid ?? metadata.name}
      columns={columnsOf(about, now_ms)}
    />
  );
}

function columnsOf(about: boolean, now_ms: number): TableColumn<Event>[] {
  const ofObject: TableColumn<Event>[] = about
    ? [
        {
          id: "object",
          title: "About",
          place: "sub",
          cell: ({ involvedObject = {} }) => <ObjectButton about={involvedObject} />,
          sort: ({ involvedObject }) => involvedObject?.name ?? "",
        },
      ]
    : [];
  return [
    {
      id: "type",
      title: "Type",
      place: "sub",
      cell: ({ type = "" }) => <Pill word={type} />,
      sort: ({ type = "" }) => type,
    },
    { id: "reason", title: "Reason", place: "sub", cell: ({ reason }) => reason, sort: ({ reason = "" }) => reason },
    ...ofObject,
    { id: "message", title: "Message", place: "main", cell: ({ message }) => <span title={message}>{message}</span> },
    {
      id: "count",
      title: "Count",
      place: "wide",
      align: "end",
      cell: ({ series, count }) => <span class="number">{series?.count ?? count ?? 1}</span>,
    },
    {
      id: "age",
      title: "Last seen",
      place: "sub",
      align: "end",
      cell: (event) => <span class="number">{ageOf(timeOf(event), now_ms)}</span>,
      sort: (event) => -Date.parse(timeOf(event) ?? ""),
    },
  ];
}
