/** MutatingAdmissionWebhook and ValidatingAdmissionWebhook. */
import { internalError, StatusError } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { applyJsonPatch } from "#shared/api/patch/json-patch.ts";
import { goEscaped, type JsonObject } from "#shared/api/patch/json-value.ts";
import { mutatingWebhookConfigurations, validatingWebhookConfigurations } from "#shared/api/resources.ts";
import { compareBytes } from "#shared/api/selector/go-quote.ts";
import type { MutatingWebhook, ValidatingWebhook } from "#shared/api/types/admissionregistration-v1.generated.ts";
import { patchAnnotations } from "../../audit/record.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { annotate } from "../attributes.ts";
import { isExemptFromWebhooks, putBack } from "../matching.ts";
import { CustomKindError, checkCustomKind, sameKind } from "../patched-kind.ts";
import { ReinvocationMemory } from "../reinvocation.ts";
import {
  ask,
  consequence,
  counted,
  type Hook,
  type Invocation,
  invocationOf,
  type Steps,
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

export class MutatingWebhooks implements AdmissionPlugin {
  readonly name = "MutatingAdmissionWebhook";
  readonly mutatesOn = ["DELETE", "CONNECT"] as const;

  constructor(
    private readonly reader: ResourceReader,
    private readonly parts: WebhookParts,
  ) {}

  mutate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const configurations = this.reader.list(mutatingWebhookConfigurations);
    return configurations.length === 0 || isExemptFromWebhooks(attributes)
      ? undefined
      : this.#mutate(configurations, attributes);
  }

  async #mutate(configurations: readonly Configuration[], attributes: AdmissionAttributes): Promise<void> {
    const round = attributes.reinvocation?.round ?? 0;
    const memory = ReinvocationMemory.of(attributes, this.name);
    memory.begin(attributes);
    for (const [index, hook] of hooksOf(configurations).entries()) {
      const invocation = await invocationOf(this.parts, hook, attributes, "admit");
      if (!invocation || !memory.isAsked(attributes, hook.id)) continue;
      if (await this.#call(invocation, attributes, round, index)) {
        memory.requireAgain();
        if (attributes.reinvocation) attributes.reinvocation.isWanted = true;
      }
      if ((hook.webhook as MutatingWebhook).reinvocationPolicy === "IfNeeded") memory.mayAskAgain(hook.id);
    }
    memory.end(attributes);
  }

  /** True when the object was changed. */
  async #call(invocation: Invocation, attributes: AdmissionAttributes, round: number, index: number): Promise<boolean> {
    const { hook } = invocation;
    const { name = "" } = hook.webhook;
    const key = `mutation.webhook.admission.k8s.io/round_${round}_index_${index}`;
    let mutated = false;
    try {
      mutated = await counted(invocation, attributes.operation, "admit", async () => {
        const { steps, object } = await ask(this.parts, invocation, attributes, true);
        return steps.length > 0 && applied(attributes, invocation, steps, object, `${round}_index_${index}`);
      });
    } catch (error) {
      const thrown = consequence(error, invocation, attributes, key);
      if (thrown) throw thrown;
    } finally {
      annotate(attributes, key, JSON.stringify({ configuration: hook.configuration, webhook: name, mutated }));
    }
    return mutated;
  }
}

/** True when the object was changed. Throws InternalError for a patch that cannot be applied. */
async function applied(
  attributes: AdmissionAttributes,
  { hook, match }: Invocation,
  steps: Steps,
  object: KubeObject | undefined,
  place: string,
): Promise<boolean> {
  const name = hook.webhook.name ?? "";
  if (!object) {
    throw internalError(
      `admission webhook ${JSON.stringify(name)} attempted to modify the object, which is not supported for this operation`,
    );
  }
  let isChanged: boolean;
  const { custom = false } = attributes.declaration;
  try {
    const patched = applyJsonPatch(object as unknown as JsonObject, steps);
    if (custom) checkCustomKind(patched, object);
    const changed = sameKind(patched, object);
    isChanged = await putBack(attributes, match, object, changed);
  } catch (error) {
    if (error instanceof CustomKindError) throw error.refusal(object);
    // Of a patch that does not fit, the client of a PATCH is told less than is known.
    const cause = error instanceof StatusError ? error.options.cause : undefined;
    const told = cause instanceof Error ? cause : error;
    throw internalError(messageOf(told), error);
  }
  annotate(
    attributes,
    `${patchAnnotations}round_${place}`,
    goEscaped({
      configuration: hook.configuration,
      webhook: name,
      patch: steps.map((step) => step && inNameOrder(step)),
      patchType: "JSONPatch",
    }),
  );
  return isChanged;
}

/** Upstream keeps operations as maps of texts. */
const inNameOrder = (step: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(step).sort(([a], [b]) => compareBytes(a, b)));

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
    return configurations.length === 0 || isExemptFromWebhooks(attributes)
      ? undefined
      : this.#validate(configurations, attributes);
  }

  async #validate(configurations: readonly Configuration[], attributes: AdmissionAttributes): Promise<void> {
    const invocations: Invocation[] = [];
    for (const hook of hooksOf(configurations)) {
      const invocation = await invocationOf(this.parts, hook, attributes, "validating");
      if (invocation) invocations.push(invocation);
    }
    const errors = await Promise.all(invocations.map((each, index) => this.#call(each, attributes, index)));
    const refusal = errors.find((error) => error !== undefined);
    if (refusal) throw refusal;
  }

  async #call(invocation: Invocation, attributes: AdmissionAttributes, index: number): Promise<Error | undefined> {
    try {
      await counted(invocation, attributes.operation, "validating", () =>
        ask(this.parts, invocation, attributes, false),
      );
      return undefined;
    } catch (error) {
      const key = `validating.webhook.admission.k8s.io/round_0_index_${index}`;
      return consequence(error, invocation, attributes, key);
    }
  }
}
