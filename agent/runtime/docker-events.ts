import type Docker from "dockerode";
import { asRuntime, toRuntimeError } from "./docker-errors.ts";
import { label } from "./docker-names.ts";
import { jsonLines } from "./json-lines.ts";
import type { RuntimeEvent } from "./runtime.ts";

const eventKinds: Readonly<Record<string, RuntimeEvent["kind"]>> = {
  start: "started",
  die: "died",
  oom: "oom",
  destroy: "removed",
  // Podman shows `die`, and is asked for it by its own name.
  died: "died",
  remove: "removed",
};

/** Events of containers with a pod label, until the connection ends. `opened` runs once they are being watched. */
export async function* watchEvents(
  docker: Docker,
  signal: AbortSignal,
  opened: () => void,
): AsyncGenerator<RuntimeEvent> {
  const what = "watch Docker's events";
  try {
    const stream = await asRuntime(what, () =>
      docker.getEvents({
        abortSignal: signal,
        // Not by label: Podman finds none by its key alone.
        filters: { type: ["container"], event: Object.keys(eventKinds) },
      }),
    );
    opened();
    for await (const line of jsonLines(stream, signal)) {
      const event = parseEvent(line);
      if (event !== undefined) yield event;
    }
  } catch (error) {
    if (!signal.aborted) throw toRuntimeError(what, error);
  }
}

/** One line of Docker's event stream (Engine API, GET /events). undefined: not about a pod's container. */
function parseEvent(line: Record<string, unknown>): RuntimeEvent | undefined {
  const actor = line["Actor"];
  if (typeof actor !== "object" || actor === null) return undefined;
  const { ID, Attributes } = actor as { ID?: unknown; Attributes?: Record<string, unknown> };
  if (typeof ID !== "string") return undefined;
  const podUid = Attributes?.[label.podUid];
  if (typeof podUid !== "string") return undefined;
  return { kind: eventKinds[String(line["Action"])] ?? "other", containerId: ID, podUid };
}
