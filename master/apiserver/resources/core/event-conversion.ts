import type { KubeObject } from "#shared/api/object.ts";
import type { Event } from "#shared/api/types/core-v1.generated.ts";
import type { Event as EventsV1Event } from "#shared/api/types/events-v1.generated.ts";

/** Leaves out keys without a value, so that stored text has none. */
function compact<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

/** What Go writes for a time that is not set. It must stand where a field is required: generated clients refuse an answer
 *  without it. */
const noTime = null as unknown as string;

/** A stored core Event as events.k8s.io shows it. */
export function eventToEventsV1(object: KubeObject): EventsV1Event {
  const event = object as Event;
  return compact({
    kind: "Event",
    apiVersion: "events.k8s.io/v1",
    metadata: event.metadata,
    eventTime: event.eventTime ?? noTime,
    series: event.series && {
      count: event.series.count ?? 0,
      lastObservedTime: event.series.lastObservedTime ?? noTime,
    },
    // Core events have these two even where they are empty.
    reportingController: event.reportingComponent || undefined,
    reportingInstance: event.reportingInstance || undefined,
    action: event.action,
    reason: event.reason,
    regarding: event.involvedObject,
    related: event.related,
    note: event.message,
    type: event.type,
    deprecatedSource: event.source,
    deprecatedFirstTimestamp: event.firstTimestamp,
    deprecatedLastTimestamp: event.lastTimestamp,
    deprecatedCount: event.count,
  });
}

/** An events.k8s.io Event as it is stored. */
export function eventFromEventsV1(object: KubeObject): Event {
  const event = object as EventsV1Event;
  return compact({
    kind: "Event",
    apiVersion: "v1",
    metadata: event.metadata,
    involvedObject: event.regarding ?? {},
    reason: event.reason,
    message: event.note,
    source: event.deprecatedSource,
    firstTimestamp: event.deprecatedFirstTimestamp,
    lastTimestamp: event.deprecatedLastTimestamp,
    count: event.deprecatedCount,
    type: event.type,
    eventTime: event.eventTime ?? undefined,
    series: event.series,
    action: event.action,
    related: event.related,
    reportingComponent: event.reportingController,
    reportingInstance: event.reportingInstance,
  });
}
