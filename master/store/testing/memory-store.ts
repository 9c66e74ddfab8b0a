import { applyWrite, type Outcome, type Write } from "../engine.ts";
import { answerRead, type EngineLink, EngineStore, type ReadableEngine, type ReadRequest } from "../engine-store.ts";
import { MemoryEngine } from "../memory-engine.ts";
import type { Revision, Store } from "../store.ts";

class NumberedMemoryEngine extends MemoryEngine implements ReadableEngine {
  now: Revision = 0;
}

class MemoryLink implements EngineLink {
  readonly #engine = new NumberedMemoryEngine();
  #onOutcomes: (outcomes: readonly Outcome[]) => void = () => undefined;

  start(onOutcomes: (outcomes: readonly Outcome[]) => void): void {
    this.#onOutcomes = onOutcomes;
  }

  commit(writes: readonly Write[]): void {
    const next = (): Revision => {
      this.#engine.now += 1;
      return this.#engine.now;
    };
    this.#onOutcomes(writes.map((write) => applyWrite(this.#engine, write, next)));
  }

  async read(request: ReadRequest): Promise<unknown> {
    return answerRead(this.#engine, request);
  }

  async close(): Promise<void> {
    return undefined;
  }
}

/** A Store in this process's memory, with a bounded history: for tests. */
export function openMemoryStore(): Store {
  return new EngineStore(new MemoryLink());
}
