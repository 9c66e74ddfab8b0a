/** How long admission plugins take with a write, and how often they refuse one, under upstream's names. */
import { StatusError } from "#shared/api/errors.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { type Histogram, HistogramTable } from "#shared/metrics/tables.ts";
import type { AdmissionPlugin, Operation } from "../admission/admission.ts";

const bounds_s = [0.005, 0.025, 0.1, 0.5, 1, 2.5];

type Step = "admit" | "validate";
type PluginStep = NonNullable<AdmissionPlugin["mutate"]>;

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
      ...(plugin.mutate && { mutate: this.#timed(name, "admit", plugin.mutate.bind(plugin)) }),
      // Storage's own, which upstream does not measure.
      ...(plugin.guard && { guard: plugin.guard.bind(plugin) }),
      ...(plugin.validate && { validate: this.#timed(name, "validate", plugin.validate.bind(plugin)) }),
    };
  }

  /** Every write passes every plugin, most of them at once: nothing is made for those that have nothing to wait for. */
  #timed(name: string, step: Step, run: PluginStep): PluginStep {
    const accepted = new Map<Operation, Histogram>();
    const note = (operation: Operation, began_ms: number, rejected: boolean): void => {
      let took = rejected ? undefined : accepted.get(operation);
      if (!took) {
        took = this.#plugins.of([name, step, operation, String(rejected)]);
        if (!rejected) accepted.set(operation, took);
      }
      took.observe((performance.now() - began_ms) / 1000);
    };
    return (attributes) => {
      const began_ms = performance.now();
      const { operation } = attributes;
      try {
        const running = run(attributes);
        if (running) return noted(running, (rejected) => note(operation, began_ms, rejected));
      } catch (error) {
        note(operation, began_ms, error instanceof StatusError);
        throw error;
      }
      note(operation, began_ms, false);
      return undefined;
    };
  }

  families(): Family[] {
    return [this.#plugins.family()];
  }
}

async function noted(running: Promise<void>, note: (rejected: boolean) => void): Promise<void> {
  try {
    await running;
  } catch (error) {
    note(error instanceof StatusError);
    throw error;
  }
  note(false);
}
