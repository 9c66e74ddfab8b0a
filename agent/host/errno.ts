import { constants } from "node:os";

const names = new Map<number, string>(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** The name of an errno of this system, such as EBUSY; UNKNOWN for one that is not in the table. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? "UNKNOWN";
}
