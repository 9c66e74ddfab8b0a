import { gaugeFamily, startTimeFamily } from "#shared/metrics/process-families.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable } from "#shared/metrics/tables.ts";

/** Where a component tells of them. */
export const healthResultsPath = "/metrics/slis";

/** What the health checks of a component came to, for objectives of a service level (KEP-3466). */
export class HealthResults {
  readonly #last = new Map<string, { readonly name: string; readonly type: string; isWell: boolean }>();
  readonly #all = new CounterTable({
    name: "kubernetes_healthchecks_total",
    help: "Results of health checks.",
    labels: ["name", "type", "status"],
  });

  /** @param page `healthz`, `livez` or `readyz`: which was asked for. */
  took(check: string, page: string, isWell: boolean): void {
    const key = `${page}/${check}`;
    const known = this.#last.get(key);
    if (known) known.isWell = isWell;
    else this.#last.set(key, { name: check, type: page, isWell });
    this.#all.add([check, page, isWell ? "success" : "error"]);
  }

  families(): Family[] {
    return [
      gaugeFamily(
        "kubernetes_healthcheck",
        "Last result of a health check: 1 where all was well.",
        [...this.#last.values()].map(({ name, type, isWell }) => ({ labels: { name, type }, value: Number(isWell) })),
      ),
      this.#all.family(),
      startTimeFamily(),
    ];
  }
}
