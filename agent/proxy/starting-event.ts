import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { SeriesEventRecorder } from "#shared/client/series-event-recorder.ts";
import { boardReference } from "../kubelet/node/node-events.ts";

/** What upstream's kube-proxy tells at its Node when it starts: nothing but that. */
export function tellOfStart(client: Client, nodeName: string, log: Log): void {
  const recorder = new SeriesEventRecorder(client, { component: "kube-proxy", host: nodeName, log });
  recorder.record(boardReference(nodeName), {
    type: "Normal",
    reason: "Starting",
    action: "StartKubeProxy",
    message: "",
  });
}
