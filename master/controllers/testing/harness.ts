import type { Clock } from "#shared/client/clock.ts";
import { type ControllerDefinition, type RunningController, runController } from "#shared/client/controller.ts";
import { type EventRecorder, type EventToRecord, referenceTo } from "#shared/client/event-recorder.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import { MemoryClient } from "./memory-client.ts";

/** Controllers at work on a store in memory, with the events that they record. */
export class Harness {
  readonly client = new MemoryClient();
  readonly informers = new InformerFactory(this.client);
  readonly recorded: string[] = [];
  readonly events: EventRecorder = {
    record: (about, { type, reason, message }: EventToRecord) => {
      const { kind, name } = referenceTo(about);
      this.recorded.push(`${type} ${kind}/${name} ${reason}: ${message}`);
    },
  };
  readonly #running: RunningController[] = [];

  constructor() {
    this.informers.start();
  }

  async run(definition: ControllerDefinition, clock?: Clock): Promise<RunningController> {
    const running = await runController(definition, {
      client: this.client,
      informers: this.informers,
      events: this.events,
      clock,
    });
    this.#running.push(running);
    return running;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map((one) => one.stop()));
    await this.informers.stop();
  }
}
