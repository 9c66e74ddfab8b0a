/** Asks a service elsewhere by SubjectAccessReviews (upstream's plugin/pkg/authorizer/webhook). */
import { parseFieldSelector } from "#shared/api/selector/field-selector.ts";
import { type LabelOperator, parseLabelSelector } from "#shared/api/selector/label-selector.ts";
import type {
  ResourceAttributes,
  SubjectAccessReviewSpec,
  SubjectAccessReviewStatus,
} from "#shared/api/types/authorization-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import { AnswerCache } from "../answer-cache.ts";
import { KubeconfigWebhook, ReviewError, type RoundTrip } from "../kubeconfig-webhook.ts";
import type { WebhookEntry } from "./authorization-configuration.ts";
import type { Attributes, Authorizer, Decision } from "./authorizer.ts";
import { allMatch } from "./match-conditions.ts";
import {
  matchConditionErrors,
  matchConditionExclusions,
  webhookDurations,
  webhookEvaluations,
  webhookFailOpens,
} from "./webhook-metrics.ts";

const MOST_ANSWERS = 8192;
/** Longer requests are not remembered: they may only be made to fill the memory. */
const MAX_REMEMBERED = 10_000;

interface Review {
  readonly kind?: string;
  readonly status?: SubjectAccessReviewStatus;
}

export class WebhookAuthorizer implements Authorizer {
  readonly #webhook: KubeconfigWebhook;
  readonly #answers = new AnswerCache<SubjectAccessReviewStatus>(MOST_ANSWERS);

  /** Throws ConfigError where the entry's file is no kubeconfig. */
  constructor(
    private readonly entry: WebhookEntry,
    private readonly log: Log,
  ) {
    this.#webhook = new KubeconfigWebhook(`authorizer ${entry.name}`, entry.kubeconfig, entry.timeout_ms);
  }

  async authorize(attributes: Attributes): Promise<Decision> {
    const spec = reviewSpecOf(attributes);
    try {
      if (!this.#concerns(spec)) return { outcome: "no-opinion", reason: "" };
      return decisionOf(await this.#statusOf(spec, attributes));
    } catch (error) {
      const { name, onFailure } = this.entry;
      if (error instanceof ReviewError && onFailure === "no-opinion") webhookFailOpens.add([name, error.result]);
      this.log.error("an authorization webhook gave no decision", { name, error });
      return { outcome: onFailure, reason: "", error: (error as Error).message };
    }
  }

  /** Throws where that cannot be told. */
  #concerns(spec: SubjectAccessReviewSpec): boolean {
    const labels = ["Webhook", this.entry.name];
    try {
      const matches = allMatch(this.entry.conditions, spec);
      if (!matches) matchConditionExclusions.add(labels);
      return matches;
    } catch (error) {
      matchConditionErrors.add(labels);
      throw error;
    }
  }

  #statusOf(spec: SubjectAccessReviewSpec, attributes: Attributes): Promise<SubjectAccessReviewStatus> {
    const { authorizedTtl_ms, unauthorizedTtl_ms } = this.entry;
    const ask = () => this.#ask(spec);
    if (controlledLength(attributes) >= MAX_REMEMBERED) return ask();
    return this.#answers.answer(JSON.stringify(spec), ask, ({ allowed }) =>
      allowed ? authorizedTtl_ms : unauthorizedTtl_ms,
    );
  }

  async #ask(spec: SubjectAccessReviewSpec): Promise<SubjectAccessReviewStatus> {
    const { version } = this.entry;
    const { groups, ...rest } = spec;
    const review = {
      apiVersion: `authorization.k8s.io/${version}`,
      kind: "SubjectAccessReview",
      metadata: {},
      // The older version has the groups under another name.
      spec: version === "v1" ? spec : { ...rest, group: groups },
    };
    const count = (result: RoundTrip, took_s: number): void => {
      webhookEvaluations.add([this.entry.name, result]);
      webhookDurations.observe(took_s, [this.entry.name, result]);
    };
    return (await this.#webhook.review<Review>(review, undefined, count)).status ?? { allowed: false };
  }
}

function decisionOf({ allowed, denied, reason = "" }: SubjectAccessReviewStatus): Decision {
  if (denied && allowed)
    return {
      outcome: "deny",
      reason,
      error: "webhook subject access review returned both allow and deny response",
    };
  if (denied) return { outcome: "deny", reason };
  return { outcome: allowed ? "allow" : "no-opinion", reason };
}

const controlledLength = ({
  namespace = "",
  verb,
  group,
  version,
  resource,
  subresource = "",
  name = "",
  path,
}: Attributes) => [namespace, verb, group, version, resource, subresource, name, path].join("").length;

function reviewSpecOf(attributes: Attributes): SubjectAccessReviewSpec {
  const { user, isResourceRequest, path, verb } = attributes;
  return {
    ...(isResourceRequest
      ? { resourceAttributes: resourceAttributesOf(attributes) }
      : { nonResourceAttributes: { path, verb } }),
    user: user.name,
    groups: [...user.groups],
    ...(user.uid ? { uid: user.uid } : {}),
    ...(user.extra ? { extra: mutable(user.extra) } : {}),
  };
}

const mutable = (extra: Readonly<Record<string, readonly string[]>>): Record<string, string[]> =>
  Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]]));

function resourceAttributesOf(attributes: Attributes): ResourceAttributes {
  const { namespace, verb, group, version, resource, subresource, name, fieldSelector, labelSelector } = attributes;
  const fields = readable(fieldSelector, fieldRequirements);
  const labels = readable(labelSelector, labelRequirements);
  return {
    ...(namespace ? { namespace } : {}),
    verb,
    ...(group ? { group } : {}),
    ...(version ? { version } : {}),
    resource,
    ...(subresource ? { subresource } : {}),
    ...(name ? { name } : {}),
    ...(fields?.length ? { fieldSelector: { requirements: fields } } : {}),
    ...(labels?.length ? { labelSelector: { requirements: labels } } : {}),
  };
}

/** A selector that cannot be read asks for everything, as far as permissions go; the request itself is refused later. */
function readable<T>(text: string | undefined, read: (text: string) => T): T | undefined {
  if (!text) return undefined;
  try {
    return read(text);
  } catch {
    return undefined;
  }
}

interface Requirement {
  key: string;
  operator: string;
  values?: string[] | undefined;
}

const fieldRequirements = (text: string): Requirement[] =>
  parseFieldSelector(text).requirements.map(({ field, operator, value }) => ({
    key: field,
    operator: operator === "=" ? "In" : "NotIn",
    values: [value],
  }));

const labelOperators: { readonly [O in LabelOperator]?: string } = {
  "=": "In",
  "==": "In",
  in: "In",
  "!=": "NotIn",
  notin: "NotIn",
  exists: "Exists",
  "!": "DoesNotExist",
};

/** Without comparisons, which a review cannot say. */
const labelRequirements = (text: string): Requirement[] =>
  parseLabelSelector(text).requirements.flatMap(({ key, operator, values }) => {
    const name = labelOperators[operator];
    return name === undefined ? [] : [{ key, operator: name, ...(values.length > 0 ? { values: [...values] } : {}) }];
  });
