import { messageOf } from "#shared/api/joined-errors.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ExtenderSettings, ExtenderVerb } from "../configuration/extender-settings.ts";

/** What an extender says of nodes that plugins took. */
export interface ExtenderVerdict {
  /** Names of the nodes that it takes. */
  readonly nodes: readonly string[];
  /** Why not, by node; others are left out without a word. */
  readonly failed: ReadonlyMap<string, string>;
  /** Of nodes where taking pods away would not help. */
  readonly unresolvable: ReadonlyMap<string, string>;
}

/** Pods that would go for another, by node. */
export interface ExtenderVictims {
  readonly pods: readonly Pod[];
  readonly budgetViolations: number;
}

/** Which of the pods on a node are to go, by UID. */
export interface ChosenVictims {
  readonly uids: readonly string[];
  readonly budgetViolations: number;
}

/**
 * A service that is asked over HTTP while pods are scheduled (k8s.io/kube-scheduler/extender/v1: JSON whose fields have the
 * names of Go's, written in capitals and read in any case). Every question rejects when it is not answered in time, with
 * another code than 200, or with an error.
 */
export class HttpExtender {
  constructor(readonly settings: ExtenderSettings) {}

  get name(): string {
    return this.settings.urlPrefix;
  }

  asks(verb: ExtenderVerb): boolean {
    return this.settings.verbs[verb] !== "";
  }

  isInterestedIn({ spec }: Pod): boolean {
    const { managedResources } = this.settings;
    if (managedResources.length === 0) return true;
    return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].some(({ resources }) =>
      managedResources.some(
        (name) => resources?.requests?.[name] !== undefined || resources?.limits?.[name] !== undefined,
      ),
    );
  }

  async filter(pod: Pod, nodes: readonly Node[]): Promise<ExtenderVerdict> {
    const answer = await this.#ask("filter", this.#args(pod, nodes));
    refuse(answer);
    const sent = new Set(nodes.map(({ metadata }) => metadata.name ?? ""));
    const names = this.settings.nodeCacheCapable ? strings(member(answer, "NodeNames")) : undefined;
    const chosen = names ?? items(member(member(answer, "Nodes"), "items")).map(nameOf);
    const unknown = chosen.find((name) => !sent.has(name));
    if (unknown !== undefined)
      throw new Error(
        `extender ${JSON.stringify(this.name)} claims a filtered node ${JSON.stringify(unknown)} which is not found in the input node list`,
      );
    return {
      nodes: chosen,
      failed: texts(member(answer, "FailedNodes")),
      unresolvable: texts(member(answer, "FailedAndUnresolvableNodes")),
    };
  }

  /** Scores from 0 to 10 by node. */
  async prioritize(pod: Pod, nodes: readonly Node[]): Promise<ReadonlyMap<string, number>> {
    const answer = await this.#ask("prioritize", this.#args(pod, nodes));
    return new Map(
      items(answer).map((item) => [String(member(item, "Host") ?? ""), Number(member(item, "Score") ?? 0)]),
    );
  }

  async bind({ metadata }: Pod, nodeName: string): Promise<void> {
    const { name, namespace, uid } = metadata;
    refuse(await this.#ask("bind", { PodName: name, PodNamespace: namespace, PodUID: uid, Node: nodeName }));
  }

  /** Which nodes remain of those, with which victims. */
  async preempt(
    pod: Pod,
    candidates: ReadonlyMap<string, ExtenderVictims>,
  ): Promise<ReadonlyMap<string, ChosenVictims>> {
    const { nodeCacheCapable } = this.settings;
    const victims = Object.fromEntries(
      [...candidates].map(([node, { pods, budgetViolations }]) => [
        node,
        {
          Pods: nodeCacheCapable ? pods.map(({ metadata }) => ({ UID: metadata.uid })) : pods,
          NumPDBViolations: budgetViolations,
        },
      ]),
    );
    const answer = await this.#ask("preempt", {
      Pod: pod,
      NodeNameToVictims: nodeCacheCapable ? null : victims,
      NodeNameToMetaVictims: nodeCacheCapable ? victims : null,
    });
    const chosen = Object.entries(record(member(answer, "NodeNameToMetaVictims")));
    return new Map(
      chosen.map(([node, given]) => [
        node,
        {
          uids: items(member(given, "Pods")).map((each) => String(member(each, "UID") ?? "")),
          budgetViolations: Number(member(given, "NumPDBViolations") ?? 0),
        },
      ]),
    );
  }

  #args(pod: Pod, nodes: readonly Node[]): object {
    const { nodeCacheCapable } = this.settings;
    return {
      Pod: pod,
      Nodes: nodeCacheCapable ? null : { metadata: {}, items: nodes },
      NodeNames: nodeCacheCapable ? nodes.map(({ metadata }) => metadata.name) : null,
    };
  }

  async #ask(verb: ExtenderVerb, args: object): Promise<unknown> {
    const { urlPrefix, verbs, timeout_ms, tls } = this.settings;
    const url = `${urlPrefix.replace(/\/+$/, "")}/${verbs[verb]}`;
    const signal = AbortSignal.timeout(timeout_ms);
    const headers = { "content-type": "application/json" };
    try {
      const response = await fetch(url, { method: "POST", body: JSON.stringify(args), headers, tls, signal });
      if (response.status !== 200)
        throw new Error(`failed ${verbs[verb]} with extender at URL ${url}, code ${response.status}`);
      return await response.json();
    } catch (error) {
      const said = messageOf(error);
      if (signal.aborted)
        throw new Error(`Post ${JSON.stringify(url)}: no answer within ${timeout_ms} ms`, { cause: error });
      throw said.startsWith("failed ") ? error : new Error(`Post ${JSON.stringify(url)}: ${said}`, { cause: error });
    }
  }
}

function refuse(answer: unknown): void {
  const error = member(answer, "Error");
  if (typeof error === "string" && error !== "") throw new Error(error);
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

/** A field whose name may be written in any case, as Go reads JSON. */
function member(value: unknown, name: string): unknown {
  const fields = record(value);
  if (Object.hasOwn(fields, name)) return fields[name];
  const key = Object.keys(fields).find((each) => each.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : fields[key];
}

const items = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const strings = (value: unknown): readonly string[] | undefined =>
  Array.isArray(value) ? value.map(String) : undefined;
const nameOf = (node: unknown): string => String(member(member(node, "metadata"), "name") ?? "");
const texts = (value: unknown): ReadonlyMap<string, string> =>
  new Map(Object.entries(record(value)).map(([node, text]) => [node, String(text)]));
