import { nodes } from "#shared/api/resources.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { draftOf } from "./attributes.ts";

const notReady = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" } as const;

/** A new node takes no pods before the node lifecycle controller has seen it ready. */
export class TaintNodesByCondition implements AdmissionPlugin {
  readonly name = "TaintNodesByCondition";
  readonly resources = [nodes];

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const node = draftOf(attributes, nodes);
    if (!node || attributes.operation !== "CREATE") return;
    node.spec ??= {};
    const taints = node.spec.taints ?? [];
    if (taints.some((taint) => taint.key === notReady.key && taint.effect === notReady.effect)) return;
    node.spec.taints = [...taints, { ...notReady }];
  }
}
