/** How long admission plugins take with a write, and how often they refuse one, under upstream's names. */
import { StatusError } from "#shared/api/errors.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { HistogramTable } from "#shared/metrics/tables.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission/admission.ts";

const bounds_s = [0.005, 0.025, 0.1, 0.5, 1, 2.5];

type Step = "admit" | "validate";

export class AdmissionMetrics {
  readonly #plugins = new HistogramTable(
    {
      name: "apiserver_admission_controller_admission_duration_seconds",
      help: "How long each plugin took.",
      labels: ["name", "type", "operation", "rejected"],
    },
    bounds_s,
  );

  /** The same plugins, with their time taken. */
  counted(plugins: readonly AdmissionPlugin[]): AdmissionPlugin[] {
    return plugins.map((plugin) => this.#counted(plugin));
  }

  #counted(plugin: AdmissionPlugin): AdmissionPlugin {
    const { name, resources, mutatesOn, seesConnections } = plugin;
    return {
      name,
      resources,
      mutatesOn,
      seesConnections,
      ...(plugin.mutate && { mutate: (attributes) => this.#timed(plugin, "admit", attributes) }),
      ...(plugin.validate && { validate: (attributes) => this.#timed(plugin, "validate", attributes) }),
    };
  }

  async #timed(plugin: AdmissionPlugin, step: Step, attributes: AdmissionAttributes): Promise<void> {
    const began_ms = performance.now();
    let rejected = false;
    try {
      await (step === "admit" ? plugin.mutate?.(attributes) : plugin.validate?.(attributes));
    } catch (error) {
      rejected = error instanceof StatusError;
      throw error;
    } finally {
      const took_s = (performance.now() - began_ms) / 1000;
      this.#plugins.observe(took_s, [plugin.name, step, attributes.operation, String(rejected)]);
    }
  }

  families(): Family[] {
    return [this.#plugins.family()];
  }
}
