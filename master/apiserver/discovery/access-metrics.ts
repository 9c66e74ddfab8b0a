/** Who came and what they were allowed, under upstream's names. */
import { StatusError } from "#shared/api/errors.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, exponential, HistogramTable } from "#shared/metrics/tables.ts";
import type { Authorizer, Decision } from "../authz/authorizer.ts";
import type { User } from "../request.ts";

const bounds_s = exponential(0.001, 2, 15);
/** Names that are counted apart; those of people and programs are not for a metric. */
const knownNames = new Set(["admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default"]);

const results = { allow: "allowed", deny: "denied", "no-opinion": "no-opinion" } as const;

export class AccessMetrics {
  readonly #attempts = new CounterTable({
    name: "authentication_attempts",
    help: "Attempts to find out who asks, by their result.",
    labels: ["result"],
  });
  readonly #attemptsTook = new HistogramTable(
    { name: "authentication_duration_seconds", help: "How long they took.", labels: ["result"] },
    bounds_s,
  );
  readonly #users = new CounterTable({
    name: "authenticated_user_requests",
    help: "Requests of known users.",
    labels: ["username"],
  });
  readonly #decisions = new CounterTable({
    name: "authorization_attempts_total",
    help: "Decisions whether something is allowed.",
    labels: ["result"],
  });
  readonly #decisionsTook = new HistogramTable(
    { name: "authorization_duration_seconds", help: "How long they took.", labels: ["result"] },
    bounds_s,
  );

  async authenticating(work: () => Promise<User>): Promise<User> {
    const began_ms = performance.now();
    let result = "success";
    try {
      const user = await work();
      this.#users.add([knownNames.has(user.name) ? user.name : "other"]);
      return user;
    } catch (error) {
      result = error instanceof StatusError && error.reason === "Unauthorized" ? "failure" : "error";
      throw error;
    } finally {
      this.#attempts.add([result]);
      this.#attemptsTook.observe((performance.now() - began_ms) / 1000, [result]);
    }
  }

  /** The same authorizer, with what it decides counted. */
  counted(authorizer: Authorizer): Authorizer {
    const note = (began_ms: number, result: string): void => {
      this.#decisions.add([result]);
      this.#decisionsTook.observe((performance.now() - began_ms) / 1000, [result]);
    };
    const failed = (began_ms: number, error: unknown): never => {
      note(began_ms, "error");
      throw error;
    };
    const decided = (began_ms: number, decision: Decision): Decision => {
      note(began_ms, results[decision.outcome]);
      return decision;
    };
    return {
      authorize: (attributes) => {
        const began_ms = performance.now();
        try {
          const decision = authorizer.authorize(attributes);
          if (!(decision instanceof Promise)) return decided(began_ms, decision);
          return decision.then(
            (made) => decided(began_ms, made),
            (error: unknown) => failed(began_ms, error),
          );
        } catch (error) {
          return failed(began_ms, error);
        }
      },
    };
  }

  families(): Family[] {
    return [this.#attempts, this.#attemptsTook, this.#users, this.#decisions, this.#decisionsTook].map((each) =>
      each.family(),
    );
  }
}
