import type { KubeObject } from "#shared/api/object.ts";
import type { Clock } from "#shared/client/clock.ts";
import { type ControllerDefinition, type RunningController, runController } from "#shared/client/controller.ts";
import { type EventRecorder, type EventToRecord, referenceTo } from "#shared/client/event-recorder.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import type { ResourceDeclaration } from "../../apiserver/registry/declaration.ts";
import { builtinDeclarations } from "../../apiserver/resources/index.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { openMemoryStore } from "../../store/testing/memory-store.ts";
import { MemoryClient } from "./memory-client.ts";
import { RecordingClient, type TestClient } from "./recording-client.ts";

/** Controllers at work on a store in memory, with the events that they record. */
export class Harness<C extends TestClient = MemoryClient> {
  readonly client: C;
  readonly informers: InformerFactory;
  readonly recorded: string[] = [];
  readonly events: EventRecorder = {
    record: (about, { type, reason, message }: EventToRecord) => {
      const { kind, name } = referenceTo(about);
      this.recorded.push(`${type} ${kind}/${name} ${reason}: ${message}`);
    },
  };
  readonly #running: RunningController[] = [];
  readonly #ending = new AbortController();
  readonly #close: () => Promise<void>;

  /** Without arguments on the double; tests use `onApiServer`. */
  constructor(client: C = new MemoryClient() as TestClient as C, close: () => Promise<void> = async () => undefined) {
    this.client = client;
    this.#close = close;
    this.informers = new InformerFactory(client);
    this.informers.start();
  }

  /** On the real API server with its defaults and validation, without admission, as somebody who may do everything. An
   *  object may be created with its status: tests say in one go how things stand, and no controller sees half of it. */
  static async onApiServer(): Promise<Harness<RecordingClient>> {
    const store = openMemoryStore();
    const server = new ApiServer({
      store,
      declarations: builtinDeclarations.map(takingStatus),
      guards: () => ({
        authenticator: { authenticate: async () => undefined },
        authorizer: { authorize: async () => ({ outcome: "allow", reason: "" }) },
        admission: [],
      }),
    });
    await server.start();
    const client = server.client({ name: "test", groups: ["system:masters"] });
    return new Harness(new RecordingClient(client), async () => {
      server.stop();
      await store.close();
    });
  }

  /** Aborted when it stops: for what a test has running beside the controllers. */
  get ending(): AbortSignal {
    return this.#ending.signal;
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
    this.#ending.abort();
    await Promise.all(this.#running.map((one) => one.stop()));
    await this.informers.stop();
    await this.#close();
  }
}

/** The declaration, but what is created keeps the status that it brings, over the one that it would be given. */
function takingStatus(declaration: ResourceDeclaration): ResourceDeclaration {
  const { strategy } = declaration;
  if (!strategy?.hasStatus) return declaration;
  const prepareForCreate = (draft: KubeObject & { status?: object }): void => {
    const brought = structuredClone(draft.status);
    strategy.prepareForCreate?.(draft);
    if (brought) draft.status = { ...draft.status, ...brought };
  };
  return { ...declaration, strategy: { ...strategy, keepsStatusOnCreate: true, prepareForCreate } };
}
