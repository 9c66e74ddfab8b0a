/** What a board used before the page was opened: the board itself keeps it, and is asked while somebody looks. */
import type { BoardHistory, UsageSample } from "#master/metrics/board-history-resource.ts";
import { getJson } from "./request.ts";

export type Measure = Exclude<keyof UsageSample, "time">;

/** Oldest first; empty while the board is away. Throws ApiError. */
export async function boardHistory(name: string): Promise<readonly UsageSample[]> {
  return (await getJson<BoardHistory>(`/apis/bramble.dev/v1/boardhistories/${name}`)).status.samples;
}
