import { usableMemory } from "./usable-memory.ts";

const MiB = 1024 * 1024;

/** How much this process keeps that it could do without; read where it is kept. */
export interface CacheBounds {
  /** Of each resource: events for watches that resume, and the characters of their objects. */
  readonly watchEvents: number;
  readonly watchText: number;
  /** Lists that were compressed a moment ago. */
  readonly listPieces_bytes: number;
  /** Lists that several clients are being sent right now. */
  readonly sharedLists_bytes: number;
  /** Bodies of requests that are on their way or not answered yet. */
  readonly bodies_bytes: number;
  /** Characters of objects' text that rest as they are; what was written before is packed. */
  readonly looseText: number;
  /** Characters of text whose parsed views are kept; a view takes about three times its text. */
  readonly viewedText: number;
  /** Means of five minutes of what the board used. */
  readonly usageMeans: number;
  /** Growth since the last collection after which a quiet process collects. */
  readonly collect_bytes: number;
  /** How eagerly the engine compiles what runs often; 1: as it does by itself. */
  readonly eagerness: number;
}

const usual: CacheBounds = {
  watchEvents: 4096,
  watchText: 4 * MiB,
  listPieces_bytes: 8 * MiB,
  sharedLists_bytes: 16 * MiB,
  bodies_bytes: 32 * MiB,
  looseText: 32 * MiB,
  viewedText: 3 * MiB,
  usageMeans: 144,
  collect_bytes: 8 * MiB,
  eagerness: 1,
};

const low: CacheBounds = {
  watchEvents: 1024,
  watchText: MiB / 2,
  listPieces_bytes: MiB / 2,
  sharedLists_bytes: MiB,
  bodies_bytes: 8 * MiB,
  looseText: 4 * MiB,
  viewedText: MiB / 2,
  usageMeans: 24,
  collect_bytes: 2 * MiB,
  eagerness: 1 / 16,
};

let present = usual;

/** As the process was started. */
export const cacheBounds = (): CacheBounds => present;

/** A board of 512 MB, of which the firmware leaves 416 to 480. */
const small_bytes = 700 * MiB;

export type LowMemory = "auto" | "on" | "off";

/** Trims what is kept, if asked for, or on a board with little memory. Called once, before anything is kept.
 *  @returns whether it was trimmed. */
export function boundCaches(lowMemory: LowMemory, memory_bytes = usableMemory()): boolean {
  const isLow = lowMemory === "on" || (lowMemory === "auto" && memory_bytes < small_bytes);
  present = isLow ? low : usual;
  return isLow;
}
