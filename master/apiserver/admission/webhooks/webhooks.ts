/** MutatingAdmissionWebhook and ValidatingAdmissionWebhook. */
import { decodeJson } from "#shared/api/codec/json.ts";
import { internalError, StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { applyJsonPatch } from "#shared/api/patch/json-patch.ts";
import { equalJson, isJsonObject, type JsonObject } from "#shared/api/patch/json-value.ts";
import { mutatingWebhookConfigurations, validatingWebhookConfigurations } from "#shared/api/resources.ts";
import type { MutatingWebhook, ValidatingWebhook } from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { isExempt, putBack } from "../matching.ts";
import { notAnObject, unregistered } from "./review-decoding.ts";
import {
  ask,
  consequence,
  type Hook,
  type Invocation,
  invocationOf,
  rejection,
  type WebhookParts,
} from "./webhook-call.ts";

interface Configuration {
  readonly metadata: { readonly name?: string | undefined };
  readonly webhooks?: readonly (MutatingWebhook | ValidatingWebhook)[] | undefined;
}

/** By the configurations' names, then in the order in which they are written. */
function hooksOf(configurations: readonly Configuration[]): Hook[] {
  return configurations
    .toSorted((a, b) => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1))
    .flatMap(({ metadata, webhooks = [] }) => {
      const configuration = metadata.name ?? "";
      return webhooks.map((webhook, index) => ({
        webhook,
        configuration,
        id: `${configuration}/${webhook.name}/${index}`,
      }));
    });
}

/** Of the first round: which hooks may be called again, and what the object looked like when the last one was done. */
interface Memory {
  readonly again: Set<string>;
  readonly called: Set<string>;
  output: string;
}

export class MutatingWebhooks implements AdmissionPlugin {
  readonly name = "MutatingAdmissionWebhook";
  readonly mutatesOn = ["DELETE", "CONNECT"] as const;

  constructor(
    private readonly reader: ResourceReader,
    private readonly parts: WebhookParts,
  ) {}

  mutate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const configurations = this.reader.list(mutatingWebhookConfigurations);
    return configurations.length === 0 || isExempt(attributes) ? undefined : this.#mutate(configurations, attributes);
  }

  async #mutate(configurations: readonly Configuration[], attributes: AdmissionAttributes): Promise<void> {
    const round = attributes.reinvocation?.round ?? 0;
    const memory = this.#memoryOf(attributes);
    if (round === 1 && memory.output !== JSON.stringify(attributes.object)) requireAgain(memory);
    for (const [index, hook] of hooksOf(configurations).entries()) {
      const invocation = await invocationOf(this.parts, hook, attributes);
      if (!invocation || (round === 1 && !memory.again.has(hook.id))) continue;
      if (await this.#call(invocation, attributes, round, index)) {
        requireAgain(memory);
        if (attributes.reinvocation) attributes.reinvocation.isWanted = true;
      }
      if ((hook.webhook as MutatingWebhook).reinvocationPolicy === "IfNeeded") memory.called.add(hook.id);
    }
    memory.output = JSON.stringify(attributes.object);
  }

  #memoryOf({ reinvocation }: AdmissionAttributes): Memory {
    const known = reinvocation?.memory.get(this.name) as Memory | undefined;
    if (known) return known;
    const fresh: Memory = { again: new Set(), called: new Set(), output: "" };
    reinvocation?.memory.set(this.name, fresh);
    return fresh;
  }

  /** True when the object was changed. */
  async #call(invocation: Invocation, attributes: AdmissionAttributes, round: number, index: number): Promise<boolean> {
    const { hook, match } = invocation;
    const { name = "" } = hook.webhook;
    const key = `mutation.webhook.admission.k8s.io/round_${round}_index_${index}`;
    let mutated = false;
    try {
      const { answer, object } = await ask(this.parts, invocation, attributes, true);
      if (!answer.allowed) throw rejection(name, answer.result);
      if (answer.patch !== undefined) mutated = await applied(attributes, invocation, answer.patch, object);
      if (mutated) {
        attributes.auditAnnotations[`patch.webhook.admission.k8s.io/round_${round}_index_${index}`] = JSON.stringify({
          configuration: hook.configuration,
          webhook: name,
          patch: JSON.parse(answer.patch ?? "[]"),
          patchType: "JSONPatch",
        });
      }
    } catch (error) {
      const thrown = consequence(error, invocation, attributes, key);
      if (thrown) throw thrown;
    }
    attributes.auditAnnotations[key] = JSON.stringify({ configuration: hook.configuration, webhook: name, mutated });
    return mutated && match !== undefined;
  }
}

function requireAgain(memory: Memory): void {
  for (const id of memory.called) memory.again.add(id);
  memory.called.clear();
}

async function applied(
  attributes: AdmissionAttributes,
  { hook, match }: Invocation,
  patch: string,
  object: KubeObject | undefined,
): Promise<boolean> {
  const steps = decodeJson(patch).value;
  if (Array.isArray(steps) && steps.length === 0) return false;
  if (!object) {
    throw internalError(
      `admission webhook ${JSON.stringify(hook.webhook.name)} attempted to modify the object, which is not supported for this operation`,
    );
  }
  let changed: KubeObject;
  try {
    changed = sameKind(applyJsonPatch(object as unknown as JsonObject, steps), object);
  } catch (error) {
    // Of a patch that does not fit, the client of a PATCH is told less than is known.
    const cause = error instanceof StatusError ? error.options.cause : undefined;
    const told = cause instanceof Error ? cause : error;
    throw internalError(told instanceof Error ? told.message : String(told), error);
  }
  if (equalJson(changed, object)) return false;
  await putBack(attributes, match, changed);
  return true;
}

/** A patched object, if it still is one of the kind that was shown. What it does not say of that stays. Throws Error. */
function sameKind(patched: unknown, shown: KubeObject): KubeObject {
  if (!isJsonObject(patched)) throw notAnObject(patched);
  const object = patched as unknown as KubeObject;
  const { apiVersion = shown.apiVersion, kind = shown.kind } = object;
  if (apiVersion !== shown.apiVersion || kind !== shown.kind) throw unregistered(kind, apiVersion);
  return { ...object, apiVersion, kind };
}

export class ValidatingWebhooks implements AdmissionPlugin {
  readonly name = "ValidatingAdmissionWebhook";
  readonly seesConnections = true;

  constructor(
    private readonly reader: ResourceReader,
    private readonly parts: WebhookParts,
  ) {}

  /** All at once; the first refusal in order is the answer. */
  validate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const configurations = this.reader.list(validatingWebhookConfigurations);
    return configurations.length === 0 || isExempt(attributes) ? undefined : this.#validate(configurations, attributes);
  }

  async #validate(configurations: readonly Configuration[], attributes: AdmissionAttributes): Promise<void> {
    const invocations: Invocation[] = [];
    for (const hook of hooksOf(configurations)) {
      const invocation = await invocationOf(this.parts, hook, attributes);
      if (invocation) invocations.push(invocation);
    }
    const errors = await Promise.all(invocations.map((each, index) => this.#call(each, attributes, index)));
    const refusal = errors.find((error) => error !== undefined);
    if (refusal) throw refusal;
  }

  async #call(invocation: Invocation, attributes: AdmissionAttributes, index: number): Promise<Error | undefined> {
    try {
      const { answer } = await ask(this.parts, invocation, attributes, false);
      return answer.allowed ? undefined : rejection(invocation.hook.webhook.name ?? "", answer.result);
    } catch (error) {
      const key = `validating.webhook.admission.k8s.io/round_0_index_${index}`;
      return consequence(error, invocation, attributes, key);
    }
  }
}
