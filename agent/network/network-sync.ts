import { nodes } from "#shared/api/resources.ts";
import type { ReadScope } from "#shared/client/client.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { type KeyOutcome, runQueueWorker } from "#shared/client/queue-worker.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import type { PodNetwork } from "./pod-network.ts";

const sync = "sync";
const look = "look";
const gather_ms = 200;
/** Finds what somebody else changed in the kernel, and a new address of the board's own: two small files are read. */
const look_ms = 30_000;
/** Rules that somebody else removed are put back within this; a look at them starts programs. */
const looksPerRulesLook = 10;

/** Keeps the board's pod network in step with the Nodes. */
export class NetworkSync {
  private readonly queue = new WorkQueue({ firstBackOff_ms: 500, longestBackOff_ms: 30_000 });
  private detach: () => void = () => undefined;
  private running: Promise<void> | undefined;
  private looks = 0;
  private readonly trouble: StandingTrouble;

  constructor(
    private readonly network: PodNetwork,
    private readonly informers: InformerFactory,
    private readonly log: Log,
    /** Which Nodes are looked at: all for routes, the board's own for its address range alone. */
    private readonly scope: ReadScope = {},
  ) {
    this.trouble = new StandingTrouble(log, {
      wrong: "cannot set up the pod network; trying again",
      over: "the pod network is set up",
    });
  }

  start(): void {
    const informer = this.informers.informer(nodes, this.scope);
    this.detach = informer.addHandler((event) => {
      // Heartbeats change a Node often; what routes depend on, seldom.
      if (event.type === "update" && routing(event.old) === routing(event.object)) return;
      this.queue.addAfter(sync, gather_ms);
    });
    this.running = this.work();
    this.queue.add(sync);
    // Stopped before: there is nothing left to do.
    informer.usable.then(() => this.queue.add(sync)).catch(() => undefined);
    this.queue.addAfter(look, look_ms);
  }

  async stop(): Promise<void> {
    this.detach();
    this.queue.shutDown();
    await this.running;
  }

  private work(): Promise<void> {
    const act = async (key: string): Promise<KeyOutcome> => {
      if (key === look) return this.look();
      await this.bringUp();
      this.trouble.end();
      return undefined;
    };
    return runQueueWorker(this.queue, act, (key, error) => {
      this.trouble.tell(error);
      if (key !== look) return undefined;
      // What cannot be looked at is set up again.
      this.queue.addRateLimited(sync);
      this.queue.addAfter(look, look_ms);
      return "give up";
    });
  }

  private bringUp(): Promise<void> {
    const { isUsable, lister } = this.informers.informer(nodes, this.scope);
    // An agent that has just started knows no Node yet, while pods of before use the routes to all of them.
    return isUsable ? this.network.sync(lister.list()) : this.network.prepare();
  }

  private async look(): Promise<KeyOutcome> {
    this.looks += 1;
    const withRules = this.looks % looksPerRulesLook === 0;
    if (await this.network.isDisturbed({ withRules })) {
      this.log.info("the pod network was changed from outside; setting it up again");
      this.queue.add(sync);
    }
    return { requeueAfter_ms: look_ms };
  }
}

function routing(node: Parameters<PodNetwork["sync"]>[0][number]): string {
  return JSON.stringify([node.spec?.podCIDRs ?? node.spec?.podCIDR, node.status?.addresses]);
}
