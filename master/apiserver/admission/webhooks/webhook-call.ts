/** One call to one admission webhook: whether it is meant, what it is asked, and what its answer comes to. */
import { badRequest, forbidden, internalError, StatusError, type StatusReason } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { MutatingWebhook, ValidatingWebhook } from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { WebhookCaller } from "../../extensions/webhook-client.ts";
import type { AdmissionAttributes } from "../admission.ts";
import { type Match, type Matcher, shownAs } from "../matching.ts";
import { ConditionError, type Conditions } from "../policies/conditions.ts";
import {
  type AdmissionAnswer,
  admissionRequest,
  admissionReview,
  answerOf,
  checkSteps,
  type ReviewVersion,
} from "./admission-review.ts";
import { ReviewDecodingError } from "./review-decoding.ts";
import { webhookCall } from "./webhook-metrics.ts";

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
}

/** The webhook could not be asked, or its answer is none: the failure policy decides. */
class CallError extends Error {
  override readonly name = "CallError";
  constructor(webhook: string, reason: string, cause?: unknown) {
    super(`failed calling webhook ${JSON.stringify(webhook)}: ${reason}`, { cause });
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
): Promise<Invocation | undefined> {
  const { webhook } = hook;
  const match = parts.matcher.match(attributes, { ...webhook, rules: webhook.rules ?? [] });
  if (!match) return undefined;
  const { matchConditions = [] } = webhook;
  if (matchConditions.length === 0) return { hook, match };
  try {
    const isMeant = await parts.conditions.hold(matchConditions, attributes, match);
    return isMeant ? { hook, match } : undefined;
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    if (webhook.failurePolicy === "Ignore") return undefined;
    throw forbidden({ group: match.group, plural: match.plural }, attributes.name, error.message);
  }
}

const harmless = ["None", "NoneOnDryRun"];

interface Asked {
  readonly answer: AdmissionAnswer;
  readonly object: KubeObject | undefined;
}

/** Asks. Throws CallError, or BadRequest for a dry run that the webhook would not take as one. */
export async function ask(
  parts: WebhookParts,
  invocation: Invocation,
  attributes: AdmissionAttributes,
  mutating: boolean,
): Promise<Asked> {
  const { name = "" } = invocation.hook.webhook;
  const called = webhookCall(name, mutating ? "admit" : "validating", attributes.operation);
  try {
    const asked = await answered(parts, invocation, attributes, mutating);
    called(asked.answer.allowed ? "allowed" : { refusedWith: rejection(name, asked.answer.result).code });
    return asked;
  } catch (error) {
    const isBorne = error instanceof CallError && invocation.hook.webhook.failurePolicy === "Ignore";
    called(isBorne ? "failed open" : "failed");
    throw error;
  }
}

async function answered(
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
    throw new CallError(name, `could not create admission objects: ${why}`);
  }
  const uid = crypto.randomUUID();
  const object = await shownAs(attributes, match, attributes.object);
  const oldObject = await shownAs(attributes, match, attributes.oldObject);
  const review = admissionReview(version, admissionRequest(attributes, match, uid), object, oldObject);
  let sentBack: unknown;
  try {
    const call = { timeout_ms: timeoutSeconds * 1000, announcesTimeout: true };
    sentBack = await parts.caller.call({ ...webhook.clientConfig, name }, review, call);
  } catch (error) {
    throw new CallError(
      name,
      `failed to call webhook: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
  let answer: AdmissionAnswer;
  try {
    answer = answerOf(sentBack, version, uid, mutating);
  } catch (error) {
    const what = error instanceof ReviewDecodingError ? "failed to call webhook" : "received invalid webhook response";
    throw new CallError(name, `${what}: ${(error as Error).message}`, error);
  }
  try {
    if (answer.allowed) checkSteps(answer);
  } catch (error) {
    throw new CallError(name, (error as Error).message, error);
  }
  for (const [key, text] of Object.entries(answer.auditAnnotations))
    attributes.auditAnnotations[`${name}/${key}`] = text;
  for (const warning of answer.warnings) if (!attributes.warnings.includes(warning)) attributes.warnings.push(warning);
  return { answer, object };
}

/** The refusal that a webhook has sent, as the client is told. */
export function rejection(name: string, result: AdmissionAnswer["result"]): StatusError {
  const denied = `admission webhook ${JSON.stringify(name)} denied the request`;
  const { message, reason, code, details } = (result ?? {}) as Record<string, unknown>;
  const why =
    typeof message === "string" && message !== ""
      ? `${denied}: ${message}`
      : typeof reason === "string" && reason !== ""
        ? `${denied}: ${reason}`
        : `${denied} without explanation`;
  const status = typeof code === "number" && code >= 400 ? code : 400;
  return new StatusError((typeof reason === "string" ? reason : "") as StatusReason, why, {
    ...(details as object | undefined),
    code: status,
  });
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
  attributes.auditAnnotations[`failed-open.${key}`] = hook.webhook.name ?? "";
  return undefined;
}
