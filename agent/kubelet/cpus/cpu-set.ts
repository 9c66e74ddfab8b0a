/** CPUs by their numbers, in the kernel's list format: `0-3,5`. */
export type CpuSet = ReadonlySet<number>;

const largest = 8191;

/** Throws RangeError for text that is no list. */
export function parseCpuSet(text: string): CpuSet {
  const cpus = new Set<number>();
  for (const part of text.trim() === "" ? [] : text.trim().split(",")) {
    const [, first = "", last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim()) ?? [];
    if (first === "" || Number(last) < Number(first) || Number(last) > largest)
      throw new RangeError(`invalid range ${JSON.stringify(part)} of CPUs`);
    for (let cpu = Number(first); cpu <= Number(last); cpu++) cpus.add(cpu);
  }
  return cpus;
}

export function formatCpuSet(cpus: Iterable<number>): string {
  const ranges: [number, number][] = [];
  for (const cpu of inOrder(cpus)) {
    const last = ranges.at(-1);
    if (last && last[1] === cpu - 1) last[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(",");
}

export const inOrder = (cpus: Iterable<number>): number[] => [...cpus].sort((a, b) => a - b);

/** Those of the first that are not in the second. */
export const without = (cpus: CpuSet, others: CpuSet): CpuSet => new Set([...cpus].filter((cpu) => !others.has(cpu)));

export const together = (...sets: readonly CpuSet[]): CpuSet => new Set(sets.flatMap((set) => [...set]));

export const sameCpus = (a: CpuSet, b: CpuSet): boolean => a.size === b.size && [...a].every((cpu) => b.has(cpu));
