import { pods } from "#shared/api/resources.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { draftOf } from "./attributes.ts";

export interface TolerationSeconds {
  readonly notReady_s: number;
  readonly unreachable_s: number;
}

/** A minute where upstream waits five: boards die for good more often than racks lose their network. */
const defaultTolerationSeconds: TolerationSeconds = { notReady_s: 60, unreachable_s: 60 };

/** How long a pod that does not say so itself stays on a board that is not ready or cannot be reached. */
export class DefaultTolerationSeconds implements AdmissionPlugin {
  readonly name = "DefaultTolerationSeconds";
  readonly resources = [pods];

  constructor(private readonly seconds: TolerationSeconds = defaultTolerationSeconds) {}

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const pod = draftOf(attributes, pods);
    if (!pod?.spec) return;
    for (const [key, tolerationSeconds] of [
      ["node.kubernetes.io/not-ready", this.seconds.notReady_s],
      ["node.kubernetes.io/unreachable", this.seconds.unreachable_s],
    ] as const) {
      const tolerations = pod.spec.tolerations ?? [];
      const tolerates = tolerations.some(
        (toleration) =>
          (!toleration.key || toleration.key === key) && (!toleration.effect || toleration.effect === "NoExecute"),
      );
      if (!tolerates)
        pod.spec.tolerations = [...tolerations, { key, operator: "Exists", effect: "NoExecute", tolerationSeconds }];
    }
  }
}
