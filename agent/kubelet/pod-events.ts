import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import { findContainer } from "./pod-containers.ts";

const fields = { init: "initContainers", regular: "containers", ephemeral: "ephemeralContainers" } as const;

/** Events about a pod and its containers, as `kubectl describe` shows them. */
export class PodEvents {
  constructor(
    readonly recorder: EventRecorder,
    readonly pod: Pod,
  ) {}

  normal(reason: string, message: string, container?: Pick<Container, "name">): void {
    this.#record("Normal", reason, message, container);
  }

  warning(reason: string, message: string, container?: Pick<Container, "name">): void {
    this.#record("Warning", reason, message, container);
  }

  #record(type: "Normal" | "Warning", reason: string, message: string, container?: Pick<Container, "name">): void {
    const found = container && findContainer(this.pod.spec, container.name);
    const fieldPath = found && `spec.${fields[found.type]}{${found.container.name}}`;
    const { name, namespace, uid, resourceVersion } = this.pod.metadata;
    this.recorder.record(
      { apiVersion: "v1", kind: "Pod", name, namespace, uid, ...(resourceVersion ? { resourceVersion } : {}) },
      { type, reason, message, ...(fieldPath ? { fieldPath } : {}) },
    );
  }
}
