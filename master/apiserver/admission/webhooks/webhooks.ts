/** MutatingAdmissionWebhook and ValidatingAdmissionWebhook. */
import { type FieldError, internalError, invalid, StatusError } from "#shared/api/errors.ts";
import { type GroupVersionKind, type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import { applyJsonPatch } from "#shared/api/patch/json-patch.ts";
import { goEscaped, goJson, isJsonObject, type JsonObject } from "#shared/api/patch/json-value.ts";
import { mutatingWebhookConfigurations, validatingWebhookConfigurations } from "#shared/api/resources.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import { compareBytes, goQuote } from "#shared/api/selector/go-quote.ts";
import type { MutatingWebhook, ValidatingWebhook } from "#shared/api/types/admissionregistration-v1.generated.ts";
import { patchAnnotations } from "../../audit/record.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { annotate } from "../attributes.ts";
import { isExempt, putBack } from "../matching.ts";
import { headOf, notAnObject, unregistered } from "./review-decoding.ts";
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
      const invocation = await invocationOf(this.parts, hook, attributes, "admit");
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

function requireAgain(memory: Memory): void {
  for (const id of memory.called) memory.again.add(id);
  memory.called.clear();
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
    if (error instanceof CustomKindError) throw invalid(error.gvk, object.metadata.name ?? "", [error.fault]);
    // Of a patch that does not fit, the client of a PATCH is told less than is known.
    const cause = error instanceof StatusError ? error.options.cause : undefined;
    const told = cause instanceof Error ? cause : error;
    throw internalError(told instanceof Error ? told.message : String(told), error);
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

/** A patched object, if it still is one of the kind that was shown. What it does not say of that stays. Throws Error. */
function sameKind(patched: unknown, shown: KubeObject): KubeObject {
  if (!isJsonObject(patched)) throw notAnObject(patched);
  const object = patched as unknown as KubeObject;
  const kind = headOf(patched, "kind") || shown.kind;
  const apiVersion = headOf(patched, "apiVersion") || shown.apiVersion;
  if (apiVersion !== shown.apiVersion || kind !== shown.kind) throw otherKind(kind, apiVersion, shown);
  return { ...object, apiVersion, kind };
}

/** Upstream knows of no custom kind before its objects are validated. */
class CustomKindError extends Error {
  override readonly name = "CustomKindError";
  readonly fault: FieldError;

  constructor(
    readonly gvk: GroupVersionKind,
    wanted: string,
  ) {
    const message = `Invalid value: ${goQuote(gvk.kind)}: must be ${wanted}`;
    super(message);
    this.fault = { field: "kind", reason: "FieldValueInvalid", message };
  }
}

/** Throws CustomKindError, and Error where there is no kind. */
function checkCustomKind(patched: unknown, shown: KubeObject): void {
  if (!isJsonObject(patched)) return;
  const kind = headOf(patched, "kind");
  if (kind === "") throw new Error(`Object 'Kind' is missing in '${goJson(patched)}'`);
  if (kind !== shown.kind) throw new CustomKindError({ ...parseApiVersion(shown.apiVersion), kind }, shown.kind);
}

function otherKind(kind: string, apiVersion: string, shown: KubeObject): Error {
  const gvk = { ...parseApiVersion(apiVersion), kind };
  if (!schemaFor(gvk)) return unregistered(kind, apiVersion);
  const { group } = parseApiVersion(shown.apiVersion);
  return new Error(
    `converting (${gvk.version}.${kind}) to (${group.split(".")[0] || "core"}.${shown.kind}): unknown conversion`,
  );
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
