import { nodes } from "#shared/api/resources.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import type { PodNetwork } from "./pod-network.ts";

const sync = "sync";
const gather_ms = 200;
/** Finds what somebody else changed in the kernel, and a new address of the board's own. */
const resync_ms = 60_000;

/** Keeps the board's pod network in step with the Nodes. */
export class NetworkSync {
  private readonly queue = new WorkQueue({ firstBackOff_ms: 500, longestBackOff_ms: 30_000 });
  private detach: () => void = () => undefined;
  private running: Promise<void> | undefined;

  constructor(
    private readonly network: PodNetwork,
    private readonly informers: InformerFactory,
    private readonly log: Log,
  ) {}

  start(): void {
    const informer = this.informers.informer(nodes);
    this.detach = informer.addHandler((event) => {
      // Heartbeats change a Node often; what routes depend on, seldom.
      if (event.type === "update" && routing(event.old) === routing(event.object)) return;
      this.queue.addAfter(sync, gather_ms);
    });
    this.running = this.work();
    this.queue.add(sync);
  }

  async stop(): Promise<void> {
    this.detach();
    this.queue.shutDown();
    await this.running;
  }

  private async work(): Promise<void> {
    for (let key = await this.queue.get(); key !== undefined; key = await this.queue.get()) {
      try {
        await this.network.sync(this.informers.lister(nodes).list());
        this.queue.forget(key);
        this.queue.addAfter(key, resync_ms);
      } catch (error) {
        this.log.warn("cannot set up the pod network; trying again", { error });
        this.queue.addRateLimited(key);
      } finally {
        this.queue.done(key);
      }
    }
  }
}

function routing(node: Parameters<PodNetwork["sync"]>[0][number]): string {
  return JSON.stringify([node.spec?.podCIDRs ?? node.spec?.podCIDR, node.status?.addresses]);
}
