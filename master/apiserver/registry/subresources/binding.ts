/** `pods/binding` and `bindings`: puts a pod on a node, once (upstream's BindingREST). */
import { badRequest, conflict, invalid } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { Binding, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ApiResponse } from "../../request.ts";
import { collect } from "../../resources/validation/field.ts";
import { valueResponse } from "../answer.ts";
import type { Prepared } from "../declaration.ts";
import type { BodyHandler, SubresourceCall } from "../subresource-handler.ts";
import { type Change, preconditionFailed, update } from "../update.ts";
import type { WriteScope } from "../write-scope.ts";
import { type Internal, internalScope } from "./internal.ts";

/** The labels of a node that its pods take over (KEP-4742). */
const topologyLabels = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];
const name = { group: "", plural: "pods/binding" };

export class PodBinding implements BodyHandler {
  readonly #internal: Internal;

  constructor(internal: Internal) {
    this.#internal = internal;
  }

  prepare(call: SubresourceCall, body: KubeObject): Prepared<ApiResponse> {
    const binding = body as unknown as Binding;
    checkBinding(binding, call.name);
    return { judged: body, carryOut: () => this.#bind(call, binding) };
  }

  async #bind(call: SubresourceCall, binding: Binding): Promise<ApiResponse> {
    const { parts, table } = this.#internal;
    const dryRun = call.context.query.getAll("dryRun").length > 0;
    const scope = internalScope(table, { group: "", plural: "pods" }, call.namespace, call.context, { dryRun });
    const at = rfc3339(parts.now_ms());
    const change: Change = {
      name: call.name,
      isInternal: true,
      update: { prepare: () => undefined },
      next: (live) => {
        const pod = live.view() as unknown as Pod;
        checkPreconditions(scope, call.name, binding, pod);
        // Where a pod runs is nobody's wish: no manager owns it.
        const { managedFields = [] } = pod.metadata;
        return { draft: bound(pod, binding, call.name, at), fromPresent: true, managedFields };
      },
    };
    await update(parts, scope, change);
    return valueResponse({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
  }
}

/** A binding may say which pod it means, and in which revision. */
function checkPreconditions(scope: WriteScope, podName: string, { metadata }: Binding, pod: Pod): void {
  for (const [field, what] of [
    ["uid", "UID"],
    ["resourceVersion", "ResourceVersion"],
  ] as const) {
    const [given, present = ""] = [metadata[field], pod.metadata[field]];
    if (given && given !== present) throw preconditionFailed(scope, podName, what, { given, present });
  }
}

function checkBinding({ target, metadata }: Binding, podName: string): void {
  if (podName === "") throw badRequest("Name parameter required.");
  if (metadata.name !== podName) throw badRequest("name in URL does not match name in Binding object");
  const faults = collect((root) => {
    const field = root.at("target");
    if (target?.kind && target.kind !== "Node") field.at("kind").notSupported(target.kind, ["Node", "<empty>"]);
    if (!target?.name) field.at("name").required();
  });
  if (faults.length > 0) throw invalid({ group: "", kind: "Binding" }, podName, faults);
}

/** The pod on its node. Throws Conflict when it is on one already, is going, or may not be scheduled yet. */
function bound(pod: Pod, { target, metadata }: Binding, podName: string, at: string): KubeObject {
  const refuse = (why: string): Error => conflict(name, podName, why);
  if (metadata.uid && metadata.uid !== pod.metadata.uid) {
    throw refuse(`Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${pod.metadata.uid}`);
  }
  if (pod.metadata.deletionTimestamp) throw refuse(`pod ${podName} is being deleted, cannot be assigned to a host`);
  if (pod.spec.nodeName) throw refuse(`pod ${podName} is already assigned to node "${pod.spec.nodeName}"`);
  if (pod.spec.schedulingGates?.length) throw refuse(`pod ${podName} has non-empty .spec.schedulingGates`);
  const draft = cloneJson(pod) as Pod;
  draft.spec.nodeName = target.name;
  if (metadata.annotations) draft.metadata.annotations = { ...draft.metadata.annotations, ...metadata.annotations };
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (topologyLabels.includes(key)) draft.metadata.labels = { ...draft.metadata.labels, [key]: value };
  }
  // What the node was cleared for is done with (KEP-5278).
  const { nominatedNodeName: _, conditions = [], ...status } = draft.status ?? {};
  const scheduled = { type: "PodScheduled", status: "True", lastProbeTime: undefined, lastTransitionTime: at };
  const isNew = !conditions.some(({ type }) => type === "PodScheduled");
  const replaced = conditions.map((one) => (one.type === "PodScheduled" ? scheduled : one));
  draft.status = { ...status, conditions: isNew ? [...replaced, scheduled] : replaced };
  return draft as unknown as KubeObject;
}
