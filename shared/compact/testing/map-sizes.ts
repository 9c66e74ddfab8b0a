/** Prints by how many bytes 20,000 entries grow the heap, in the engine's own map and in a CompactMap. */
import { heapStats } from "bun:jsc";
import { CompactMap } from "../compact-map.ts";

const entries = Array.from({ length: 20_000 }, (_, index) => [`namespace-${index % 20}/pod-${index}`, index] as const);

/** @returns how much the heap has grown, and what must not be collected before it is known. */
function grownBy<T>(make: () => T): readonly [number, T] {
  Bun.gc(true);
  const before = heapStats().heapSize;
  const made = make();
  Bun.gc(true);
  return [heapStats().heapSize - before, made];
}

const [engines, own] = grownBy(() => new Map(entries));
const [compact, map] = grownBy(() => new CompactMap(entries));
if (own.size !== map.size) throw new Error("the maps hold different entries");
process.stdout.write(JSON.stringify({ engines, compact }));
