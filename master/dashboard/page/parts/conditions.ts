import type { KubeObject } from "../api/objects.ts";

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly message?: string;
}
interface Conditioned extends KubeObject {
  readonly status?: { readonly message?: string; readonly conditions?: readonly Condition[] };
}

/** Conditions of pods and workloads that are good news when they are True, and those that are bad news then. */
const wanted = new Set(["PodScheduled", "Available", "Progressing"]);
const unwanted = new Set(["ReplicaFailure", "Failed", "DisruptionTarget"]);

/** What an object's controllers say of why it is not as it should be; most have nothing to say. */
export function faultsOf(object: KubeObject): string[] {
  const { message = "", conditions = [] } = (object as Conditioned).status ?? {};
  const told = conditions
    .filter(({ type, status }) => (status === "False" && wanted.has(type)) || (status === "True" && unwanted.has(type)))
    .map((each) => each.message ?? "");
  return [...new Set([message, ...told])].filter((text) => text !== "");
}
