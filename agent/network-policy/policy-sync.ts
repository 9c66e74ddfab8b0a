import {
  type IpSetMap,
  IpSets,
  Iptables,
  type KnownIpSets,
  type Rule,
  type Ruleset,
  renderChanges,
  renderSetChanges,
} from "node-iptables";
import { equalJson } from "#shared/api/patch/json-value.ts";
import { namespaces, networkPolicies, pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { type KeyOutcome, runQueueWorker } from "#shared/client/queue-worker.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import type { IpFamily } from "#shared/net/ip-family.ts";
import { isPolicyChain, isPolicySet, type PolicyState, planPolicies, policiesOf, policyChain } from "./plan.ts";
import { type PolicyPod, policyPartOf, policyPod } from "./policy-pod.ts";

export interface PolicySyncOptions {
  readonly informers: InformerFactory;
  readonly nodeName: string;
  /** Families of the pod network. */
  readonly families: readonly IpFamily[];
  readonly log: Log;
  /** So long may a pod's start wait for its isolation; 15 s when absent. */
  readonly isolation_ms?: number | undefined;
  /** Put before the commands; how tests reach another network namespace. */
  readonly commandPrefix?: readonly string[] | undefined;
}

/** A pod that has its addresses on this board before the API server knows them. */
export interface AttachedPod {
  readonly sandboxId: string;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ips: readonly string[];
}

const sync = "sync";
/** Changes that come together are applied together. */
const gather_ms = 100;
/** Rules that somebody else removed are put back within this. */
const recheck_ms = 600_000;
const usualIsolation_ms = 15_000;
const hook: { readonly table: "mangle"; readonly chain: string; readonly rule: Rule } = {
  table: "mangle",
  chain: "FORWARD",
  rule: ["-m", "comment", "--comment", "bramble: network policies", "-j", policyChain],
};
const unknownRules = [["<left by an earlier run>"]];

/** Applies NetworkPolicies to this board's pods. Rules stay when it stops, as pods go on. */
export class PolicySync {
  private readonly queue = new WorkQueue({ firstBackOff_ms: 500, longestBackOff_ms: 30_000 });
  private readonly boards: readonly { readonly rules: FamilyRules; readonly leftOut: StandingTrouble }[];
  private readonly attached = new Map<string, AttachedPod>();
  private readonly stopped = Promise.withResolvers<never>();
  private readonly detach: (() => void)[] = [];
  private waiting: PromiseWithResolvers<void>[] = [];
  private running: Promise<void> | undefined;
  private followsPods = false;

  constructor(private readonly options: PolicySyncOptions) {
    this.boards = options.families.map((family) => ({
      rules: new FamilyRules(family, options.commandPrefix),
      leftOut: new StandingTrouble(options.log, { wrong: "not all of the network policies can be applied" }),
    }));
    this.stopped.promise.catch(() => undefined);
  }

  start(): void {
    const policies = this.options.informers.informer(networkPolicies);
    this.detach.push(policies.addHandler(() => this.queue.addAfter(sync, gather_ms)));
    this.running = this.work(policies.usable);
  }

  async stop(): Promise<void> {
    for (const detach of this.detach.splice(0)) detach();
    this.queue.shutDown();
    this.stopped.reject(new Error("network policies are stopped"));
    await this.running;
  }

  /**
   * Resolves when the policies that select a pod are in force for its addresses, so that its containers may start;
   * at once where none selects it. Rejects when they are not known, or cannot be applied.
   */
  async isolate(pod: AttachedPod): Promise<void> {
    this.attached.set(pod.sandboxId, pod);
    const { isolation_ms = usualIsolation_ms } = this.options;
    const policies = this.options.informers.informer(networkPolicies);
    const patience = new Promise((done) => setTimeout(done, isolation_ms).unref());
    if (!policies.isUsable) await Promise.race([policies.usable, patience, this.stopped.promise]);
    // A board that boots must not take policies that it has not read yet for none, however long the master is away.
    if (!policies.isUsable) throw new Error("they are not known yet");
    const known = this.options.informers.lister(networkPolicies).list(pod.namespace);
    if (policiesOf(pod, known, "ingress").length + policiesOf(pod, known, "egress").length === 0) return;
    const applied = Promise.withResolvers<void>();
    this.waiting.push(applied);
    this.queue.add(sync);
    const late = setTimeout(() => applied.reject(new Error("its network policies are not applied yet")), isolation_ms);
    try {
      await Promise.race([applied.promise, this.stopped.promise]);
    } finally {
      clearTimeout(late);
    }
  }

  /** The sandbox has lost its addresses. */
  release(sandboxId: string): void {
    this.attached.delete(sandboxId);
  }

  /** Removes every chain, hook and set; where policies are switched off. */
  static async removeAll(commandPrefix: readonly string[] = []): Promise<void> {
    for (const family of ["IPv4", "IPv6"] as const) await new FamilyRules(family, commandPrefix).remove();
  }

  private async work(policiesKnown: Promise<void>): Promise<void> {
    if (!(await this.orStopped(policiesKnown))) return;
    this.queue.add(sync);
    const trouble = new StandingTrouble(this.options.log, {
      wrong: "cannot apply network policies; trying again",
      over: "network policies are applied again",
    });
    await runQueueWorker(
      this.queue,
      async () => {
        const outcome = await this.serveWaiting();
        trouble.end();
        return outcome;
      },
      (_, error) => trouble.tell(error),
    );
  }

  private async serveWaiting(): Promise<KeyOutcome> {
    const served = this.waiting;
    this.waiting = [];
    try {
      if (!(await this.syncOnce())) return undefined;
      for (const waiter of served) waiter.resolve();
      return { requeueAfter_ms: recheck_ms };
    } catch (error) {
      for (const waiter of served) waiter.reject(error);
      throw error;
    }
  }

  /** False when it was stopped before it could. */
  private async syncOnce(): Promise<boolean> {
    const { informers } = this.options;
    const policies = informers.lister(networkPolicies).list();
    if (policies.length > 0 && !(await this.followPods())) return false;
    const state: PolicyState = {
      policies,
      pods: policies.length > 0 ? this.pods() : [],
      namespaces:
        policies.length > 0
          ? new Map(
              informers
                .lister(namespaces)
                .list()
                .map(({ metadata }) => [metadata.name ?? "", metadata.labels ?? {}]),
            )
          : new Map(),
    };
    for (const { rules, leftOut } of this.boards) {
      const what = await rules.apply(state);
      if (what === "") leftOut.end();
      else leftOut.tell(what);
    }
    return true;
  }

  /** Pods of the whole cluster are read from the first policy on, not before: a board without policies needs none. */
  private async followPods(): Promise<boolean> {
    const { informers } = this.options;
    const all = informers.informer(pods, {}, { name: "policies", transform: policyPartOf });
    const spaces = informers.informer(namespaces);
    if (!this.followsPods) {
      this.followsPods = true;
      const enqueue = (): void => this.queue.addAfter(sync, gather_ms);
      this.detach.push(
        all.addHandler((event) => {
          if (event.type !== "update" || this.matters(event.object) !== this.matters(event.old)) enqueue();
        }),
        spaces.addHandler((event) => {
          if (event.type === "update" && equalJson(event.object.metadata.labels, event.old.metadata.labels)) return;
          enqueue();
        }),
      );
    }
    return this.orStopped(Promise.all([all.usable, spaces.usable]));
  }

  private pods(): PolicyPod[] {
    const { informers, nodeName } = this.options;
    const attached = new Map([...this.attached.values()].map((pod) => [pod.uid, pod]));
    const known = informers
      .informer(pods, {}, { name: "policies", transform: policyPartOf })
      .lister.list()
      .flatMap((pod) => policyPod(pod, nodeName) ?? [])
      .map((pod): PolicyPod => {
        const here = attached.get(pod.uid);
        attached.delete(pod.uid);
        return here ? { ...pod, ips: here.ips, isLocal: true } : pod;
      });
    const unknown = [...attached.values()].map((pod): PolicyPod => ({ ...pod, namedPorts: [], isLocal: true }));
    return [...known, ...unknown];
  }

  private matters(pod: Pod): string {
    return JSON.stringify(policyPod(pod, this.options.nodeName) ?? null);
  }

  private async orStopped(done: Promise<unknown>): Promise<boolean> {
    try {
      await Promise.race([done, this.stopped.promise]);
      return true;
    } catch (error) {
      // An informer that is stopped before it synced says so by rejecting.
      if (!this.queue.isShutDown) throw error;
      return false;
    }
  }
}

/** The rules and sets of one address family: what is in the kernel, and how it is brought to a plan. */
class FamilyRules {
  private readonly iptables: Iptables;
  private readonly ipSets: IpSets;
  private applied: { readonly rules: Ruleset; readonly sets: IpSetMap } | undefined;

  constructor(
    private readonly family: IpFamily,
    prefix: readonly string[] | undefined,
  ) {
    this.iptables = new Iptables({ program: family === "IPv6" ? "ip6tables" : "iptables", prefix });
    this.ipSets = new IpSets(prefix);
  }

  /** @returns what of the policies is left out, in words. */
  async apply(state: PolicyState): Promise<string> {
    const { chains, sets, leftOut } = planPolicies(state, this.family);
    const isNeeded = chains.size > 1;
    // A board whose pods nobody isolates runs no program.
    if (this.applied && !isNeeded && this.applied.sets.size === 0 && this.applied.rules.mangle?.size === 1)
      return leftOut;
    if (this.applied && !(await this.isHooked())) this.applied = undefined;
    const left = this.applied ? undefined : await this.leftByEarlierRun(isNeeded);
    const next = { rules: { mangle: chains }, sets };
    const changes = renderSetChanges(this.applied?.sets ?? left?.sets ?? new Map(), sets);
    const previous = this.applied?.rules ?? left?.rules ?? {};
    // What was applied is uncertain until all of it is.
    this.applied = undefined;
    if (isNeeded || previous.mangle?.size) {
      await this.ipSets.restore(changes.before);
      await this.iptables.restore(renderChanges(previous, next.rules));
      if (left) await this.iptables.ensureRule(hook.table, hook.chain, hook.rule, "first");
      await this.ipSets.restore(changes.after);
    }
    this.applied = next;
    return leftOut;
  }

  async remove(): Promise<void> {
    const chains = (await this.iptables.chains("mangle")).filter(isPolicyChain);
    if (chains.length === 0) return;
    await this.iptables.removeRule(hook.table, hook.chain, hook.rule);
    await this.iptables.removeChains("mangle", chains);
    await this.ipSets.destroy(await this.setNames());
  }

  private isHooked(): Promise<boolean> {
    return this.iptables.hasRule(hook.table, hook.chain, hook.rule);
  }

  private async leftByEarlierRun(isNeeded: boolean): Promise<{ rules: Ruleset; sets: KnownIpSets }> {
    const chains = (await this.iptables.chains("mangle")).filter(isPolicyChain);
    const names = isNeeded || chains.length > 0 ? await this.setNames() : [];
    return {
      rules: { mangle: new Map(chains.map((name) => [name, unknownRules])) },
      sets: new Map(names.map((name) => [name, undefined])),
    };
  }

  private async setNames(): Promise<string[]> {
    const prefix = `BRAMBLE-NP${this.family === "IPv6" ? "6" : "4"}-`;
    return (await this.ipSets.names()).filter((name) => isPolicySet(name) && name.startsWith(prefix));
  }
}
