import { expect, test } from "bun:test";
import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import { PodEvents } from "../pod-events.ts";
import { ImagePuller } from "./image-puller.ts";

test.each(["Always", "IfNotPresent", "Never"])(
  "a name that is none is refused before the runtime is asked, with policy %s",
  async (imagePullPolicy) => {
    const container = { name: "main", image: "UPPER CASE", imagePullPolicy };
    const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "web" }, spec: { containers: [container] } };
    const told: unknown[] = [];
    const recorder = { record: (_: unknown, event: unknown) => told.push(event) } as unknown as EventRecorder;
    const puller = new ImagePuller({} as ContainerRuntime);
    const message = `Failed to apply default image tag "UPPER CASE": couldn't parse image name "UPPER CASE": invalid reference format: repository name (library/UPPER CASE) must be lowercase`;
    const ensured = puller.ensure(pod, container, () => Promise.resolve([]), new PodEvents(recorder, pod));
    await expect(ensured).rejects.toMatchObject({ reason: "InvalidImageName", message });
    expect(told).toMatchObject([{ type: "Warning", reason: "InspectFailed", message }]);
  },
);
