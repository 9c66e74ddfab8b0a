/** One call to one admission webhook: whether it is meant, what it is asked, and what its answer comes to. */
import { badRequest, forbidden, internalError, StatusError, type StatusErrorOptions } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { JsonObject } from "#shared/api/patch/json-value.ts";
import type { MutatingWebhook, ValidatingWebhook } from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { Status } from "#shared/api/types/meta-v1.generated.ts";
import { AnswerFault } from "../../extensions/webhook-answer.ts";
import type { WebhookCaller } from "../../extensions/webhook-client.ts";
import type { WebhookLogins } from "../../extensions/webhook-logins.ts";
import type { CallSpan } from "../../tracing/request-tracer.ts";
import type { AdmissionAttributes } from "../admission.ts";
import { annotate } from "../attributes.ts";
import { type Match, type Matcher, ownMatch, shownAs } from "../matching.ts";
import { conditionsExcluded } from "../policies/condition-metrics.ts";
import { ConditionError, type Conditions } from "../policies/conditions.ts";
import {
  type AdmissionAnswer,
  admissionRequest,
  admissionReview,
  answerOf,
  type ReviewVersion,
  stepsOf,
} from "./admission-review.ts";
import { ReviewDecodingError } from "./review-decoding.ts";
import { type CallType, webhookCall } from "./webhook-metrics.ts";

export interface Hook {
  readonly webhook: MutatingWebhook | ValidatingWebhook;
  readonly configuration: string;
  /** `configuration/webhook/index`: tells hooks of one name apart. */
  readonly id: string;
}

export interface WebhookParts {
  readonly matcher: Matcher;
  readonly caller: WebhookCaller;
  readonly conditions: Conditions;
  /** By what webhooks are asked; absent: by nobody in particular. */
  readonly logins?: WebhookLogins | undefined;
}

/** The webhook could not be asked, or its answer is none: the failure policy decides. */
class CallError extends Error {
  override readonly name = "CallError";
  constructor(
    webhook: string,
    reason: string,
    /** As which the call is counted. */
    readonly code: number,
    cause?: unknown,
  ) {
    super(`failed calling webhook ${JSON.stringify(webhook)}: ${reason}`, { cause });
  }
}

/** The webhook does not allow the request. */
class Rejection extends StatusError {
  constructor(
    reason: string,
    message: string,
    options: StatusErrorOptions,
    private readonly given: string,
  ) {
    super(reason, message, options);
  }

  override toStatus(): Status {
    return { ...super.toStatus(), status: this.given as "Failure" };
  }
}

/** A call that is to be made. */
export interface Invocation {
  readonly hook: Hook;
  readonly match: Match;
}

/** Whether a hook is to be called. Throws StatusError where that cannot be said. */
export async function invocationOf(
  parts: WebhookParts,
  hook: Hook,
  attributes: AdmissionAttributes,
  type: CallType,
): Promise<Invocation | undefined> {
  const { webhook } = hook;
  const match = parts.matcher.match(attributes, { ...webhook, rules: webhook.rules ?? [] });
  if (!match) return undefined;
  const { matchConditions = [] } = webhook;
  if (matchConditions.length === 0) return { hook, match };
  try {
    const isMeant = await parts.conditions.hold(matchConditions, attributes, match, {
      name: webhook.name ?? "",
      kind: "webhook",
      type,
    });
    if (isMeant) return { hook, match };
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    if (webhook.failurePolicy !== "Ignore") {
      const { group, plural } = ownMatch(attributes);
      throw forbidden({ group, plural }, attributes.name, error.message);
    }
  }
  conditionsExcluded({
    name: webhook.name ?? "",
    kind: "webhook",
    type: type === "admit" ? type : "validate",
    operation: attributes.operation,
  });
  return undefined;
}

const harmless = ["None", "NoneOnDryRun"];

interface Asked {
  /** What was shown. */
  readonly object: KubeObject | undefined;
  /** Of a JSON patch; empty where nothing is to be changed. */
  readonly steps: Steps;
}

export type Steps = readonly (JsonObject | null)[];

/** Does what has to do with one call of a webhook, and counts how that ends. */
export async function counted<T>(
  { hook }: Invocation,
  operation: AdmissionAttributes["operation"],
  type: CallType,
  work: () => Promise<T>,
): Promise<T> {
  const called = webhookCall(hook.webhook.name ?? "", type, operation);
  try {
    const done = await work();
    called({ kind: "allowed" });
    return done;
  } catch (error) {
    if (error instanceof Rejection) called({ kind: "refused", code: error.code });
    else if (!(error instanceof CallError)) called({ kind: "not made", code: 0 });
    else called({ kind: hook.webhook.failurePolicy === "Ignore" ? "failed open" : "failed", code: error.code });
    throw error;
  }
}

/** Asks; gives an answer that allows the request. Throws CallError, StatusError for a refusal, and BadRequest for a dry run
 *  that the webhook would not take as one. */
export async function ask(
  parts: WebhookParts,
  { hook, match }: Invocation,
  attributes: AdmissionAttributes,
  mutating: boolean,
): Promise<Asked> {
  const { webhook } = hook;
  const { name = "", sideEffects = "", admissionReviewVersions = [], timeoutSeconds = 10 } = webhook;
  if (attributes.dryRun && !harmless.includes(sideEffects)) {
    throw badRequest(`admission webhook ${JSON.stringify(name)} does not support dry run`);
  }
  const version = admissionReviewVersions.find((each): each is ReviewVersion => each === "v1" || each === "v1beta1");
  if (!version) {
    const why = "webhook does not accept known AdmissionReview versions (v1, v1beta1)";
    throw new CallError(name, `could not create admission objects: ${why}`, 400);
  }
  const uid = crypto.randomUUID();
  const object = await shownAs(attributes, match, attributes.object);
  const oldObject = await shownAs(attributes, match, attributes.oldObject);
  const review = admissionReview(version, admissionRequest(attributes, match, uid), object, oldObject);
  let sentBack: unknown;
  const span = callSpan(hook, attributes, { uid, mutating });
  try {
    const timeout_ms = timeoutSeconds * 1000;
    // Where the request's time is over first, its client is told so before this call is given up: by the signal.
    const announced_ms = Math.min(timeout_ms, timeLeft_ms(attributes));
    const call = { timeout_ms, announced_ms, signal: attributes.limits?.signal, logins: parts.logins };
    const target = { ...webhook.clientConfig, name };
    sentBack = await parts.caller.call(target, review, { ...call, headers: span?.headers });
    span?.event("Request completed");
  } catch (error) {
    const { message, cause } = error instanceof Error ? error : new Error(String(error));
    const code = cause instanceof AnswerFault ? cause.code : undefined;
    throw new CallError(name, `failed to call webhook: ${message}`, code ?? unavailable, error);
  } finally {
    span?.end();
  }
  let answer: AdmissionAnswer;
  try {
    answer = answerOf(sentBack, version, uid, mutating);
  } catch (error) {
    const what = error instanceof ReviewDecodingError ? "failed to call webhook" : "received invalid webhook response";
    throw new CallError(name, `${what}: ${(error as Error).message}`, unavailable, error);
  }
  for (const [key, text] of Object.entries(answer.auditAnnotations)) annotate(attributes, `${name}/${key}`, text);
  for (const warning of answer.warnings) if (!attributes.warnings.includes(warning)) attributes.warnings.push(warning);
  if (!answer.allowed) throw rejection(name, answer.result);
  return { object, steps: checkedSteps(name, answer, object) };
}

/** Where the request is traced: what upstream tells of the call. */
function callSpan(
  { webhook, configuration }: Hook,
  attributes: AdmissionAttributes,
  { uid, mutating }: { readonly uid: string; readonly mutating: boolean },
): CallSpan | undefined {
  const { group, version, plural } = ownMatch(attributes);
  return attributes.limits?.span?.call(`Call ${mutating ? "mutating" : "validating"} webhook`, [
    ["configuration", configuration],
    ["webhook", webhook.name ?? ""],
    ["resource", `${group}/${version}, Resource=${plural}`],
    ["subresource", attributes.subresource ?? ""],
    ["operation", attributes.operation],
    ["UID", uid],
  ]);
}

/** Of the request that the call is for. */
const timeLeft_ms = ({ limits }: AdmissionAttributes): number =>
  limits?.deadline_ms === undefined ? Number.POSITIVE_INFINITY : Math.max(limits.deadline_ms - performance.now(), 0);

/** Throws CallError for a patch that cannot be read or is of a type that nobody knows. */
function checkedSteps(name: string, { patch, patchType, result }: AdmissionAnswer, object: unknown): Steps {
  if (patch === undefined) return [];
  let steps: Steps;
  try {
    steps = stepsOf(patch);
  } catch (error) {
    throw new CallError(name, (error as Error).message, unavailable, error);
  }
  if (steps.length === 0 || !object || patchType === "JSONPatch") return steps;
  throw new CallError(name, `unsupported patch type ${JSON.stringify(patchType)}`, Math.max(result?.code ?? 0, 400));
}

/** Code of a call that came to nothing. */
const unavailable = 503;

/** The refusal that a webhook has sent, as the client is told. */
function rejection(name: string, result: AdmissionAnswer["result"]): Rejection {
  const denied = `admission webhook ${JSON.stringify(name)} denied the request`;
  const { message = "", reason = "", code = 0, details, status, metadata } = result ?? {};
  const why = message || reason;
  const options = {
    ...details,
    hasDetails: details !== undefined,
    listMetadata: metadata,
    code: Math.max(code, 400),
  };
  const given = status === undefined || status === "Success" ? "Failure" : status;
  return new Rejection(reason, why ? `${denied}: ${why}` : `${denied} without explanation`, options, given);
}

/** What an error of a call means for the request: undefined where the webhook's failure is to be borne with. */
export function consequence(
  error: unknown,
  { hook }: Invocation,
  attributes: AdmissionAttributes,
  key: string,
): Error | undefined {
  if (!(error instanceof CallError)) return error instanceof Error ? error : new Error(String(error));
  if (hook.webhook.failurePolicy !== "Ignore") return internalError(error.message, error);
  annotate(attributes, `failed-open.${key}`, hook.webhook.name ?? "");
  // Nothing is written for who was told meanwhile that it was not done.
  return attributes.limits?.signal.aborted || timeLeft_ms(attributes) === 0
    ? new StatusError("Timeout", "Timeout: request did not complete within requested timeout")
    : undefined;
}
