import type { FieldError } from "#shared/api/errors.ts";
import type {
  MutatingWebhook,
  ServiceReference,
  ValidatingWebhook,
  WebhookClientConfig,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import { collect, each, type Field, oneOf, semanticEqual } from "../validation/field.ts";
import { isDns1035Label, isDns1123Subdomain, isPortNumber } from "../validation/names.ts";
import { validateLabelSelector } from "../validation/selectors.ts";
import { validateWebhookUrl } from "../validation/webhook-url.ts";
import {
  applyRuleDefaults,
  failurePolicies,
  matchPolicies,
  validateMatchConditions,
  validateRule,
} from "./rule-rules.ts";

type Webhook = ValidatingWebhook | MutatingWebhook;
interface Configuration {
  readonly webhooks?: readonly Webhook[] | undefined;
}

const harmless = ["None", "NoneOnDryRun"];
const sideEffects = ["None", "NoneOnDryRun", "Some", "Unknown"];
const reviewVersions = ["v1", "v1beta1"];
const maxTimeout_s = 30;

export function applyWebhookDefaults({ webhooks = [] }: { webhooks?: Webhook[] | undefined }): void {
  for (const webhook of webhooks) {
    webhook.failurePolicy ??= "Fail";
    webhook.matchPolicy ??= "Equivalent";
    webhook.namespaceSelector ??= {};
    webhook.objectSelector ??= {};
    webhook.timeoutSeconds ??= 10;
    if (webhook.clientConfig?.service) webhook.clientConfig.service.port ??= 443;
    applyRuleDefaults(webhook.rules);
  }
}

export function applyMutatingWebhookDefaults(draft: { webhooks?: MutatingWebhook[] | undefined }): void {
  applyWebhookDefaults(draft);
  for (const webhook of draft.webhooks ?? []) webhook.reinvocationPolicy ??= "Never";
}

/** What the old object already has wrong is borne with. */
export const validateWebhooks = ({ webhooks = [] }: Configuration, old?: Configuration): FieldError[] =>
  collect((root) => {
    const leniency = leniencyOf(webhooks, old?.webhooks);
    const seen = new Set<string>();
    each(webhooks, root.at("webhooks"), (webhook, at) => {
      validateWebhook(webhook, leniency, at);
      validateReviewVersions(webhook.admissionReviewVersions ?? [], leniency, at.at("admissionReviewVersions"));
      if (!webhook.name || leniency.names) return;
      if (seen.has(webhook.name)) at.at("name").duplicate(webhook.name);
      seen.add(webhook.name);
    });
  });

interface Leniency {
  readonly conditions: boolean;
  readonly sideEffects: boolean;
  readonly versions: boolean;
  readonly names: boolean;
  readonly selectors: "tolerant" | undefined;
}

function leniencyOf(webhooks: readonly Webhook[], old: readonly Webhook[] | undefined): Leniency {
  if (old === undefined) {
    return { conditions: false, sideEffects: false, versions: false, names: false, selectors: undefined };
  }
  const conditions = (list: readonly Webhook[]) => list.map(({ matchConditions }) => matchConditions ?? null);
  const hasVersions = ({ admissionReviewVersions: versions = [] }: Webhook): boolean =>
    versions.length === 0 || versions.some((version) => reviewVersions.includes(version));
  const hasBadSelector = collect((root) => {
    for (const { namespaceSelector, objectSelector } of old) {
      validateLabelSelector(namespaceSelector, root);
      validateLabelSelector(objectSelector, root);
    }
  });
  return {
    conditions: semanticEqual(conditions(webhooks), conditions(old)),
    sideEffects: !old.every((webhook) => harmless.includes(webhook.sideEffects)),
    versions: !old.every(hasVersions),
    names: new Set(old.map(({ name }) => name)).size < old.length,
    selectors: hasBadSelector.length > 0 ? "tolerant" : undefined,
  };
}

function validateWebhook(webhook: Webhook, leniency: Leniency, field: Field): void {
  validateFullyQualifiedName(webhook.name, field.at("name"));
  each(webhook.rules, field.at("rules"), validateRule);
  const { failurePolicy, matchPolicy, timeoutSeconds: timeout_s = 10 } = webhook;
  if (failurePolicy !== undefined) oneOf(failurePolicy, failurePolicies, field.at("failurePolicy"));
  if (matchPolicy !== undefined) oneOf(matchPolicy, matchPolicies, field.at("matchPolicy"));
  const allowed = leniency.sideEffects ? sideEffects : harmless;
  if (webhook.sideEffects === undefined) field.at("sideEffects").required(`must specify one of ${allowed.join(", ")}`);
  else oneOf(webhook.sideEffects, allowed, field.at("sideEffects"));
  if (timeout_s > maxTimeout_s || timeout_s < 1)
    field.at("timeoutSeconds").invalid(timeout_s, "the timeout value must be between 1 and 30 seconds");
  validateLabelSelector(webhook.namespaceSelector, field.at("namespaceSelector"), leniency.selectors);
  validateLabelSelector(webhook.objectSelector, field.at("objectSelector"), leniency.selectors);
  if ("reinvocationPolicy" in webhook && webhook.reinvocationPolicy !== undefined)
    oneOf(webhook.reinvocationPolicy, ["IfNeeded", "Never"], field.at("reinvocationPolicy"));
  validateClient(webhook.clientConfig, field.at("clientConfig"));
  if (!leniency.conditions) validateMatchConditions(webhook.matchConditions, field.at("matchConditions"));
}

function validateFullyQualifiedName(name: string, field: Field): void {
  if (!name) {
    field.required();
    return;
  }
  const faults = isDns1123Subdomain(name);
  if (faults.length > 0) field.invalid(name, faults.join(","));
  else if (name.split(".").length < 3)
    field.invalid(name, "should be a domain with at least three segments separated by dots");
}

function validateReviewVersions(versions: readonly string[], leniency: Leniency, field: Field): void {
  if (versions.length === 0) {
    field.required(`must specify one of ${reviewVersions.join(", ")}`);
    return;
  }
  const seen = new Set<string>();
  each(versions, field, (version, at) => {
    if (seen.has(version)) at.invalid(version, "duplicate version");
    else at.invalidEach(version, isDns1035Label(version));
    seen.add(version);
  });
  if (!leniency.versions && !versions.some((version) => reviewVersions.includes(version)))
    field.invalid(versions, `must include at least one of ${reviewVersions.join(", ")}`);
}

function validateClient({ url, service }: WebhookClientConfig, field: Field): void {
  if ((url === undefined) === (service === undefined)) field.required("exactly one of url or service is required");
  else if (url !== undefined) validateWebhookUrl(url, field.at("url"));
  else if (service) validateService(service, field.at("service"));
}

function validateService({ name, namespace, path = "", port = 0 }: ServiceReference, field: Field): void {
  // Upstream passes the two in the other order.
  if (!namespace) field.at("name").required();
  if (!name) field.at("namespace").required();
  const faults = isPortNumber(port);
  if (faults.length > 0) field.at("port").invalid(port, `port is not valid: ${faults.join(", ")}`);
  const at = field.at("path");
  if (path === "" || path === "/") return;
  if (path === "//") {
    at.invalid(path, "segment[0] may not be empty");
    return;
  }
  if (!path.startsWith("/")) at.invalid(path, "must start with a '/'");
  for (const [index, step] of path.slice(1).replace(/\/$/, "").split("/").entries()) {
    if (step === "") at.invalid(path, `segment[${index}] may not be empty`);
    else for (const fault of isDns1123Subdomain(step)) at.invalid(path, `segment[${index}]: ${fault}`);
  }
}
