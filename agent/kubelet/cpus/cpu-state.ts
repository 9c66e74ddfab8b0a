import { existsSync } from "node:fs";
import { join } from "node:path";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { type CpuSet, formatCpuSet, parseCpuSet, sameCpus, together } from "./cpu-set.ts";

export const stateFile = "cpu_manager_state";

/** Who has which CPUs. */
export interface CpuState {
  /** Where everybody else runs. */
  readonly shared: CpuSet;
  /** By UID of the pod and name of the container. */
  readonly exclusive: ReadonlyMap<string, ReadonlyMap<string, CpuSet>>;
}

/** The state that was left does not fit the board or its settings. Worded as upstream. */
export class CpuStateError extends Error {
  override readonly name = "CpuStateError";
}

interface StateFile {
  readonly policyName: string;
  readonly defaultCpuSet: string;
  readonly entries?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Reads `cpu_manager_state`, as upstream's kubelet writes it; undefined: nothing was given out yet. Throws CpuStateError. */
export async function readCpuState(path: string, policyName: string): Promise<CpuState | undefined> {
  const content = await readIfPresent(path);
  if (content === undefined) return undefined;
  try {
    const file = JSON.parse(content) as StateFile;
    if (file.policyName !== policyName)
      throw new CpuStateError(
        `configured policy "${policyName}" differs from state checkpoint policy "${file.policyName}"`,
      );
    const entries = Object.entries(file.entries ?? {}).map(([uid, containers]): [string, Map<string, CpuSet>] => [
      uid,
      new Map(Object.entries(containers).map(([name, cpus]) => [name, parseCpuSet(cpus)])),
    ]);
    return { shared: parseCpuSet(file.defaultCpuSet), exclusive: new Map(entries) };
  } catch (error) {
    const message = `could not restore state from checkpoint: ${(error as Error).message}, please drain this node and delete the CPU manager checkpoint file "${path}" before restarting Kubelet`;
    throw new CpuStateError(message, { cause: error });
  }
}

/** Where no CPUs are given out, none may have been. Rejects with CpuStateError: what has them would keep them unseen. */
export async function refuseOtherPolicy(folder: string): Promise<void> {
  const path = join(folder, stateFile);
  const state = existsSync(path) ? await readCpuState(path, "static").catch(() => undefined) : undefined;
  if (!state || state.exclusive.size === 0) return;
  throw new CpuStateError(
    `could not restore state from checkpoint: configured policy "none" differs from state checkpoint policy "static", please drain this node and delete the CPU manager checkpoint file "${path}" before restarting Kubelet`,
  );
}

/** In the form of upstream's; a checksum of 0 is one that nobody has made. */
export async function writeCpuState(path: string, policyName: string, { shared, exclusive }: CpuState): Promise<void> {
  const entries = Object.fromEntries(
    [...exclusive].map(([uid, containers]) => [
      uid,
      Object.fromEntries([...containers].map(([name, cpus]) => [name, formatCpuSet(cpus)])),
    ]),
  );
  const file = { policyName, defaultCpuSet: formatCpuSet(shared), entries, checksum: 0 };
  await writeSecureFile(path, JSON.stringify(file));
}

/** Throws CpuStateError where the state cannot be one of this board. */
export function checkCpuState(
  { shared, exclusive }: CpuState,
  board: { readonly all: CpuSet; readonly reserved: CpuSet; readonly keepsReserved: boolean },
): void {
  const { all, reserved, keepsReserved } = board;
  const kept = [...reserved].filter((cpu) => shared.has(cpu));
  if (keepsReserved && kept.length > 0)
    throw new CpuStateError(
      `some of strictly reserved cpus: "${formatCpuSet(kept)}" are present in defaultCpuSet: "${formatCpuSet(shared)}"`,
    );
  if (!keepsReserved && kept.length < reserved.size)
    throw new CpuStateError(
      `not all reserved cpus: "${formatCpuSet(reserved)}" are present in defaultCpuSet: "${formatCpuSet(shared)}"`,
    );
  const given: CpuSet[] = [];
  for (const [pod, containers] of exclusive)
    for (const [container, cpus] of containers) {
      if ([...cpus].some((cpu) => shared.has(cpu)))
        throw new CpuStateError(
          `pod: ${pod}, container: ${container} cpuset: "${formatCpuSet(cpus)}" overlaps with default cpuset "${formatCpuSet(shared)}"`,
        );
      given.push(cpus);
    }
  const known = together(shared, ...given);
  const wanted = keepsReserved ? new Set([...all].filter((cpu) => !reserved.has(cpu))) : all;
  if (!sameCpus(known, wanted))
    throw new CpuStateError(
      `current set of available CPUs "${formatCpuSet(wanted)}" doesn't match with CPUs in state "${formatCpuSet(known)}"`,
    );
}
