/** A run by one seed: clients and watches at work while the servers meet with faults. */
import { HttpClient } from "#shared/client/http-client.ts";
import { until } from "#shared/testing/until.ts";
import { Random } from "../fuzz/random.ts";
import { HistoryClient, type Surroundings } from "./client.ts";
import { ask, finish } from "./finale.ts";
import type { History } from "./history.ts";
import { namespaces, plainNamespace, quotaHard, quotaNamespace, widgetDefinition } from "./resources.ts";
import type { Servers } from "./servers.ts";
import { HistoryWatcher } from "./watcher.ts";

export interface RunOptions {
  readonly seed: number;
  readonly clients: number;
  readonly watchers: number;
  /** Of all clients together. */
  readonly operations: number;
  readonly faults: number;
}

/** Namespaces, a quota in one of them, and the custom kind, served by every server. */
export async function prepare(servers: Servers): Promise<void> {
  const clientOf = async (server: number): Promise<HttpClient> => {
    const { url, credentials } = await servers.addressOf(server);
    return new HttpClient({ servers: [url], credentials: () => credentials });
  };
  const first = await clientOf(0);
  const address = await servers.addressOf(0);
  const post = (path: string, body: object): Promise<unknown> => ask(address, { method: "POST", path, body });
  await post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", widgetDefinition);
  for (const name of namespaces)
    await post("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  for (const name of namespaces)
    await until(`${name} has its service account`, () =>
      first.raw({ method: "GET", path: `/api/v1/namespaces/${name}/serviceaccounts/default` }).then(() => true),
    );
  await post(`/api/v1/namespaces/${quotaNamespace}/resourcequotas`, {
    metadata: { name: "quota" },
    spec: { hard: Object.fromEntries(Object.entries(quotaHard).map(([name, count]) => [name, String(count)])) },
  });
  for (let server = 0; server < servers.count; server += 1) {
    const client = await clientOf(server);
    const path = `/apis/histories.test/v1/namespaces/${plainNamespace}/widgets`;
    await until("the custom kind is served", () => client.raw({ method: "GET", path }).then(() => true));
  }
}

export async function run(servers: Servers, options: RunOptions): Promise<History> {
  const random = new Random(options.seed);
  const seeded = (): Random => new Random(random.below(2 ** 31));
  const connections = new Connections();
  let moments = 0;
  const surroundings: Surroundings = {
    servers: servers.count,
    addressOf: (server) => servers.addressOf(server),
    moment: () => ++moments,
    get cut() {
      return connections.cut;
    },
  };
  const clients = Array.from({ length: options.clients }, (_, n) => new HistoryClient(n, seeded(), surroundings));
  const watchers = Array.from({ length: options.watchers }, () => new HistoryWatcher(seeded(), surroundings));
  const faults = new Faults(servers, seeded(), connections, options);
  const over = new AbortController();
  let left = options.operations;
  const working = clients.map(async (client) => {
    while (left-- > 0) {
      await client.step();
      faults.noteOperation();
    }
  });
  const watching = watchers.map(async (watcher) => {
    while (!over.signal.aborted) await watcher.step(over.signal);
  });
  await Promise.all(working);
  await faults.ended();
  over.abort();
  await Promise.all(watching);
  const lists = await finish(surroundings);
  const changes = await servers.end();
  return {
    changes,
    calls: [...clients.flatMap(({ calls }) => calls), ...lists],
    watches: watchers.flatMap(({ watches }) => watches),
  };
}

class Connections {
  #next = new AbortController();

  get cut(): AbortSignal {
    return this.#next.signal;
  }

  cutAll(): void {
    const cut = this.#next;
    this.#next = new AbortController();
    cut.abort();
  }
}

export const faultKinds = ["kill", "killStore", "compact", "freeze", "split", "cut"] as const;

type Fault = (typeof faultKinds)[number];

/** Of a freeze: splits then last both less and more than the store goes on trying a write. */
const SPLIT_LASTS = 4;

/** Faults spread over a run's operations, one after the other. */
class Faults {
  readonly #servers: Servers;
  readonly #random: Random;
  readonly #connections: Connections;
  readonly #every: number;
  readonly #coming: Fault[] = [];
  #operations = 0;
  #under: Promise<void> = Promise.resolve();

  constructor(servers: Servers, random: Random, connections: Connections, { operations, faults }: RunOptions) {
    this.#servers = servers;
    this.#random = random;
    this.#connections = connections;
    this.#every = faults === 0 ? Number.POSITIVE_INFINITY : Math.ceil(operations / (faults + 1));
  }

  noteOperation(): void {
    this.#operations += 1;
    if (this.#operations % this.#every !== 0) return;
    // All of them before any comes again, so that short runs meet each.
    if (this.#coming.length === 0) this.#coming.push(...faultKinds);
    const [fault = "kill"] = this.#coming.splice(this.#random.below(this.#coming.length), 1);
    const server = this.#random.below(this.#servers.count);
    const duration_ms = this.#random.between(1_000, 3_000);
    this.#under = this.#under.then(() => this.#make(fault, server, duration_ms));
  }

  async #make(fault: Fault, server: number, duration_ms: number): Promise<void> {
    switch (fault) {
      case "kill":
        return this.#servers.kill(server);
      case "killStore":
        return this.#servers.killStore();
      case "freeze":
        return this.#servers.freeze(server, duration_ms);
      case "split":
        return this.#servers.split(server, SPLIT_LASTS * duration_ms);
      case "cut":
        return this.#connections.cutAll();
      case "compact":
        return this.#servers.compact();
    }
  }

  ended(): Promise<void> {
    return this.#under;
  }
}
