import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import { bestScore, type Rejection, rejection } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";
import { byImportance, type PreemptionCandidate } from "../preemption.ts";
import type { ExtenderVictims, HttpExtender } from "./http-extender.ts";

/** Stands for extenders among the plugins that rejected a pod: any change may help it. */
export const extenderName = "Extender";
/** Scores of extenders lie between 0 and this. */
const bestExtenderScore = 10;

export interface FilteredNodes {
  readonly nodes: readonly NodeInfo[];
  /** Of those that were left out with a reason. */
  readonly rejections: ReadonlyMap<string, Rejection>;
}

/** The extenders that one pod concerns, asked one after the other, each about what the former ones left. */
export class Extenders {
  constructor(
    private readonly extenders: readonly HttpExtender[],
    private readonly log: Log,
  ) {}

  /** Undefined where the pod concerns none. */
  for(pod: Pod): Extenders | undefined {
    const own = this.extenders.filter((extender) => extender.isInterestedIn(pod));
    return own.length === 0 ? undefined : new Extenders(own, this.log);
  }

  /** Rejects when one fails that cannot be done without; so do the others. */
  async filter(pod: Pod, nodes: readonly NodeInfo[]): Promise<FilteredNodes> {
    const rejections = new Map<string, Rejection>();
    let left = nodes;
    for (const extender of this.#asking("filter")) {
      if (left.length === 0) break;
      const verdict = await this.#try(extender, () => extender.filter(pod, objectsOf(left)));
      if (!verdict) continue;
      for (const [name, text] of verdict.failed) rejections.set(name, rejection(text, "preemptible"));
      for (const [name, text] of verdict.unresolvable) rejections.set(name, rejection(text, "final"));
      const taken = new Set(verdict.nodes);
      left = left.filter(({ name }) => taken.has(name));
    }
    return { nodes: left, rejections };
  }

  /** What is added to each node's score. Without those that fail: others decide then. */
  async scores(pod: Pod, nodes: readonly NodeInfo[]): Promise<readonly number[]> {
    const sums = nodes.map(() => 0);
    const asked = this.#asking("prioritize").map(async (extender) => {
      const given = await extender.prioritize(pod, objectsOf(nodes)).catch((error: unknown) => {
        this.log.debug("an extender gave no scores", { extender: extender.name, error });
        return new Map<string, number>();
      });
      const factor = extender.settings.weight * (bestScore / bestExtenderScore);
      for (const [index, { name }] of nodes.entries())
        sums[index] = (sums[index] ?? 0) + (given.get(name) ?? 0) * factor;
    });
    await Promise.all(asked);
    return sums;
  }

  /** Whether one of them has bound the pod, so that nobody else needs to. */
  async bind(pod: Pod, nodeName: string): Promise<boolean> {
    for (const extender of this.#asking("bind")) {
      const isBound = await this.#try(extender, async () => {
        await extender.bind(pod, nodeName);
        return true;
      });
      if (isBound) return true;
    }
    return false;
  }

  /**
   * What remains of the candidates of a preemption, with the victims that extenders chose among the pods on these nodes.
   * @param objectOf a pod with all that the API knows of it
   */
  async preempt(
    pod: Pod,
    candidates: readonly PreemptionCandidate[],
    podsOn: (node: string) => ReadonlyMap<string, PodInfo> | undefined,
    objectOf: (info: PodInfo) => Pod,
  ): Promise<readonly PreemptionCandidate[]> {
    let left = candidates;
    for (const extender of this.#asking("preempt")) {
      if (left.length === 0) break;
      const asked = new Map(
        left.map(({ node, victims, budgetViolations }): [string, ExtenderVictims] => [
          node,
          { pods: victims.map(objectOf), budgetViolations },
        ]),
      );
      left =
        (await this.#try(extender, async () => {
          const chosen = await extender.preempt(pod, asked);
          return [...chosen].flatMap(([node, { uids, budgetViolations }]) => {
            const victims = uids.map((uid) => this.#victim(extender, uid, node, podsOn(node)));
            if (victims.length > 0) return [{ node, victims: victims.sort(byImportance), budgetViolations }];
            if (extender.settings.ignorable) return [];
            throw new Error(`expected at least one victim pod on node ${JSON.stringify(node)}`);
          });
        })) ?? left;
    }
    return left;
  }

  #victim({ name }: HttpExtender, uid: string, node: string, there: ReadonlyMap<string, PodInfo> | undefined): PodInfo {
    const victim = there?.get(uid);
    if (victim) return victim;
    throw new Error(
      `extender: ${name} claims to preempt pod (UID: ${uid}) on node: ${node}, but the pod is not found on that node`,
    );
  }

  #asking(verb: Parameters<HttpExtender["asks"]>[0]): readonly HttpExtender[] {
    return this.extenders.filter((extender) => extender.asks(verb));
  }

  /** Undefined when an extender fails that can be done without. */
  async #try<T>(extender: HttpExtender, ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      if (!extender.settings.ignorable) throw error;
      this.log.info("an extender failed, and is done without", { extender: extender.name, error });
      return undefined;
    }
  }
}

const objectsOf = (nodes: readonly NodeInfo[]): Node[] => nodes.flatMap(({ node }) => node ?? []);
