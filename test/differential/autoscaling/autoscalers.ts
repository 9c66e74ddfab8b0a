/** Short forms of what scenarios of autoscalers make and wait for. */
import { horizontalPodAutoscalers } from "#shared/api/resources.ts";
import type { HorizontalPodAutoscaler } from "#shared/api/types/autoscaling-v2.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { selectorOf } from "../controllers/manifests.ts";
import { type Fields, isEnding, isPending, isRunning, type World } from "../controllers/world.ts";

export const web: Fields = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };

export const container = (
  name = "main",
  requests: Readonly<Record<string, string>> = { cpu: "100m", memory: "100Mi" },
): Fields => ({ name, image: "example/app:1", resources: { requests } });

/** Pods of the Deployment `web`, running and ready. What they use is to be at the target meanwhile. */
export async function deploy(
  world: World,
  replicas: number,
  podSpec: Fields = { containers: [container()] },
): Promise<void> {
  const template = { metadata: { labels: { app: "web" } }, spec: podSpec };
  await world.create("Deployment", "web", { spec: { replicas, selector: selectorOf("web"), template } });
  await running(world, replicas);
}

/** Runs what waits until so many pods run, and lets go of those that end. */
export async function running(world: World, count: number): Promise<void> {
  const isSo = (): boolean => world.pods(isRunning).length === count && world.pods(isEnding).length === 0;
  const isDue = (): boolean => world.pods((pod) => isPending(pod) || isEnding(pod)).length > 0;
  while (!isSo()) {
    await world.until(() => isSo() || isDue(), `${count} pods that run`);
    for (const pod of world.pods(isEnding)) await letGo(world, pod);
    await world.runAll();
  }
}

async function letGo(world: World, pod: Pod): Promise<void> {
  await world.finish(pod);
  const { name = "", uid } = pod.metadata;
  await world.until(() => world.room.get<Pod>("Pod", name)?.metadata.uid !== uid, `the end of ${name}`);
}

export const resource = (name: string, target: Fields): Fields => ({ type: "Resource", resource: { name, target } });
export const utilization = (averageUtilization: number, name = "cpu"): Fields =>
  resource(name, { type: "Utilization", averageUtilization });
export const averageOf = (averageValue: string): Fields => ({ type: "AverageValue", averageValue });
export const wholeOf = (value: string): Fields => ({ type: "Value", value });

/** An autoscaler of `web` from one to ten replicas, for half of the CPU that is requested. */
export const autoscale = (world: World, more: Fields = {}, name = "web"): Promise<unknown> =>
  world.create("HorizontalPodAutoscaler", name, {
    spec: { scaleTargetRef: web, minReplicas: 1, maxReplicas: 10, metrics: [utilization(50)], ...more },
  });

/** Another of the same name: of one object upstream tells only so often. */
export async function autoscaleAnew(world: World, more: Fields): Promise<void> {
  await world.delete("HorizontalPodAutoscaler", "web");
  await autoscale(world, more);
}

export const change = (world: World, spec: Fields): Promise<void> =>
  world.patch("HorizontalPodAutoscaler", "web", { spec });

const found = (world: World, name: string): HorizontalPodAutoscaler | undefined =>
  world.room.get<HorizontalPodAutoscaler>(horizontalPodAutoscalers.kind, name);

/** It came to want so many, and has looked once more since. */
export async function wants(world: World, replicas: number, name = "web"): Promise<void> {
  const isSo = (): boolean => {
    const { status } = found(world, name) ?? {};
    const able = status?.conditions?.find(({ type }) => type === "AbleToScale");
    return status?.desiredReplicas === replicas && able !== undefined && able.reason !== "SucceededRescale";
  };
  await world.until(isSo, `${replicas} wanted by ${name}`);
}

/** What its status tells holds the text. */
export const tells = (world: World, text: string, name = "web"): Promise<void> =>
  world.until(() => JSON.stringify(found(world, name)?.status ?? {}).includes(text), `${text} of ${name}`);

/** A look of the controller, by which what is to change has begun to. */
export const looks = (): Promise<void> => Bun.sleep(6_000);

/** Without limits to how fast it goes but those given. */
export const behaviour = (scaleUp: Fields = {}, scaleDown: Fields = {}): Fields => ({
  behavior: {
    scaleUp: { stabilizationWindowSeconds: 0, ...scaleUp },
    scaleDown: { stabilizationWindowSeconds: 0, ...scaleDown },
  },
});
export const policy = (type: "Pods" | "Percent", value: number, periodSeconds = 1800): Fields => ({
  type,
  value,
  periodSeconds,
});
