import { internalError, isConflict, isNotFound, StatusError } from "#shared/api/errors.ts";
import { resourceQuotas } from "#shared/api/resources.ts";
import type { ResourceQuota } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { checkQuotas } from "../../quota/check.ts";
import { evaluatorFor } from "../../quota/evaluators.ts";
import type { LimitedResource } from "../../quota/limited-resources.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { refusal } from "./attributes.ts";

const attempts = 10;

/**
 * Keeps namespaces within their ResourceQuotas. What a write adds is charged to the quota's status before the write, so
 * that two writes at once cannot both take the last of it; the status controller gives back what was never used. Last of
 * all plugins, since nothing may be charged for a write that another refuses.
 */
export class ResourceQuotaPlugin implements AdmissionPlugin {
  readonly name = "ResourceQuota";
  /** The end of the queue of each namespace: one write at a time reads and charges its quotas. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(
    private readonly reader: ResourceReader,
    /** Of the API server itself. */
    private readonly client: () => Client,
    /** What may be used only where a quota speaks of it. */
    private readonly limits: readonly LimitedResource[] = [],
    private readonly now_ms: () => number = Date.now,
  ) {}

  validate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const { namespace, object, operation, declaration } = attributes;
    if (!namespace || !object || (operation !== "CREATE" && operation !== "UPDATE")) return;
    const evaluator = evaluatorFor(declaration.ref);
    if (!evaluator) return;
    if (this.limits.length === 0 && this.reader.list(resourceQuotas, namespace).length === 0) return;
    if (!evaluator.concerns({ ...attributes, object })) return;
    const rules = { resource: declaration.ref, evaluator, limits: this.limits };
    return this.#inTurn(namespace, async () => {
      let quotas = this.reader.list(resourceQuotas, namespace);
      for (let attempt = 1; ; attempt++) {
        const verdict = checkQuotas(quotas, rules, { ...attributes, object }, this.now_ms());
        if (verdict.kind === "refused") throw refusal(attributes, verdict.why);
        if (verdict.kind === "uncovered") throw new StatusError("", verdict.why, { code: 500 });
        if (attributes.dryRun) return;
        if (await this.#charge(verdict.grown)) return;
        if (attempt >= attempts) throw internalError("the resource quotas of the namespace change too fast");
        quotas = (await this.client().list(resourceQuotas, { namespace })).items;
      }
    });
  }

  /** false: a quota has changed meanwhile, look again. What was charged before that stays charged until the status
   *  controller counts anew: too much for a moment rather than too little. */
  async #charge(grown: readonly ResourceQuota[]): Promise<boolean> {
    for (const quota of grown) {
      try {
        await this.client().update(resourceQuotas, quota, { subresource: "status" });
      } catch (error) {
        if (isConflict(error)) return false;
        // A quota that was deleted meanwhile limits nothing.
        if (!isNotFound(error)) throw error;
      }
    }
    return true;
  }

  async #inTurn(namespace: string, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(namespace) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(namespace, settled);
    try {
      await mine;
    } finally {
      if (this.#turns.get(namespace) === settled) this.#turns.delete(namespace);
    }
  }
}
