import { rfc3339 } from "#shared/api/time.ts";
import type { Pod, Service } from "#shared/api/types/core-v1.generated.ts";

/** When what an Endpoints object or an EndpointSlice was last written for had happened: RFC 3339, in UTC. With it clients
 *  measure how long a change of a pod takes to reach them (SLO of network programming latency). */
export const triggerTimeAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";

/**
 * Remembers what each Service's endpoints were last worked out from, to tell which change they are written for now. Times
 * are those that objects carry, whole seconds: of a Service its creation, of a pod the last turn of its readiness. Of
 * several changes since the last time, the earliest counts. One change of an object that was followed by another before
 * the next look is not known of.
 */
export class TriggerTimes {
  readonly #seen = new Map<string, { service_ms: number; pods_ms: ReadonlyMap<string, number> }>();

  /**
   * The value for the annotation; undefined when nothing with a time has changed, and then the annotation goes. To be
   * called whenever the endpoints are worked out, whether or not they come out different.
   */
  next(key: string, { metadata: { creationTimestamp } }: Service, selected: readonly Pod[]): string | undefined {
    const before = this.#seen.get(key);
    const service_ms = Date.parse(creationTimestamp ?? "");
    const pods_ms = new Map<string, number>();
    let earliest_ms = Number.POSITIVE_INFINITY;
    for (const { metadata, status } of selected) {
      const turned = status?.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime;
      const turned_ms = Date.parse(turned ?? "");
      if (Number.isNaN(turned_ms)) continue;
      const name = metadata.name ?? "";
      pods_ms.set(name, turned_ms);
      if (turned_ms > (before?.pods_ms.get(name) ?? Number.NEGATIVE_INFINITY))
        earliest_ms = Math.min(earliest_ms, turned_ms);
    }
    // A Service of the same name that was made again before the old one was forgotten.
    if (before && service_ms > before.service_ms) earliest_ms = Math.min(earliest_ms, service_ms);
    this.#seen.set(key, { service_ms, pods_ms });
    return inWholeSeconds(before ? earliest_ms : service_ms);
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}

const inWholeSeconds = (time_ms: number): string | undefined =>
  Number.isFinite(time_ms) ? rfc3339(time_ms) : undefined;

/** Annotations of an object that is written now: with the time, or without it (pure). */
export function withTriggerTime(
  annotations: Readonly<Record<string, string>> | undefined,
  time: string | undefined,
): Record<string, string> {
  const { [triggerTimeAnnotation]: _, ...others } = annotations ?? {};
  return time === undefined ? others : { ...others, [triggerTimeAnnotation]: time };
}
