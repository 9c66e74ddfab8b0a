import { Cron } from "croner";
import { parseGoDuration_ms } from "#shared/api/go-duration.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { CronJob } from "#shared/api/types/batch-v1.generated.ts";

export interface Schedule {
  /** The first time after this one, in milliseconds since 1970; undefined when there is none. */
  next(after_ms: number): number | undefined;
}

/** The schedule cannot be understood; the message says why. */
export class ScheduleError extends Error {
  override readonly name = "ScheduleError";
}

/** The greatest values of the five fields, which `5/15` runs up to. */
const fieldEnds = [59, 23, 31, 12, 6] as const;

/**
 * A schedule in the form of robfig/cron: five fields, descriptors such as `@daily`, `@every 90m`, and a zone in front
 * (`CRON_TZ=…`), which upstream still reads but no longer supports. Where a clock springs forward over a time, it comes
 * as soon as the gap ends. Throws ScheduleError.
 */
export function parseSchedule(text: string, timeZone: string | undefined): Schedule {
  const [, ownZone, pattern = ""] = /^(?:(?:CRON_)?TZ=(\S*)\s+)?(.*)$/s.exec(text.trim()) ?? [];
  if (pattern.startsWith("@every ")) return every(pattern.slice("@every ".length));
  try {
    const cron = new Cron(withRanges(pattern), { timezone: ownZone || timeZone || "UTC", paused: true });
    return { next: (after_ms) => cron.nextRun(new Date(after_ms))?.getTime() };
  } catch (error) {
    throw new ScheduleError(messageOf(error), { cause: error });
  }
}

function withRanges(pattern: string): string {
  if (pattern.startsWith("@")) return pattern;
  return pattern
    .split(/\s+/)
    .map((field, position) => field.replace(/(^|,)(\w+)\/(\d+)/g, `$1$2-${fieldEnds[position] ?? 0}/$3`))
    .join(" ");
}

/** A fixed delay, of whole seconds and at least one. */
function every(text: string): Schedule {
  const given_ms = parseGoDuration_ms(text.trim());
  if (given_ms === undefined || given_ms <= 0) throw new ScheduleError(`time: invalid duration "${text}"`);
  const delay_ms = Math.max(1000, Math.floor(given_ms / 1000) * 1000);
  return { next: (after_ms) => Math.floor(after_ms / 1000) * 1000 + delay_ms };
}

/** Whether this machine knows the zone; an empty name is UTC. */
export function isKnownZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timeZone || "UTC" });
    return true;
  } catch {
    return false;
  }
}

/** RFC 3339 with the zone's offset: `2026-03-29T03:00:00+02:00`, with Z in UTC. */
export function inZone(time_ms: number, timeZone: string | undefined): string {
  const parts = new Intl.DateTimeFormat("en", {
    timeZone: timeZone || "UTC",
    timeZoneName: "longOffset",
  }).formatToParts(time_ms);
  const offset = parts.find(({ type }) => type === "timeZoneName")?.value.replace("GMT", "") ?? "";
  const [, sign = "+", hours = "0", minutes = "0"] = /^([+-])(\d+):(\d+)/.exec(offset) ?? [];
  const shift_ms = (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  const local = new Date(time_ms + shift_ms).toISOString().slice(0, 19);
  return `${local}${shift_ms === 0 ? "Z" : offset}`;
}

export interface Starts {
  /** The last time that has come; undefined when none has. */
  readonly latest_ms: number | undefined;
  /** More than a hundred have passed by. */
  readonly tooMany: boolean;
}

/** The start that is due of those since the last one, or since `startingDeadlineSeconds` ago if that is later (pure).
 *  Throws ScheduleError for a schedule whose times never come, such as the 31st of February. */
export function dueStart({ metadata, spec, status }: CronJob, schedule: Schedule, now_ms: number): Starts {
  const none: Starts = { latest_ms: undefined, tooMany: false };
  const { startingDeadlineSeconds } = spec;
  const since_ms = Date.parse(status?.lastScheduleTime ?? metadata.creationTimestamp ?? "") || 0;
  const earliest_ms =
    startingDeadlineSeconds === undefined ? since_ms : Math.max(since_ms, now_ms - startingDeadlineSeconds * 1000);
  const first_ms = schedule.next(earliest_ms);
  if (first_ms !== undefined && first_ms > now_ms) return none;
  const second_ms = first_ms === undefined ? undefined : schedule.next(first_ms);
  if (first_ms === undefined || second_ms === undefined)
    throw new ScheduleError("time difference between two schedules is less than 1 second");
  if (second_ms > now_ms) return { latest_ms: first_ms, tooMany: false };
  const interval_ms = second_ms - first_ms;
  const missed = Math.floor((now_ms - first_ms) / interval_ms) + 1;
  // Not every missed start is walked through: from about the last but one by the first interval.
  let latest_ms: number | undefined;
  let candidate_ms = schedule.next(first_ms + (missed - 2) * interval_ms);
  while (candidate_ms !== undefined && candidate_ms <= now_ms) {
    latest_ms = candidate_ms;
    candidate_ms = schedule.next(candidate_ms);
  }
  return { latest_ms, tooMany: missed > 100 };
}
