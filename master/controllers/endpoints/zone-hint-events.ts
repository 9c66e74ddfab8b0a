import { keyOf } from "#shared/api/object.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { HintOutcomes } from "./zone-hints.ts";

/** Tells in a Service's Events when its hints by zones begin, end, or cannot be given for another reason than before. */
export class ZoneHintEvents {
  readonly #told = new Map<string, HintOutcomes>();

  /** Without `outcomes`, the Service does not ask for hints. */
  tell(service: Service, outcomes: HintOutcomes | undefined, events: EventRecorder): void {
    const key = keyOf(service);
    const before = this.#told.get(key);
    for (const addressType of new Set([...(before?.keys() ?? []), ...(outcomes?.keys() ?? [])])) {
      const [was, is] = [before?.get(addressType), outcomes?.get(addressType)];
      if (was === is) continue;
      const record = (type: "Normal" | "Warning", reason: string, what: string): void =>
        events.record(service, { type, reason, message: `${what}, addressType: ${addressType}` });
      if (is === "on") record("Normal", "TopologyAwareHintsEnabled", "Topology Aware Hints has been enabled");
      else if (is !== undefined) record("Warning", "TopologyAwareHintsDisabled", is);
      else if (was === "on") record("Warning", "TopologyAwareHintsDisabled", "Topology Aware Hints has been disabled");
    }
    if (outcomes) this.#told.set(key, outcomes);
    else this.#told.delete(key);
  }

  forget(key: string): void {
    this.#told.delete(key);
  }
}
