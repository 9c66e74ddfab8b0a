/** What servers behind APIServices last said to one question: asked again when somebody wants to know, but not all the time. */
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";

const FRESH_MS = 60_000;
const LONGEST_WAIT_MS = 3_600_000;

interface Kept<T> {
  answer?: T;
  /** The APIService that was asked by. */
  revision: string | undefined;
  /** Of the monotonic clock. */
  nextAt_ms: number;
  failures: number;
  asking?: Promise<void> | undefined;
}

export class KeptAnswers<T> {
  readonly #ask: (service: APIService, before: T | undefined) => Promise<T>;
  readonly #failed: (name: string, error: unknown) => void;
  readonly #kept = new Map<string, Kept<T>>();

  /** `ask` may throw: the answer before it holds, and the next time is the later the more often it failed. */
  constructor(
    ask: (service: APIService, before: T | undefined) => Promise<T>,
    failed: (name: string, error: unknown) => void,
  ) {
    this.#ask = ask;
    this.#failed = failed;
  }

  /** Answers of those services that ever gave one, in their order; what was kept of others is forgotten. */
  async all(services: readonly APIService[]): Promise<readonly (readonly [APIService, T])[]> {
    const names = new Set(services.map(nameOf));
    for (const name of this.#kept.keys()) if (!names.has(name)) this.#kept.delete(name);
    await Promise.all(services.map((service) => this.#look(service)));
    return services.flatMap((service) => {
      const answer = this.#kept.get(nameOf(service))?.answer;
      return answer === undefined ? [] : [[service, answer] as const];
    });
  }

  /** A change of the APIService, of its condition too, has its server asked at once. */
  #look(service: APIService): Promise<void> {
    const name = nameOf(service);
    const revision = service.metadata.resourceVersion;
    const kept = this.#kept.get(name) ?? { revision, nextAt_ms: 0, failures: 0 };
    this.#kept.set(name, kept);
    if (kept.revision !== revision) Object.assign(kept, { revision, nextAt_ms: 0, failures: 0 });
    if (performance.now() >= kept.nextAt_ms) {
      kept.asking ??= this.#askAnew(service, kept).finally(() => {
        kept.asking = undefined;
      });
    }
    return kept.asking ?? Promise.resolve();
  }

  async #askAnew(service: APIService, kept: Kept<T>): Promise<void> {
    try {
      kept.answer = await this.#ask(service, kept.answer);
      kept.failures = 0;
    } catch (error) {
      kept.failures += 1;
      this.#failed(nameOf(service), error);
    }
    // Another one of the APIService has to be asked by, which came meanwhile.
    if (kept.revision !== service.metadata.resourceVersion) return;
    const wait_ms = exponentialDelay_ms(Math.max(0, kept.failures - 1), FRESH_MS, LONGEST_WAIT_MS);
    kept.nextAt_ms = performance.now() + wait_ms;
  }
}

const nameOf = ({ metadata }: APIService): string => metadata.name ?? "";
