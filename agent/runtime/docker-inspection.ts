import type Docker from "dockerode";
import { ifFound } from "./docker-errors.ts";

interface Seen {
  readonly state: string;
  readonly details: Docker.ContainerInspectInfo;
}

const parallelInspects = 8;

/**
 * Docker's list lacks exit codes, times and PIDs, and asking for each container at every resync would keep a small
 * board busy. So the answers are kept for as long as the listed state stays the same, and dropped when an event or one
 * of our own requests concerns the container. Bounded by the containers that exist.
 */
export class Inspections {
  readonly #seen = new Map<string, Seen>();
  /** Counts `forget`s, so that an answer that was under way meanwhile is not kept. */
  #generation = 0;

  constructor(private readonly docker: Docker) {}

  forget(id: string): void {
    this.#generation++;
    this.#seen.delete(id);
  }

  forgetAll(): void {
    this.#generation++;
    this.#seen.clear();
  }

  /** Details of all that are listed, by id; without those that vanished meanwhile. */
  async of(listed: readonly Docker.ContainerInfo[]): Promise<Map<string, Docker.ContainerInspectInfo>> {
    const details = new Map<string, Docker.ContainerInspectInfo>();
    const missing: string[] = [];
    for (const { Id, State } of listed) {
      const seen = this.#seen.get(Id);
      if (seen !== undefined && seen.state === State) details.set(Id, seen.details);
      else missing.push(Id);
    }
    const inspectNext = async (): Promise<void> => {
      for (let id = missing.pop(); id !== undefined; id = missing.pop()) {
        const found = await this.one(id);
        if (found !== undefined) details.set(id, found);
      }
    };
    await Promise.all(Array.from({ length: Math.min(parallelInspects, missing.length) }, inspectNext));
    return details;
  }

  /** Asks Docker, always. undefined: no such container. */
  async one(id: string): Promise<Docker.ContainerInspectInfo | undefined> {
    const generation = this.#generation;
    const details = await ifFound(`inspect container ${id}`, () => this.docker.getContainer(id).inspect());
    if (details === undefined) this.#seen.delete(id);
    else if (generation === this.#generation) this.#seen.set(id, { state: details.State.Status, details });
    return details;
  }

  /** What does not change in a container's life (its configuration): asks Docker only once. */
  async configured(id: string): Promise<Docker.ContainerInspectInfo | undefined> {
    return this.#seen.get(id)?.details ?? (await this.one(id));
  }

  /** Forgets all but the containers that exist. */
  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id);
  }
}
