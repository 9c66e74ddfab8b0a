/** What an API server does at its start, and how far it has got: told by health checks, under the names of upstream's hooks. */
import type { HealthCheck } from "#shared/http/health-page.ts";

/**
 * Upstream's hooks and checks, in the order in which it tells of them, each with the step of this server's start that does
 * its work. Of the others nothing here is an equivalent:
 * - `priority-and-fairness-filter` keeps the highest marks of its gauges up to date; the gate here tells what is.
 * - `storage-object-count-tracker-hook` counts objects so that lists are weighed; the watch caches know how many they hold.
 * - `start-encryption-provider-config-automatic-reload` and the like are hooks of what is off unless asked for; what is
 *   wrong with keys, `kms-providers` tells.
 */
const upstreamNames = [
  ["poststarthook/start-apiserver-admission-initializer", "guards"],
  ["poststarthook/generic-apiserver-start-informers", "watch caches"],
  ["poststarthook/priority-and-fairness-config-consumer", "request gate"],
  ["poststarthook/start-apiextensions-informers", "custom resources"],
  ["poststarthook/start-apiextensions-controllers", "custom resources"],
  ["poststarthook/crd-informer-synced", "custom resources"],
  ["poststarthook/start-system-namespaces-controller", "namespaces"],
  ["poststarthook/start-cluster-authentication-info-controller", "extension authentication"],
  ["poststarthook/start-kube-apiserver-identity-lease-controller", "identity lease"],
  // Who keeps a Lease also looks at those of the others.
  ["poststarthook/start-kube-apiserver-identity-lease-garbage-collector", "identity lease"],
  ["poststarthook/start-legacy-token-tracking-controller", "legacy token tracking"],
  ["poststarthook/start-service-ip-repair-controllers", "service addresses"],
  ["poststarthook/rbac/bootstrap-roles", "roles"],
  ["poststarthook/scheduling/bootstrap-system-priority-classes", "priority classes"],
  ["poststarthook/priority-and-fairness-config-producer", "flow control objects"],
  ["poststarthook/bootstrap-controller", "kubernetes Service"],
  ["poststarthook/start-kubernetes-service-cidr-controller", "service ranges"],
  ["poststarthook/aggregator-reload-proxy-client-cert", "certificates"],
  // One loop follows APIServices, asks the servers behind them and shows what they serve, OpenAPI included.
  ["poststarthook/start-kube-aggregator-informers", "aggregation"],
  ["poststarthook/apiservice-status-local-available-controller", "own APIServices"],
  ["poststarthook/apiservice-status-remote-available-controller", "aggregation"],
  ["poststarthook/apiservice-registration-controller", "aggregation"],
  ["poststarthook/apiservice-discovery-controller", "aggregation"],
  ["poststarthook/kube-apiserver-autoregistration", "aggregation"],
  ["autoregister-completion", "own APIServices"],
  ["poststarthook/apiservice-openapi-controller", "aggregation"],
  ["poststarthook/apiservice-openapiv3-controller", "aggregation"],
] as const satisfies readonly (readonly [name: string, step: string])[];

export type StartStep = (typeof upstreamNames)[number][1];

/** How far a step is: nothing has come of it yet; it was tried and did not succeed, and is tried again; done, once and for all. */
type Progress = "begun" | "tried" | "done";

export class StartSteps {
  readonly #progress = new Map<StartStep, Progress>();

  /** The work of a step, which is told of from now on. It may be called again until it succeeds. */
  tracked(step: StartStep, work: () => Promise<void>): () => Promise<void> {
    this.begin(step);
    return async () => {
      try {
        await work();
      } catch (error) {
        this.#tried(step);
        throw error;
      }
      this.done(step);
    };
  }

  /** Tells of a step that is not done yet. */
  begin(step: StartStep): void {
    if (!this.#progress.has(step)) this.#progress.set(step, "begun");
  }

  done(step: StartStep): void {
    this.#progress.set(step, "done");
  }

  #tried(step: StartStep): void {
    if (this.#progress.get(step) === "begun") this.#progress.set(step, "tried");
  }

  /** Of the steps that this server takes.
   *  @param isLiveness one that is tried again passes: a start anew would try it no better, and through this server people
   *    may mend what is in the way, such as a webhook that refuses the master's own writes. */
  checks(isLiveness: boolean): Record<string, HealthCheck> {
    const taken = upstreamNames.filter(([, step]) => this.#progress.has(step));
    return Object.fromEntries(taken.map(([name, step]) => [name, async () => this.#assert(step, isLiveness)]));
  }

  #assert(step: StartStep, isLiveness: boolean): void {
    const progress = this.#progress.get(step);
    if (progress === "done" || (isLiveness && progress === "tried")) return;
    throw new Error("not finished");
  }
}
