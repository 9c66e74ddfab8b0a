/** Checks the expressions of policies against the kinds that they are about, and writes what it finds into their status. */
import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { validatingAdmissionPolicies } from "#shared/api/resources.ts";
import type { ValidatingAdmissionPolicy } from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { runQueueWorker } from "#shared/client/queue-worker.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { ResourceTable } from "../../registry/resource-table.ts";
import { typeWarnings } from "./type-checking.ts";

export interface PolicyStatusesOptions {
  readonly reader: ResourceReader;
  readonly resources: ResourceTable;
  readonly client: Client;
  readonly log: Log;
}

/** As upstream's controller is named. */
const FIELD_MANAGER = "validatingadmissionpolicy-status-controller";

export class PolicyStatuses {
  readonly #options: PolicyStatusesOptions;
  readonly #queue = new WorkQueue({ firstBackOff_ms: 50, longestBackOff_ms: 60_000 });
  #unlisten: (() => void) | undefined;

  constructor(options: PolicyStatusesOptions) {
    this.#options = options;
  }

  start(): void {
    const { reader, log } = this.#options;
    const look = ({ metadata }: ValidatingAdmissionPolicy): void => this.#queue.add(metadata.name ?? "");
    this.#unlisten = reader.onChange(validatingAdmissionPolicies, look);
    for (const policy of reader.list(validatingAdmissionPolicies)) look(policy);
    void runQueueWorker(
      this.#queue,
      (name) => this.#check(name),
      (name, error) => {
        if (!isConflict(error) && !isNotFound(error))
          log.warn("the status of an admission policy could not be written", { name, error });
      },
    );
  }

  stop(): void {
    this.#unlisten?.();
    this.#queue.shutDown();
  }

  async #check(name: string): Promise<void> {
    const { reader, resources, client } = this.#options;
    const policy = reader.get(validatingAdmissionPolicies, { name });
    const { generation = 0 } = policy?.metadata ?? {};
    if (!policy || policy.status?.observedGeneration === generation) return;
    const warnings = typeWarnings(policy, resources);
    const typeChecking = warnings.length > 0 ? { expressionWarnings: warnings } : {};
    // Applied, as upstream does: what was found before and is not any more goes with the field that held it.
    const body = {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name },
      status: { observedGeneration: generation, typeChecking },
    };
    await client.patch(
      validatingAdmissionPolicies,
      { name },
      { type: "apply", body, force: true },
      { subresource: "status", fieldManager: FIELD_MANAGER },
    );
  }
}
