/** What a plugin that may be asked again remembers of its first round: of its webhooks, or of its policies. */
import type { AdmissionAttributes } from "./admission.ts";

export class ReinvocationMemory {
  readonly #again = new Set<string>();
  readonly #called = new Set<string>();
  /** What the object looked like when the plugin was done with it. */
  #output = "";

  /** Of this write, under the plugin's name. */
  static of({ reinvocation }: AdmissionAttributes, name: string): ReinvocationMemory {
    const known = reinvocation?.memory.get(name);
    if (known instanceof ReinvocationMemory) return known;
    const fresh = new ReinvocationMemory();
    reinvocation?.memory.set(name, fresh);
    return fresh;
  }

  /** To be told first in each round: where others have changed the object since, all that may be are asked again. */
  begin({ reinvocation, object }: AdmissionAttributes): void {
    if (reinvocation?.round === 1 && this.#output !== JSON.stringify(object)) this.requireAgain();
  }

  end({ object }: AdmissionAttributes): void {
    this.#output = JSON.stringify(object);
  }

  /** Whether it is asked in this round. */
  isAsked({ reinvocation }: AdmissionAttributes, id: string): boolean {
    return reinvocation?.round !== 1 || this.#again.has(id);
  }

  /** It may be asked again, should the object be changed from now on. */
  mayAskAgain(id: string): void {
    this.#called.add(id);
  }

  /** The object has been changed. */
  requireAgain(): void {
    for (const id of this.#called) this.#again.add(id);
    this.#called.clear();
  }
}
