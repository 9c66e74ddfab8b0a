import type { Client } from "#shared/client/client.ts";
import type { Clock } from "#shared/client/clock.ts";
import { type ControllerDefinition, type RunningController, runController } from "#shared/client/controller.ts";
import { ApiEventRecorder } from "#shared/client/event-recorder.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import { type Log, silentLog } from "#shared/client/log.ts";
import { tellAlso } from "#shared/metrics/process-families.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { upstreamName } from "./chosen-controllers.ts";
import { controllerFamilies } from "./controller-counts.ts";

/** Something of the controller manager that is no queue with a function: it starts and stops. */
export interface Service {
  readonly name: string;
  readonly serviceAccount: string;
  start(dependencies: ServiceDependencies): Promise<{ stop(): Promise<void> }>;
}

export interface ServiceDependencies {
  readonly client: Client;
  readonly informers: InformerFactory;
  readonly clock?: Clock | undefined;
  readonly log: Log;
}

export interface ControllerManagerOptions {
  /** Reads for the informers that all share; needs list and watch on everything (system:kube-controller-manager). */
  readonly client: Client;
  /** Each controller writes as the service account of kube-system that bears its name. */
  clientFor(serviceAccount: string): Client;
  /** Made for this run: what a controller remembers from one look to the next stands in its definition. */
  readonly controllers: readonly ControllerDefinition[];
  readonly services?: readonly Service[] | undefined;
  /** Shared with other components of the process; the manager makes and starts its own when absent. */
  readonly informers?: InformerFactory | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  /** What is counted of the shared caches when somebody asks. */
  readonly families?: ((informers: InformerFactory) => Family[]) | undefined;
}

/** The service account's user as authorisation sees it. */
export function controllerUser(serviceAccount: string): { name: string; groups: string[] } {
  return {
    name: `system:serviceaccount:kube-system:${serviceAccount}`,
    groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
  };
}

/** Runs all controllers on one set of caches. One that cannot start is reported and does not hold up the others. */
export class ControllerManager {
  readonly #options: ControllerManagerOptions;
  readonly #informers: InformerFactory;
  readonly #log: Log;
  readonly #running: { readonly name: string; stop(): Promise<void> }[] = [];
  readonly #starting: Promise<void>[] = [];
  readonly #startingSomeDay: Promise<void>[] = [];
  readonly #failed: string[] = [];
  #tellNoMore: (() => void) | undefined;
  #state: "starting" | "running" | "ending" = "starting";
  #stopping: Promise<void> | undefined;

  constructor(options: ControllerManagerOptions) {
    this.#options = options;
    this.#log = (options.log ?? silentLog).named("controller-manager");
    this.#informers =
      options.informers ?? new InformerFactory(options.client, { clock: options.clock, log: this.#log });
  }

  /** Resolves when every controller that is not optional runs (or has failed to start, which the log tells). */
  async start(): Promise<void> {
    this.#tellNoMore = tellAlso(() => [...controllerFamilies(), ...(this.#options.families?.(this.#informers) ?? [])]);
    if (!this.#options.informers) this.#informers.start();
    for (const definition of this.#options.controllers) {
      const starting = definition.isOptional ? this.#startingSomeDay : this.#starting;
      starting.push(this.#begin(definition.name, () => this.#runController(definition)));
    }
    for (const service of this.#options.services ?? []) {
      const log = this.#log.named(service.name);
      const client = this.#options.clientFor(service.serviceAccount);
      const begin = async () => {
        const { clock } = this.#options;
        const running = await service.start({ client, informers: this.#informers, clock, log });
        return { name: service.name, stop: () => running.stop() };
      };
      this.#starting.push(this.#begin(service.name, begin));
    }
    await Promise.all(this.#starting);
    if (this.#state === "starting") this.#state = "running";
  }

  /** Resolves with "ok" while all of them run. Rejects with what is missing. */
  async check(): Promise<string> {
    if (this.#state !== "running") throw new Error(`controllers are ${this.#state}`);
    if (this.#failed.length > 0) throw new Error(`did not start: ${this.#failed.join(", ")}`);
    return "ok";
  }

  /** How each controller that is not optional is, by upstream's name of it. */
  checks(): Record<string, () => Promise<void>> {
    const { controllers, services = [] } = this.#options;
    const names = [...controllers.filter(({ isOptional }) => !isOptional), ...services].map(({ name }) => name);
    return Object.fromEntries(names.map((name) => [upstreamName(name), async () => this.#assertRuns(name)]));
  }

  #assertRuns(name: string): void {
    if (!this.#running.some((one) => one.name === name)) throw new Error("it does not run");
  }

  /** Also ends a start that is under way. Further calls wait for the first. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#state = "ending";
    this.#tellNoMore?.();
    if (!this.#options.informers) await this.#informers.stop();
    await Promise.all([...this.#starting, ...this.#startingSomeDay]);
    await Promise.all(
      this.#running.map(async (one) => {
        await one.stop();
        this.#log.debug("stopped", { controller: one.name });
      }),
    );
  }

  async #begin(name: string, start: () => Promise<{ readonly name: string; stop(): Promise<void> }>): Promise<void> {
    try {
      this.#running.push(await start());
    } catch (error) {
      this.#failed.push(name);
      // What is ended while it starts says so, too.
      if (this.#state !== "ending") this.#log.error(`${name} did not start`, { error });
    }
  }

  #runController(definition: ControllerDefinition): Promise<RunningController> {
    const { clock } = this.#options;
    const account = definition.serviceAccount ?? definition.name;
    const client = account === "" ? this.#options.client : this.#options.clientFor(account);
    const component = definition.eventSource ?? definition.name;
    const events = new ApiEventRecorder(client, { component, clock, log: this.#log });
    return runController(definition, { client, informers: this.#informers, events, clock, log: this.#log });
  }
}
