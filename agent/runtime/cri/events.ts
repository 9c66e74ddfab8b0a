import { GrpcCode } from "#shared/grpc/grpc-error.ts";
import type { RuntimeEvent } from "../runtime.ts";
import { type CriClient, codeOf } from "./client.ts";
import * as wire from "./messages.ts";

/** What an event says before it is known whose container it is about. */
export type SeenEvent = Omit<RuntimeEvent, "podUid"> & {
  readonly podUid?: string | undefined;
  /** CRI may not say yet what this tells. */
  readonly isEarly?: boolean | undefined;
};

const what = "watch the container runtime's events";
const kinds = ["other", "started", "died", "removed"] as const;

/** By CRI's own events: containerd 1.7 and CRI-O tell them when they are set to. */
async function* byCri(client: CriClient, signal: AbortSignal): AsyncGenerator<SeenEvent> {
  const method = `${wire.runtimeService}GetContainerEvents`;
  for await (const event of client.stream(method, [wire.Empty, wire.ContainerEvent], {}, { what, signal })) {
    const podUid = event.sandbox?.metadata?.uid;
    yield { kind: kinds[event.type] ?? "other", containerId: event.containerId, podUid };
  }
}

const topics: Readonly<Record<string, RuntimeEvent["kind"]>> = {
  "/tasks/start": "started",
  "/tasks/exit": "died",
  "/tasks/oom": "oom",
};

/** By containerd's own events, on the same socket. */
async function* byContainerd(client: CriClient, signal: AbortSignal): AsyncGenerator<SeenEvent> {
  const filters = Object.keys(topics).map((topic) => `namespace==k8s.io,topic=="${topic}"`);
  const types = [wire.SubscribeRequest, wire.Envelope] as const;
  for await (const { topic, event } of client.stream(wire.containerdEvents, types, { filters }, { what, signal })) {
    const bytes = Buffer.from(event?.value ?? []);
    const { containerId } = wire.TaskEvent.decode(bytes);
    if (topic === "/tasks/exit") {
      // An exec that ends is no container that dies.
      const { id } = wire.TaskExit.decode(bytes);
      if (id !== "" && id !== containerId) continue;
    }
    // containerd's CRI hears of it by the same events.
    yield { kind: topics[topic] ?? "other", containerId, isEarly: topic === "/tasks/exit" };
  }
}

/**
 * Events from whichever way the runtime has. Ends when the connection does. Rejects with RuntimeError, whose code is
 * Unimplemented where there is none.
 */
export async function* watchEvents(client: CriClient, signal: AbortSignal): AsyncGenerator<SeenEvent> {
  for (const [index, way] of [byCri, byContainerd].entries()) {
    try {
      return yield* way(client, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (index === 1 || codeOf(error) !== GrpcCode.Unimplemented) throw error;
    }
  }
}
