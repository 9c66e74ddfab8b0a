import type { AdmissionPlugin } from "../admission/admission.ts";
import { Matcher } from "../admission/matching.ts";
import { WebhookConditions } from "../admission/policies/conditions.ts";
import { MutatingPolicies } from "../admission/policies/mutating-policies.ts";
import { ParamPermissions } from "../admission/policies/param-permissions.ts";
import { PolicyStatuses } from "../admission/policies/policy-statuses.ts";
import { ValidatingPolicies } from "../admission/policies/validating-policies.ts";
import { MutatingWebhooks, ValidatingWebhooks } from "../admission/webhooks/webhooks.ts";
import { Aggregator, type AggregatorOptions } from "../aggregator/aggregator.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import type { StartSteps } from "../discovery/start-steps.ts";
import { Definitions, type Serving } from "./definitions.ts";
import { WebhookClient } from "./webhook-client.ts";
import type { WebhookLogins } from "./webhook-logins.ts";

export interface ExtensionsOptions extends AggregatorOptions {
  /** The whole chain; asked only while requests are served. */
  readonly authorizer: Authorizer;
  readonly webhookLogins?: AdmissionLogins | undefined;
}

/** By what admission webhooks are asked, where a configuration says it. */
export interface AdmissionLogins {
  readonly mutating?: WebhookLogins | undefined;
  readonly validating?: WebhookLogins | undefined;
}

/** What other programs bring to the API server: kinds by CustomResourceDefinitions, groups by APIServices, and a say in admission
 *  by webhooks and policies. */
export class Extensions {
  /** In upstream's order; they stand behind all plugins that are built in, and before quota. */
  readonly admission: readonly AdmissionPlugin[];
  readonly aggregator: Aggregator;
  readonly #options: ExtensionsOptions;
  readonly #webhooks: WebhookClient;
  readonly #statuses: PolicyStatuses;
  #definitions: Definitions | undefined;

  constructor(options: ExtensionsOptions) {
    const { reader, resources, authorizer, dialer, client, log, webhookLogins } = options;
    this.#options = options;
    this.#webhooks = new WebhookClient(reader, dialer);
    this.aggregator = new Aggregator(options);
    this.#statuses = new PolicyStatuses({ reader, resources, client, log });
    const matcher = new Matcher(reader, resources);
    const conditions = new WebhookConditions(reader, authorizer);
    const parts = { matcher, caller: this.#webhooks, conditions };
    const policyParts = { reader, resources, matcher, authorizer };
    this.admission = [
      new MutatingPolicies(policyParts),
      new MutatingWebhooks(reader, { ...parts, logins: webhookLogins?.mutating }),
      new ValidatingPolicies(policyParts),
      new ValidatingWebhooks(reader, { ...parts, logins: webhookLogins?.validating }),
      new ParamPermissions(policyParts),
    ];
  }

  /** Once the server has started: serves the custom resources that are there, and follows changes. */
  async start(serving: Serving, steps: StartSteps): Promise<void> {
    const { reader, client, log } = this.#options;
    const definitions = new Definitions({ reader, serving, client, webhooks: this.#webhooks, log });
    this.#definitions = definitions;
    await steps.tracked("custom resources", () => definitions.start())();
    this.#statuses.start();
    this.aggregator.start(steps);
  }

  stop(): void {
    this.#definitions?.stop();
    this.#statuses.stop();
    this.aggregator.stop();
  }
}
