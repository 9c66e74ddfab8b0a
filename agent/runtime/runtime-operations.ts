import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, exponential, HistogramTable } from "#shared/metrics/tables.ts";
import type { ContainerRuntime } from "./runtime.ts";

/** What upstream's kubelet calls these operations. Streams and what goes on for as long as a board runs are not among them. */
const operationTypes: Partial<Record<keyof ContainerRuntime, string>> = {
  version: "version",
  createSandbox: "run_podsandbox",
  stopSandbox: "stop_podsandbox",
  removeSandbox: "remove_podsandbox",
  listSandboxes: "list_podsandbox",
  createContainer: "create_container",
  startContainer: "start_container",
  stopContainer: "stop_container",
  removeContainer: "remove_container",
  listContainers: "list_containers",
  updateResources: "update_container",
  checkpointContainer: "checkpoint_container",
  execSync: "exec_sync",
  exec: "exec",
  attach: "attach",
  portForward: "port_forward",
  imageStatus: "image_status",
  pullImage: "pull_image",
  listImages: "list_images",
  removeImage: "remove_image",
  stats: "container_stats",
};

const labels = ["operation_type"] as const;

/** Counts what a kubelet asks of its container runtime, under upstream's names. */
export class RuntimeOperations {
  readonly #asked = new CounterTable({
    name: "kubelet_runtime_operations_total",
    help: "Operations of the container runtime, by their type.",
    labels,
  });
  readonly #failed = new CounterTable({
    name: "kubelet_runtime_operations_errors_total",
    help: "Those that failed.",
    labels,
  });
  readonly #durations = new HistogramTable(
    { name: "kubelet_runtime_operations_duration_seconds", help: "How long they took.", labels },
    exponential(0.005, 2.5, 14),
  );

  /** The same runtime; what is asked of it by way of this one is counted. */
  counted(runtime: ContainerRuntime): ContainerRuntime {
    const made = new Map<PropertyKey, unknown>();
    return new Proxy(runtime, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        const known = made.get(name);
        if (known) return known;
        const type = operationTypes[name as keyof ContainerRuntime];
        const call = (...given: unknown[]): unknown => Reflect.apply(value, target, given);
        const method = type
          ? (...given: unknown[]) => this.#count(type, () => call(...given) as Promise<unknown>)
          : call;
        made.set(name, method);
        return method;
      },
    });
  }

  families(): Family[] {
    return [this.#asked.family(), this.#failed.family(), this.#durations.family()];
  }

  async #count(type: string, ask: () => Promise<unknown>): Promise<unknown> {
    const began_ms = performance.now();
    this.#asked.add([type]);
    try {
      return await ask();
    } catch (error) {
      this.#failed.add([type]);
      throw error;
    } finally {
      this.#durations.observe((performance.now() - began_ms) / 1000, [type]);
    }
  }
}
