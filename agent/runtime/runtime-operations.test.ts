import { expect, test } from "bun:test";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import type { ContainerRuntime } from "./runtime.ts";
import { RuntimeOperations } from "./runtime-operations.ts";

/** Has state that only its own methods may touch, as runtimes have. */
class Runtime {
  readonly name = "docker";
  #asked = 0;
  async listContainers(): Promise<number> {
    return ++this.#asked;
  }
  startContainer(id: string): Promise<void> {
    return Promise.reject(new Error(`there is no ${id}`));
  }
  asked(): number {
    return this.#asked;
  }
}

test("what is asked of the runtime is counted by upstream's types, also what fails, and does the same", async () => {
  const operations = new RuntimeOperations();
  const runtime = operations.counted(new Runtime() as unknown as ContainerRuntime) as unknown as Runtime;
  expect(await runtime.listContainers()).toBe(1);
  expect(await runtime.listContainers()).toBe(2);
  expect(await runtime.startContainer("x").catch(String)).toBe("Error: there is no x");
  expect([runtime.name, runtime.asked(), runtime instanceof Runtime]).toEqual(["docker", 2, true]);
  const text = renderPrometheus(operations.families());
  for (const line of [
    'kubelet_runtime_operations_total{operation_type="list_containers"} 2',
    'kubelet_runtime_operations_total{operation_type="start_container"} 1',
    'kubelet_runtime_operations_errors_total{operation_type="start_container"} 1',
    'kubelet_runtime_operations_duration_seconds_count{operation_type="list_containers"} 2',
    'kubelet_runtime_operations_duration_seconds_bucket{operation_type="list_containers",le="+Inf"} 2',
  ])
    expect(text).toContain(line);
});
