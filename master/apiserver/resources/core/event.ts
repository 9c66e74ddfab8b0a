import { events, eventsV1 } from "#shared/api/resources.ts";
import type { Event } from "#shared/api/types/core-v1.generated.ts";
import type { Event as EventsV1Event } from "#shared/api/types/events-v1.generated.ts";
import type { ResourceDeclaration, Strategy, TableColumn } from "../../registry/declaration.ts";
import { column, since, wideColumn } from "../columns.ts";
import { eventFromEventsV1, eventToEventsV1 } from "./event-conversion.ts";
import { validateCoreEvent, validateNewEvent, validateNewEventUpdate } from "./event-rules.ts";

const firstSeen = (event: Event): string => since(event.firstTimestamp ?? event.eventTime);

function lastSeen(event: Event): string {
  if (event.series) return since(event.series.lastObservedTime);
  return event.lastTimestamp ? since(event.lastTimestamp) : firstSeen(event);
}

function target({ involvedObject: { kind = "", name } }: Event): string {
  return name ? `${kind.toLowerCase()}/${name}` : kind.toLowerCase();
}

function source(event: Event): string {
  const component = event.source?.component || event.reportingComponent || "";
  const host = event.source?.host || event.reportingInstance || "";
  return host === "" ? component : `${component}, ${host}`;
}

const columns: readonly TableColumn<Event>[] = [
  column("Last Seen", lastSeen),
  column("Type", ({ type }) => type ?? ""),
  column("Reason", ({ reason }) => reason ?? ""),
  column("Object", target),
  wideColumn("Subobject", ({ involvedObject }) => involvedObject.fieldPath ?? ""),
  wideColumn("Source", source),
  column("Message", ({ message }) => (message ?? "").trim()),
  wideColumn("First Seen", firstSeen),
  wideColumn("Count", ({ series, count }) => series?.count ?? (count || 1)),
  { name: "Name", type: "string", format: "name", priority: 1, value: ({ metadata }) => metadata.name },
];

export const event: ResourceDeclaration<Event> = {
  ref: events,
  shortNames: ["ev"],
  storage: "batched",
  columns,
  selectableFields: {
    "involvedObject.kind": ({ involvedObject }) => involvedObject.kind ?? "",
    "involvedObject.namespace": ({ involvedObject }) => involvedObject.namespace ?? "",
    "involvedObject.name": ({ involvedObject }) => involvedObject.name ?? "",
    "involvedObject.uid": ({ involvedObject }) => involvedObject.uid ?? "",
    "involvedObject.apiVersion": ({ involvedObject }) => involvedObject.apiVersion ?? "",
    "involvedObject.resourceVersion": ({ involvedObject }) => involvedObject.resourceVersion ?? "",
    "involvedObject.fieldPath": ({ involvedObject }) => involvedObject.fieldPath ?? "",
    reason: ({ reason }) => reason ?? "",
    reportingComponent: ({ reportingComponent }) => reportingComponent ?? "",
    source: (object) => object.source?.component || object.reportingComponent || "",
    type: ({ type }) => type ?? "",
  },
  strategy: {
    allowCreateOnUpdate: true,
    metadataRules: "common",
    defaultPropagation: "Unsupported",
    validate: validateCoreEvent,
    validateUpdate: validateCoreEvent,
  },
};

/** Judges an event in its stored form. */
const strategyV1: Strategy<Event> = {
  allowCreateOnUpdate: true,
  defaultPropagation: "Unsupported",
  validate: validateNewEvent,
  validateUpdate: validateNewEventUpdate,
};

/** The same stored objects as core's events under other field names (pkg/apis/events/v1). */
export const eventV1: ResourceDeclaration<EventsV1Event> = {
  ref: eventsV1,
  shortNames: ["ev"],
  storage: "batched",
  storedAs: { ref: events, fromStored: eventToEventsV1, toStored: eventFromEventsV1 },
  columns: columns.map((cell) => ({ ...cell, value: (object) => cell.value(eventFromEventsV1(object)) })),
  selectableFields: {
    "regarding.kind": ({ regarding }) => regarding?.kind ?? "",
    "regarding.namespace": ({ regarding }) => regarding?.namespace ?? "",
    "regarding.name": ({ regarding }) => regarding?.name ?? "",
    "regarding.uid": ({ regarding }) => regarding?.uid ?? "",
    "regarding.apiVersion": ({ regarding }) => regarding?.apiVersion ?? "",
    "regarding.resourceVersion": ({ regarding }) => regarding?.resourceVersion ?? "",
    "regarding.fieldPath": ({ regarding }) => regarding?.fieldPath ?? "",
    reason: ({ reason }) => reason ?? "",
    reportingController: ({ reportingController }) => reportingController ?? "",
    type: ({ type }) => type ?? "",
  },
  strategy: strategyV1 as Strategy,
};
