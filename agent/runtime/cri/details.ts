import { KeptDetails } from "../kept-details.ts";
import { RuntimeError } from "../runtime.ts";
import type { CriClient } from "./client.ts";
import * as wire from "./messages.ts";
import { type Process, processOf } from "./verbose.ts";

export interface ContainerDetails extends Process {
  readonly status: wire.ContainerStatus;
}

export interface SandboxDetails extends Process {
  readonly status: wire.SandboxStatus;
}

export function containerDetails(client: CriClient): KeptDetails<ContainerDetails> {
  const types = [wire.IdWithVerbose, wire.ContainerStatusResponse] as const;
  return new KeptDetails(async (id) => {
    const call = { what: `inspect container ${id}` };
    const found = await client.runtimeIfFound("ContainerStatus", types, { id, verbose: true }, call);
    const { status, info } = found ?? {};
    return status && { state: status.state, details: { status, ...processOf(info) } };
  });
}

export function sandboxDetails(client: CriClient): KeptDetails<SandboxDetails> {
  const types = [wire.IdWithVerbose, wire.SandboxStatusResponse] as const;
  return new KeptDetails(async (id) => {
    const call = { what: `inspect sandbox ${id}` };
    const found = await client.runtimeIfFound("PodSandboxStatus", types, { id, verbose: true }, call);
    const { status, info } = found ?? {};
    return status && { state: status.state, details: { status, ...processOf(info) } };
  });
}

/** What was seen last of something that must be there. Rejects with RuntimeError not-found. */
export async function required<T>(details: KeptDetails<T>, what: string, id: string): Promise<T> {
  const found = await details.known(id);
  if (found === undefined) throw new RuntimeError("not-found", `no such ${what}: ${id}`);
  return found;
}
