/** `pods/eviction`: a delete that PodDisruptionBudgets may refuse with 429 (upstream's EvictionREST). */

import {
  badRequest,
  forbidden,
  invalid,
  isConflict,
  notFound,
  StatusError,
  tooManyRequests,
} from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import { unclassifiedError } from "#shared/api/patch/patch-error.ts";
import { isTerminal } from "#shared/api/pod-phase.ts";
import { podDisruptionBudgets, pods } from "#shared/api/resources.ts";
import { labelSelectorOrNone } from "#shared/api/selector/label-selector.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import type { Eviction, PodDisruptionBudget } from "#shared/api/types/policy-v1.generated.ts";
import type { ApiResponse, RequestContext } from "../../request.ts";
import type { Entry } from "../../watch-cache/entry.ts";
import { valueResponse } from "../answer.ts";
import type { Prepared } from "../declaration.ts";
import { checkPreconditions, remove } from "../remove.ts";
import type { BodyHandler, SubresourceCall } from "../subresource-handler.ts";
import { update } from "../update.ts";
import { checkDeleteOptions } from "../write-options.ts";
import { type Internal, internalScope } from "./internal.ts";

/** Pods that a budget may hold as evicted but not yet gone. */
const MAX_DISRUPTED = 2000;
const RETRY_S = 10;
/** While a pod that costs no budget changes: how often it is looked at anew, as upstream. */
const MAX_ATTEMPTS = 20;
const BETWEEN_ATTEMPTS_MS = 500;
const budgetName = { group: "policy", plural: "poddisruptionbudgets" };

export class PodEviction implements BodyHandler {
  readonly #internal: Internal;

  constructor(internal: Internal) {
    this.#internal = internal;
  }

  prepare(call: SubresourceCall, body: KubeObject): Prepared<ApiResponse> {
    const eviction = body as unknown as Eviction;
    const { name, context } = call;
    if (eviction.metadata.name !== name) throw badRequest("name in URL does not match name in Eviction object");
    const options = (eviction.deleteOptions ?? {}) as DeleteOptions;
    const isDryRun = checkDryRuns(context.query.getAll("dryRun"), options.dryRun ?? []);
    if (options.ignoreStoreReadErrorWithClusterBreakingPotential) throw readErrorsCount(name);
    return { judged: body, carryOut: () => this.#evict(call, options, isDryRun) };
  }

  async #evict(
    { namespace = "", name, context }: SubresourceCall,
    options: DeleteOptions,
    isDryRun: boolean,
  ): Promise<ApiResponse> {
    const eviction: PodRemoval = { namespace, name, context, isDryRun };
    for (let attempt = 1; !(await this.#attempt(eviction, options, attempt === MAX_ATTEMPTS)); attempt += 1) {
      await Bun.sleep(BETWEEN_ATTEMPTS_MS);
    }
    return valueResponse({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
  }

  /** False where the pod became another one meanwhile, for which its budget may have to be asked. */
  async #attempt(eviction: PodRemoval, options: DeleteOptions, isLast: boolean): Promise<boolean> {
    const { namespace, name, context, isDryRun } = eviction;
    const pod = this.#internal.reader.get(pods, { namespace, name });
    if (!pod) throw notFound(pods, name);
    const isPinned = Boolean(options.preconditions?.resourceVersion);
    if (!ignoresBudgets(pod)) {
      const spared = await this.#spend(pod, namespace, context, isDryRun);
      await this.#remove(eviction, spared ? pinnedTo(pod.metadata.resourceVersion, options) : options).catch(
        (error) => {
          throw spared && !isPinned && isConflict(error) ? stillProcessed(spared) : error;
        },
      );
      return true;
    }
    // One that does not run yet may begin to.
    const pins = !isPinned && !isTerminal(pod) && pod.metadata.deletionTimestamp === undefined;
    try {
      await this.#remove(eviction, pins ? pinnedTo(pod.metadata.resourceVersion, options) : options);
      return true;
    } catch (error) {
      if (isPinned || isLast || !isConflict(error)) throw error;
      return false;
    }
  }

  async #remove(eviction: PodRemoval, options: DeleteOptions): Promise<void> {
    const { namespace, name, context, isDryRun } = eviction;
    const { parts, table } = this.#internal;
    const scope = internalScope(table, pods, namespace, context, { dryRun: isDryRun });
    if (isDryRun) {
      checkDeleteOptions(options);
      await remove(parts, scope, name, options, "unshown");
      return;
    }
    const marked = await this.#markDisrupted(eviction, options);
    // The mark alone may be what has changed.
    const left = options.preconditions?.resourceVersion ? pinnedTo(String(marked.revision), options) : options;
    await remove(parts, scope, name, left, "unshown");
  }

  /** Takes one disruption from the pod's budget, where it has one. The budget's name where that spares the pod as it is now. */
  async #spend(pod: Pod, namespace: string, context: RequestContext, dryRun: boolean): Promise<string | undefined> {
    const { parts, table, reader } = this.#internal;
    const budgets = reader
      .list(podDisruptionBudgets, namespace)
      .filter((budget) => labelSelectorOrNone(budget.spec?.selector).matches(pod.metadata.labels));
    const [budget] = budgets;
    if (!budget) return undefined;
    if (budgets.length > 1) {
      const message =
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
      throw new StatusError("", message, { code: 500 });
    }
    if (mayGoUnhealthy(pod, budget)) return budget.metadata.name;
    const scope = internalScope(table, podDisruptionBudgets, namespace, context, { subresource: "status", dryRun });
    try {
      await update(parts, scope, {
        name: budget.metadata.name ?? "",
        isInternal: true,
        next: (live) => ({
          draft: spent(live.view() as unknown as PodDisruptionBudget, pod, parts.now_ms()),
          fromPresent: true,
        }),
      });
    } catch (error) {
      if (isConflict(error))
        throw tooManyRequests("Cannot evict pod: its disruption budget changes too often.", RETRY_S);
      throw error;
    }
    return undefined;
  }

  /** The condition that tells a pod's controllers why it goes (KEP-3329). */
  async #markDisrupted({ namespace, name, context }: PodRemoval, options: DeleteOptions): Promise<Entry> {
    const { parts, table } = this.#internal;
    const scope = internalScope(table, pods, namespace, context, { subresource: "status", dryRun: false });
    return update(parts, scope, {
      name,
      isInternal: true,
      next: (live) => {
        checkPreconditions(scope, name, live, options);
        return { draft: disrupted(live.view() as unknown as Pod, rfc3339(parts.now_ms())), fromPresent: true };
      },
    });
  }
}

interface PodRemoval {
  readonly namespace: string;
  readonly name: string;
  readonly context: RequestContext;
  readonly isDryRun: boolean;
}

const pinnedTo = (resourceVersion: string | undefined, options: DeleteOptions): DeleteOptions => ({
  ...options,
  preconditions: { ...options.preconditions, resourceVersion },
});

/** Whether it is a dry run. Throws where the request and its body do not want the same. */
function checkDryRuns(asked: readonly string[], told: readonly string[]): boolean {
  const isSame = asked.length === told.length && asked.every((each, index) => each === told[index]);
  if (asked.length > 0 && told.length > 0 && !isSame) {
    const [request, content] = [asked, told].map((each) => `[${each.join(" ")}]`);
    throw unclassifiedError(`Non-matching dry-run options in request and content: ${request} and ${content}`);
  }
  return asked.length > 0 || told.length > 0;
}

const readErrorsCount = (name: string): StatusError =>
  invalid({ group: "policy", kind: "Eviction" }, name, [
    {
      field: "deleteOptions.ignoreStoreReadErrorWithClusterBreakingPotential",
      reason: "FieldValueInvalid",
      message: "Invalid value: true: can not be set for pod eviction, try after removing the option",
    },
  ]);

/** A pod that does not run any more, or not yet, or is going already, costs no budget. */
function ignoresBudgets(pod: Pod): boolean {
  return isTerminal(pod) || pod.status?.phase === "Pending" || pod.metadata.deletionTimestamp !== undefined;
}

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false;

/** A pod that is not ready may go where the budget says so (KEP-3017). */
function mayGoUnhealthy(pod: Pod, { spec, status }: PodDisruptionBudget): boolean {
  if (isReady(pod)) return false;
  if (spec?.unhealthyPodEvictionPolicy === "AlwaysAllow") return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

const overBudget = (message: string): StatusError =>
  new StatusError("TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [{ reason: "DisruptionBudget", message }],
  });

function stillProcessed(budget: string): StatusError {
  const { message, options } = overBudget(`The disruption budget ${budget} is still being processed by the server.`);
  return new StatusError("TooManyRequests", message, { ...options, retryAfterSeconds: RETRY_S });
}

/** The budget with one disruption less. Throws 429 when there is none left, 403 when it cannot take more. */
function spent(budget: PodDisruptionBudget, pod: Pod, now_ms: number): KubeObject {
  const name = budget.metadata.name ?? "";
  const { status, metadata } = budget;
  if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 0)) throw stillProcessed(name);
  const allowed = status?.disruptionsAllowed ?? 0;
  if (allowed < 0) throw forbidden(budgetName, name, "pdb disruptions allowed is negative");
  if (Object.keys(status?.disruptedPods ?? {}).length > MAX_DISRUPTED) {
    throw forbidden(budgetName, name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
  }
  if (allowed === 0) {
    const { desiredHealthy = 0, currentHealthy = 0 } = status ?? {};
    throw overBudget(
      `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
    );
  }
  const draft = cloneJson(budget) as PodDisruptionBudget;
  const at = rfc3339(now_ms);
  draft.status = {
    ...(draft.status as NonNullable<PodDisruptionBudget["status"]>),
    disruptionsAllowed: allowed - 1,
    disruptedPods: { ...draft.status?.disruptedPods, [pod.metadata.name ?? ""]: at },
  };
  if (allowed === 1) {
    const others = (draft.status.conditions ?? []).filter(({ type }) => type !== "DisruptionAllowed");
    draft.status.conditions = [
      ...others,
      {
        type: "DisruptionAllowed",
        status: "False",
        reason: "InsufficientPods",
        message: "",
        lastTransitionTime: at,
        observedGeneration: draft.status.observedGeneration,
      },
    ];
  }
  return draft as unknown as KubeObject;
}

function disrupted(pod: Pod, at: string): KubeObject {
  const draft = cloneJson(pod) as Pod;
  const others = (draft.status?.conditions ?? []).filter(({ type }) => type !== "DisruptionTarget");
  draft.status = {
    ...draft.status,
    conditions: [
      ...others,
      {
        type: "DisruptionTarget",
        status: "True",
        reason: "EvictionByEvictionAPI",
        message: "Eviction API: evicting",
        lastTransitionTime: at,
      },
    ],
  };
  return draft as unknown as KubeObject;
}
