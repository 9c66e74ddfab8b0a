/** What a board writes a day, and how long its card lasts at that. Pure. */

export interface WriteCounters {
  readonly own_bytes: number | undefined;
  readonly ownFor_s: number | undefined;
  readonly device_bytes: number | undefined;
  readonly deviceFor_s: number | undefined;
  readonly deviceSize_bytes: number | undefined;
  readonly lifeUsed_percent: number | undefined;
  readonly isWornOut: boolean | undefined;
}

export interface DiskWear {
  readonly brambleBytesPerDay?: number;
  readonly diskBytesPerDay?: number;
  /** By the card's own word. */
  readonly lifeUsedPercent?: number;
  readonly wornOut?: boolean;
  /** At the present rate, for a new card that is as good as `fullWrites` says. */
  readonly expectedLifeDays?: number;
}

const day_s = 86_400;
/** What was written in the first minutes after a start says nothing of a day. */
const shortest_s = 600;
/** How often a common card can be written from end to end, with what its controller writes beside that: makers of consumer
 *  cards state none; 300 is at the low end of what three-bit flash does. */
const fullWrites = 300;

export function diskWear(counters: WriteCounters): DiskWear {
  const perDay = (bytes: number | undefined, seconds: number | undefined): number | undefined =>
    bytes === undefined || seconds === undefined || seconds < shortest_s
      ? undefined
      : Math.round((bytes / seconds) * day_s);
  const own = perDay(counters.own_bytes, counters.ownFor_s);
  const disk = perDay(counters.device_bytes, counters.deviceFor_s);
  const size = counters.deviceSize_bytes ?? 0;
  const life = disk && size > 0 ? Math.round((size * fullWrites) / disk) : undefined;
  return {
    ...(own === undefined ? {} : { brambleBytesPerDay: own }),
    ...(disk === undefined ? {} : { diskBytesPerDay: disk }),
    ...(counters.lifeUsed_percent === undefined ? {} : { lifeUsedPercent: counters.lifeUsed_percent }),
    ...(counters.isWornOut === undefined ? {} : { wornOut: counters.isWornOut }),
    ...(life === undefined ? {} : { expectedLifeDays: life }),
  };
}

/** A line for people: `writes 1.2 MB a day, the whole disk 340 MB: a card lasts some 70 years at that`. Empty when nothing
 *  is known yet. */
export function describeWear(wear: DiskWear): string {
  const parts: string[] = [];
  if (wear.brambleBytesPerDay !== undefined) parts.push(`writes ${megabytes(wear.brambleBytesPerDay)} a day`);
  if (wear.diskBytesPerDay !== undefined) parts.push(`the whole disk ${megabytes(wear.diskBytesPerDay)}`);
  if (wear.wornOut) parts.push("the card says that it is WORN OUT: replace it");
  else if (wear.lifeUsedPercent !== undefined) parts.push(`the card has used ${wear.lifeUsedPercent} % of its life`);
  else if (wear.expectedLifeDays !== undefined) parts.push(`a card lasts ${lifetime(wear.expectedLifeDays)} at that`);
  return parts.join(", ");
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

const longest_years = 50;
function lifetime(days: number): string {
  if (days < 730) return `some ${Math.round(days)} days`;
  const years = Math.round(days / 365);
  return years > longest_years ? `over ${longest_years} years` : `some ${years} years`;
}
