import { pods } from "#shared/api/resources.ts";
import type { Pod, PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";

/** A template of pods labelled `app: web`. */
export const webTemplate = (image = "example/web:1", labels: Record<string, string> = {}): PodTemplateSpec => ({
  metadata: { labels: { app: "web", ...labels } },
  spec: { containers: [{ name: "web", image }] },
});

/** The same for pods that run to their end. */
export function workTemplate(labels: Record<string, string> = {}): PodTemplateSpec {
  const template = webTemplate("example/work:1", labels);
  return { ...template, spec: { containers: [], ...template.spec, restartPolicy: "Never" } };
}

/** All pods of the namespace that are not on their way out, by name. */
export async function livePods(client: Client, namespace = "default"): Promise<Pod[]> {
  const { items } = await client.list(pods, { namespace });
  return items
    .filter(({ metadata }) => !metadata.deletionTimestamp)
    .sort((a, b) => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1));
}

/** What a kubelet would write of a pod that runs and is ready (since long ago, so that it is available too). */
export async function makeReady(client: Client, pod: Pod, since = "2020-01-01T00:00:00Z"): Promise<void> {
  const status = { phase: "Running", conditions: [{ type: "Ready", status: "True", lastTransitionTime: since }] };
  await client.patch(pods, keyOf(pod), { type: "merge", body: { status } }, { subresource: "status" });
}

/** The pod ends in the phase, its only container with the exit code; `at` is when, by the clock of who looks at that. */
export async function finish(
  client: Client,
  pod: Pod,
  phase: "Succeeded" | "Failed",
  exitCode = 0,
  at = new Date(),
): Promise<void> {
  const finishedAt = at.toISOString();
  const containerStatuses = [
    { name: pod.spec?.containers[0]?.name, state: { terminated: { exitCode, finishedAt } }, restartCount: 0 },
  ];
  const status = { phase, conditions: [{ type: "Ready", status: "False" }], containerStatuses };
  await client.patch(pods, keyOf(pod), { type: "merge", body: { status } }, { subresource: "status" });
}

const keyOf = ({ metadata }: Pod) => ({ namespace: metadata.namespace, name: metadata.name ?? "" });

/** Stands in for boards: makes every pod run and be ready as soon as it is there. Ends when the signal aborts. */
export async function runAllPods(client: Client, signal: AbortSignal, mayRun = (_: Pod) => true): Promise<void> {
  for await (const { type, object } of client.watch(pods, { sendInitialEvents: true, signal }))
    if (
      (type === "ADDED" || type === "MODIFIED") &&
      (object.status?.phase ?? "Pending") === "Pending" &&
      mayRun(object)
    )
      await makeReady(client, object).catch(() => undefined);
}
