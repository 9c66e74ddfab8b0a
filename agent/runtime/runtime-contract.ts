import { afterAll, beforeAll, describe, setDefaultTimeout } from "bun:test";
import { lifecycleContract } from "./contract/lifecycle-contract.ts";
import { observationContract } from "./contract/observation-contract.ts";
import { RuntimeBench, type RuntimeUnderTest } from "./contract/runtime-bench.ts";
import { streamsContract } from "./contract/streams-contract.ts";

// Containers take their time on a board; nothing below depends on it.
setDefaultTimeout(300_000);

/** What every ContainerRuntime must do, on the real thing. */
export function describeRuntimeContract(name: string, open: () => Promise<RuntimeUnderTest>): void {
  describe(`ContainerRuntime: ${name}`, () => {
    const bench = new RuntimeBench(open);
    beforeAll(() => bench.open());
    afterAll(() => bench.close());
    lifecycleContract(bench);
    streamsContract(bench);
    observationContract(bench);
  });
}
