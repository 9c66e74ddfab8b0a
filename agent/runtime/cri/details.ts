import { RuntimeError } from "../runtime.ts";
import type { CriClient } from "./client.ts";
import * as wire from "./messages.ts";
import { type Process, processOf } from "./verbose.ts";

/**
 * Lists of CRI lack exit codes, times and addresses, and asking for each at every resync would keep a small board busy. So
 * answers are kept for as long as the listed state stays the same, and dropped by events and by our own requests. Bounded by
 * what exists.
 */
export class Details<T> {
  readonly #seen = new Map<string, { readonly state: number; readonly details: T }>();
  /** Counts `forget`s, so that an answer that was under way meanwhile is not kept. */
  #generation = 0;

  /** @param ask undefined: there is no such thing any more. */
  constructor(private readonly ask: (id: string) => Promise<{ state: number; details: T } | undefined>) {}

  async of(id: string, state: number): Promise<T | undefined> {
    const seen = this.#seen.get(id);
    return seen?.state === state ? seen.details : await this.fresh(id);
  }

  /** Asks the runtime, always. */
  async fresh(id: string): Promise<T | undefined> {
    const generation = this.#generation;
    const found = await this.ask(id);
    if (found === undefined) this.#seen.delete(id);
    else if (generation === this.#generation) this.#seen.set(id, found);
    return found?.details;
  }

  /** What was seen last, of what does not change. */
  async known(id: string): Promise<T | undefined> {
    return this.#seen.get(id)?.details ?? (await this.fresh(id));
  }

  seen(id: string): T | undefined {
    return this.#seen.get(id)?.details;
  }

  forget(id: string): void {
    this.#generation++;
    this.#seen.delete(id);
  }

  forgetAll(): void {
    this.#generation++;
    this.#seen.clear();
  }

  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id);
  }
}

export interface ContainerDetails extends Process {
  readonly status: wire.ContainerStatus;
}

export interface SandboxDetails extends Process {
  readonly status: wire.SandboxStatus;
}

export function containerDetails(client: CriClient): Details<ContainerDetails> {
  const types = [wire.IdWithVerbose, wire.ContainerStatusResponse] as const;
  return new Details(async (id) => {
    const call = { what: `inspect container ${id}` };
    const found = await client.runtimeIfFound("ContainerStatus", types, { id, verbose: true }, call);
    const { status, info } = found ?? {};
    return status && { state: status.state, details: { status, ...processOf(info) } };
  });
}

export function sandboxDetails(client: CriClient): Details<SandboxDetails> {
  const types = [wire.IdWithVerbose, wire.SandboxStatusResponse] as const;
  return new Details(async (id) => {
    const call = { what: `inspect sandbox ${id}` };
    const found = await client.runtimeIfFound("PodSandboxStatus", types, { id, verbose: true }, call);
    const { status, info } = found ?? {};
    return status && { state: status.state, details: { status, ...processOf(info) } };
  });
}

/** What was seen last of something that must be there. Rejects with RuntimeError not-found. */
export async function required<T>(details: Details<T>, what: string, id: string): Promise<T> {
  const found = await details.known(id);
  if (found === undefined) throw new RuntimeError("not-found", `no such ${what}: ${id}`);
  return found;
}
