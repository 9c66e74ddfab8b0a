/** Events of both groups (pkg/apis/core/validation/events.go). Old ones, without eventTime, get the old, loose rules. */
import type { FieldError } from "#shared/api/errors.ts";
import type { Event } from "#shared/api/types/core-v1.generated.ts";
import { collect, type Field, immutable, semanticEqual } from "../validation/field.ts";
import { isDns1123Subdomain, isQualifiedName } from "../validation/names.ts";

const limits = { reportingInstance: 128, action: 128, reason: 128, message: 1024 } as const;

function validateAlways(event: Event, controllerField: string, root: Field): void {
  const { namespace = "" } = event.metadata;
  const involved = event.involvedObject?.namespace ?? "";
  const mismatch = (): void =>
    root.at("involvedObject", "namespace").invalid(involved, "does not match event.namespace");
  if (event.eventTime === undefined) {
    if (involved === "" ? namespace !== "" && namespace !== "default" : namespace !== involved) mismatch();
  } else {
    if (involved === "" && namespace !== "default" && namespace !== "kube-system") mismatch();
    const { reportingComponent: controller = "" } = event;
    if (controller === "") root.at(controllerField).required();
    root.at(controllerField).invalidEach(controller, isQualifiedName(controller));
    for (const [key, limit] of Object.entries(limits) as [keyof typeof limits, number][]) {
      const text = event[key] ?? "";
      if (text === "" && key !== "message") root.at(key).required();
      if (text.length > limit) root.at(key).invalid("", `can have at most ${limit} characters`);
    }
  }
  root.at("namespace").invalidEach(namespace, isDns1123Subdomain(namespace));
}

export const validateCoreEvent = (event: Event): FieldError[] =>
  collect((root) => validateAlways(event, "reportingComponent", root));

function validateSeries({ series }: Event, root: Field): void {
  if (series === undefined) return;
  if ((series.count ?? 0) < 2) root.at("series.count").invalid("", "should be at least 2");
  if (!series.lastObservedTime) root.at("series.lastObservedTime").required();
}

/** A new event of events.k8s.io, given as it is stored. */
export function validateNewEvent(event: Event): FieldError[] {
  return collect((root) => {
    validateAlways(event, "reportingController", root);
    validateSeries(event, root);
    if (event.eventTime === undefined) root.at("eventTime").required();
    if (event.type !== "Normal" && event.type !== "Warning") {
      root.at("type").invalid("", `has invalid value: ${event.type ?? ""}`);
    }
    for (const key of ["firstTimestamp", "lastTimestamp", "count"] as const) {
      if (event[key]) root.at(key).invalid("", "needs to be unset");
    }
    if (event.source?.component || event.source?.host) root.at("source").invalid("", "needs to be unset");
  });
}

const fixed = ["involvedObject", "source", "firstTimestamp", "lastTimestamp", "count", "eventTime", "related"] as const;
const fixedTexts = ["reason", "message", "type", "action", "reportingInstance"] as const;

/** An event of events.k8s.io changes only by its series growing. */
export function validateNewEventUpdate(event: Event, old: Readonly<Event>): FieldError[] {
  return collect((root) => {
    validateAlways(event, "reportingController", root);
    if (!semanticEqual(event.series, old.series)) validateSeries(event, root);
    for (const key of fixed) immutable(event[key], old[key], root.at(key));
    for (const key of fixedTexts) immutable(event[key] ?? "", old[key] ?? "", root.at(key));
    immutable(event.reportingComponent ?? "", old.reportingComponent ?? "", root.at("reportingController"));
  });
}
