import type { KubeObject } from "#shared/api/object.ts";
import { apiServices, customResourceDefinitions } from "#shared/api/resources.ts";
import { type Clock, systemClock } from "#shared/client/clock.ts";
import { workOn } from "#shared/client/controller.ts";
import type { DiscoveredResource, ResourceMapper } from "#shared/client/discovery.ts";
import { ApiEventRecorder } from "#shared/client/event-recorder.ts";
import { type Informer, openInformer } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import type { Service, ServiceDependencies } from "../manager.ts";
import { Collector } from "./collector.ts";
import { type GraphWork, graphNode, OwnerGraph } from "./graph.ts";

const workers = 8;
/** Kinds come and go in bursts when an operator is installed. */
const settle_ms = 500;
/** A new kind may appear in discovery only a little after its definition says so; a group that failed may be back. */
const lookAgain_ms = [3_000, 30_000];

/** Owned objects nobody collects: events go by their age. */
const ignored = new Set(["/events", "events.k8s.io/events"]);

/** Deletes objects whose owners are gone, over every resource that the server has, custom ones too. */
export function garbageCollector(mapper: ResourceMapper): Service {
  return {
    name: "garbage-collector-controller",
    serviceAccount: "generic-garbage-collector",
    async start(dependencies) {
      const collector = new GarbageCollector(mapper, dependencies);
      await collector.start();
      return collector;
    },
  };
}

class GarbageCollector {
  readonly #mapper: ResourceMapper;
  readonly #dependencies: ServiceDependencies;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #graph = new OwnerGraph();
  readonly #examine: WorkQueue;
  readonly #orphan: WorkQueue;
  readonly #collector: Collector;
  readonly #monitors = new Map<string, Informer<KubeObject>>();
  readonly #detach: (() => void)[] = [];
  readonly #workers: Promise<void>[] = [];
  #cancelSync: (() => void) | undefined;
  #syncing: Promise<void> | undefined;
  #stopped = false;

  constructor(mapper: ResourceMapper, dependencies: ServiceDependencies) {
    const { client, clock = systemClock, log } = dependencies;
    this.#mapper = mapper;
    this.#dependencies = dependencies;
    this.#clock = clock;
    this.#log = log;
    this.#examine = new WorkQueue({ clock, name: "garbage_collector_attempt_to_delete" });
    this.#orphan = new WorkQueue({ clock, name: "garbage_collector_attempt_to_orphan" });
    this.#collector = new Collector({
      client,
      graph: this.#graph,
      mapper,
      events: new ApiEventRecorder(client, { component: "garbage-collector-controller", clock, log }),
      examine: (uid) => this.#examine.add(uid),
    });
  }

  async start(): Promise<void> {
    await this.#sync(0);
    const { informers } = this.#dependencies;
    for (const ref of [customResourceDefinitions, apiServices])
      this.#detach.push(informers.informer<KubeObject>(ref).addHandler(() => this.#syncSoon(settle_ms, 0)));
    // Owners that are known need not be asked for. Nothing is wrong without, only slower: one kind that cannot be read
    // must not hold up the others.
    const waited = Promise.all([...this.#monitors.values()].map((monitor) => monitor.synced));
    await Promise.race([
      waited.catch(() => undefined),
      new Promise<void>((resolve) => this.#clock.after(30_000, resolve)),
    ]);
    for (let count = 0; count < workers; count++) {
      this.#workers.push(workOn(this.#examine, (uid) => this.#collector.examine(uid), this.#log));
      this.#workers.push(workOn(this.#orphan, (uid) => this.#collector.orphan(uid), this.#log));
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelSync?.();
    for (const end of this.#detach) end();
    await this.#syncing;
    this.#examine.shutDown();
    this.#orphan.shutDown();
    await Promise.all([...this.#monitors.values()].map((monitor) => monitor.stop()));
    await Promise.all(this.#workers);
  }

  #syncSoon(delay_ms: number, round: number): void {
    if (this.#stopped) return;
    this.#cancelSync?.();
    this.#cancelSync = this.#clock.after(delay_ms, () => {
      this.#syncing = this.#sync(round).catch((error: unknown) =>
        this.#log.warn("cannot tell what resources there are", { error }),
      );
    });
  }

  /** Makes the monitors those of the resources that the server has now. */
  async #sync(round: number): Promise<void> {
    const next_ms = lookAgain_ms[round];
    if (round > 0 || this.#monitors.size > 0) {
      if (next_ms !== undefined) this.#syncSoon(next_ms, round + 1);
    }
    const { resources, failures } = await this.#mapper.refresh();
    if (this.#stopped) return;
    const wanted = new Map(resources.filter(isCollectable).map((resource) => [id(resource), resource]));
    for (const [key, monitor] of this.#monitors) {
      // A group that does not answer just now is not gone.
      if (wanted.has(key) || failures.size > 0) continue;
      this.#monitors.delete(key);
      for (const { metadata } of monitor.lister.list()) this.#do(this.#graph.delete(metadata.uid ?? ""));
      await monitor.stop();
    }
    for (const [key, resource] of wanted) if (!this.#monitors.has(key)) this.#monitor(key, resource);
    if (failures.size > 0) this.#syncSoon(lookAgain_ms.at(-1) ?? 30_000, lookAgain_ms.length - 1);
  }

  #monitor(key: string, { ref }: DiscoveredResource): void {
    const { client } = this.#dependencies;
    const informer = openInformer(client, ref, { transform: metadataOnly, clock: this.#clock, log: this.#log });
    informer.addHandler(({ type, object }) => {
      if (type === "delete") this.#do(this.#graph.delete(object.metadata.uid ?? ""));
      else this.#do(this.#graph.put(graphNode(ref, object)));
    });
    this.#monitors.set(key, informer);
    informer.start();
  }

  #do({ examine, orphan }: GraphWork): void {
    for (const uid of examine) this.#examine.add(uid);
    for (const uid of orphan) this.#orphan.add(uid);
  }
}

const id = ({ ref }: DiscoveredResource): string => `${ref.group}/${ref.plural}`;

const isCollectable = (resource: DiscoveredResource): boolean =>
  ["list", "watch", "delete"].every((verb) => resource.verbs.has(verb)) && !ignored.has(id(resource));

/** All that the graph is made of; labels, specs and the rest never enter the cache. */
function metadataOnly({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, ownerReferences, finalizers, deletionTimestamp } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      uid,
      resourceVersion,
      ...(namespace ? { namespace } : {}),
      ...(ownerReferences ? { ownerReferences } : {}),
      ...(finalizers ? { finalizers } : {}),
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
    },
  };
}
