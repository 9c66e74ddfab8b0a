import type { CpuSet } from "./cpu-set.ts";
import type { Cpu, CpuTopology } from "./cpu-topology.ts";

/** There are fewer than are asked for. Worded as upstream. */
export class TooFewCpus extends Error {
  override readonly name = "TooFewCpus";
}

/**
 * Chooses CPUs so that they lie close together, as upstream's packed strategy: whole sockets, then whole cores, then what is left
 * of cores that others share already (pure). Throws TooFewCpus.
 */
export function takeCpus({ cpus }: CpuTopology, available: CpuSet, count: number): CpuSet {
  if (available.size < count)
    throw new TooFewCpus(
      `not enough cpus available to satisfy request: requested=${count}, available=${available.size}`,
    );
  const taken = new Set<number>();
  const free = (): Cpu[] => cpus.filter(({ id }) => available.has(id) && !taken.has(id));
  const takeWhole = (groupOf: (cpu: Cpu) => string): void => {
    const whole = groups(cpus, groupOf);
    for (const [name, own] of fullestLast(free(), groupOf)) {
      const all = whole.get(name) ?? [];
      if (own.length === all.length && all.length <= count - taken.size) for (const { id } of all) taken.add(id);
    }
  };
  takeWhole(({ socket }) => String(socket));
  takeWhole(({ core }) => core);
  for (const [, ofSocket] of fullestLast(free(), ({ socket }) => String(socket)))
    for (const [, ofCore] of fullestLast(ofSocket, ({ core }) => core))
      for (const { id } of ofCore) if (taken.size < count) taken.add(id);
  return taken;
}

function groups(cpus: readonly Cpu[], groupOf: (cpu: Cpu) => string): Map<string, Cpu[]> {
  const found = new Map<string, Cpu[]>();
  for (const cpu of cpus) found.set(groupOf(cpu), [...(found.get(groupOf(cpu)) ?? []), cpu]);
  return found;
}

/** Groups of which less is left come first; the sort is stable, so that otherwise their order is that of the CPUs. */
const fullestLast = (cpus: readonly Cpu[], groupOf: (cpu: Cpu) => string): [string, Cpu[]][] =>
  [...groups(cpus, groupOf)].sort(([, a], [, b]) => a.length - b.length);
