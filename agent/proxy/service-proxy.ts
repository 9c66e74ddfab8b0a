import { endpointSlices, serviceCIDRs, services } from "#shared/api/resources.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { type Clock, pause, systemClock } from "#shared/client/clock.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { type KeyOutcome, runQueueWorker } from "#shared/client/queue-worker.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import { tellAlso } from "#shared/metrics/process-families.ts";
import { HealthChecks, serviceHealth } from "./health-checks.ts";
import { ProxyCounts } from "./proxy-counts.ts";
import type { ProxyMode, ProxyNetwork } from "./proxy-mode.ts";
import { type NodeView, ServicePortCache, type TellLeftOut } from "./service-ports.ts";
import { addSliceIndexes, sliceByService } from "./slice-index.ts";
import { UsableValues } from "./usable-values.ts";

export type ProxyModeName = "iptables" | "userspace";

export interface ServiceProxyOptions {
  readonly informers: InformerFactory;
  /** One for each family of addresses. */
  readonly networks: readonly ProxyNetwork[];
  readonly mode: ProxyModeName;
  /** See foundSettingsFile. */
  readonly foundSettings?: string | undefined;
  /** Read at each sync: the zone may change. */
  readonly node: () => NodeView;
  readonly clock?: Clock | undefined;
  /** How a mode is made; `proxyMode` unless said otherwise. */
  readonly makeMode?: typeof proxyMode | undefined;
  readonly log: Log;
}

const sync = "sync";
/** Changes that come together are applied together. */
const gather_ms = 50;
/** Rules that somebody else removed are put back within this. */
const recheck_ms = 600_000;
/** A master that is being upgraded together with its boards is back within this. */
const serverPatience_ms = 30_000;

interface FamilyProxy {
  readonly network: ProxyNetwork;
  readonly mode: ProxyMode;
  readonly cache: ServicePortCache;
  /** That a ServiceCIDR cannot be read. */
  readonly rangeTrouble: StandingTrouble;
}

/** The board's service proxy: Services and EndpointSlices in, and a mode that makes them work. */
export class ServiceProxy {
  private readonly queue = new WorkQueue({ firstBackOff_ms: 500, longestBackOff_ms: 30_000 });
  private readonly families: FamilyProxy[] = [];
  private readonly healthChecks: HealthChecks;
  private readonly counts: ProxyCounts;
  private readonly detach: (() => void)[] = [];
  private readonly stopped = new AbortController();
  private running: Promise<void> | undefined;
  private inStep = false;
  private applied_ms: number | undefined;

  constructor(private readonly options: ServiceProxyOptions) {
    this.counts = new ProxyCounts(
      options.networks.map(({ family }) => family),
      options.clock,
    );
    this.healthChecks = new HealthChecks(options.log, () => this.inStep);
  }

  /** What Services ask for is in place. */
  get isHealthy(): boolean {
    return this.inStep;
  }

  /** When it was last put or found in place, in ms since 1970; undefined before that. */
  get appliedAt_ms(): number | undefined {
    return this.applied_ms;
  }

  /** Resolves once it is known what there is, be it from the checkpoint; the first rules follow at once. */
  async start(): Promise<void> {
    const { informers, networks, log } = this.options;
    const slices = informers.informer(endpointSlices);
    addSliceIndexes(slices);
    const enqueue = (): void => this.queue.addAfter(sync, gather_ms);
    this.detach.push(
      tellAlso(() => this.counts.families()),
      informers.informer(services).addHandler(() => {
        this.counts.serviceChanged();
        enqueue();
      }),
      slices.addHandler((event) => {
        this.counts.sliceChanged(event.object, event.type === "update" ? event.old : undefined);
        enqueue();
      }),
      // Not waited for: Services work without knowing every range they may come from.
      informers.informer(serviceCIDRs).addHandler(enqueue),
    );
    const sources = [informers.informer(services), slices];
    await Promise.all(sources.map(({ usable }) => usable));
    for (const network of networks) {
      const mode = await (this.options.makeMode ?? proxyMode)(this.options.mode, { ...this.options, network });
      const cache = new ServicePortCache(this.tellLeftOut);
      const rangeTrouble = new StandingTrouble(log, { wrong: "a range of Services' addresses is left out" });
      this.families.push({ network, mode, cache, rangeTrouble });
    }
    // What stands in the kernel is newer than what a checkpoint says: that is for a board that has booted.
    const isInPlace = await Promise.all(this.families.map(({ mode }) => mode.isInPlace()));
    if (isInPlace.includes(true))
      await Promise.race([Promise.all(sources.map(({ synced }) => synced)), this.patience()]);
    if (this.stopped.signal.aborted) return;
    const trouble = new StandingTrouble(log, {
      wrong: "cannot make Services work; trying again",
      over: "Services work again",
    });
    this.running = runQueueWorker(
      this.queue,
      async () => {
        const outcome = await this.syncOnce();
        trouble.end();
        return outcome;
      },
      (_, error) => {
        this.inStep = false;
        trouble.tell(error);
      },
    );
    this.queue.add(sync);
  }

  private readonly tellLeftOut: TellLeftOut = ({ metadata: { namespace, name } }, leftOut) => {
    const { log } = this.options;
    if (leftOut === "") log.info("all of a Service is served again", { namespace, name });
    else log.warn("not all of a Service can be served", { namespace, name, leftOut });
  };

  private patience(): Promise<void> {
    return pause(this.options.clock ?? systemClock, serverPatience_ms, this.stopped.signal);
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    for (const detach of this.detach.splice(0)) detach();
    this.queue.shutDown();
    await this.running;
    for (const { mode } of this.families) await mode.stop();
    this.healthChecks.serve(new Map());
  }

  private async syncOnce(): Promise<KeyOutcome> {
    const { informers, node } = this.options;
    const slices = informers.lister(endpointSlices);
    const slicesOf = ({ metadata }: Service): readonly EndpointSlice[] =>
      slices.byIndex(sliceByService, `${metadata.namespace}/${metadata.name}`);
    const all = informers.lister(services).list();
    this.counts.begun();
    for (const family of this.families)
      await this.counts.syncing(family.network.family, async () => {
        const ports = await family.cache.servicePorts(all, slicesOf, node(), family.network.family);
        await family.mode.apply(ports, this.serviceCidrsOf(family));
      });
    this.healthChecks.serve(serviceHealth(all, slicesOf, node().name));
    this.inStep = true;
    this.applied_ms = Date.now();
    return { requeueAfter_ms: recheck_ms };
  }

  /** Ranges that are not ready too: no Service gets an address there yet, and nobody else is to have it. */
  private serviceCidrsOf({ network, rangeTrouble }: FamilyProxy): string[] {
    const objects = this.options.informers.lister(serviceCIDRs).list();
    const values = new UsableValues(network.family);
    const added = values.networks(
      objects.flatMap(({ spec }) => spec.cidrs ?? []),
      "the range",
    );
    const leftOut = values.leftOut();
    if (leftOut === "") rangeTrouble.end();
    else rangeTrouble.tell(leftOut);
    return [...new Set([...network.serviceCidrs, ...added.sort()])];
  }
}

/** Loads a mode only where it is used. */
export async function proxyMode(
  name: ProxyModeName,
  { network, log, foundSettings }: Pick<ServiceProxyOptions, "log" | "foundSettings"> & { network: ProxyNetwork },
): Promise<ProxyMode> {
  switch (name) {
    case "iptables": {
      const { IptablesMode } = await import("./iptables/iptables-mode.ts");
      return new IptablesMode({ network, log, foundSettings });
    }
    case "userspace": {
      const { UserspaceMode } = await import("./userspace/userspace-mode.ts");
      return new UserspaceMode({ network, log });
    }
  }
}
