/** Autoscalers that are told the same by metrics APIs do what upstream's kube-controller-manager v1.35.4 did (recorded by record.ts). */
import { afterAll } from "bun:test";
import { usualAutoscaling } from "../../../master/controllers/horizontal-pod-autoscaler/autoscaling-settings.ts";
import { startOwn } from "../controllers/ours.ts";
import { replayScenarios } from "../controllers/replay.ts";
import { MetricsStandIn } from "./metrics-stand-in.ts";
import { autoscalingScenarios } from "./scenarios.ts";

const metrics = await MetricsStandIn.open();
afterAll(() => metrics.stop());

/** The window is that with which it was recorded; who looks more often only comes sooner to the same. */
const quick = { ...usualAutoscaling, syncPeriod_ms: 2_000, downscaleStabilization_ms: 12_000 };

/** An autoscaler may take its next step before its Deployment has followed the one before, which then takes both at once. What
 *  Deployments do is compared in test/differential/controllers. */
const isOfSteps = (difference: string): boolean =>
  (difference.startsWith("only") && difference.includes('"reason":"ScalingReplicaSet"')) ||
  /^ReplicaSet .*\.(generation|observedGeneration): /.test(difference) ||
  /^Deployment .*\.status\.conditions\.\d\.(reason|message): /.test(difference);

replayScenarios(autoscalingScenarios(metrics), import.meta.dir, async () => {
  const own = await startOwn({ autoscaling: quick, isExtensible: true, isByChance: isOfSteps });
  await metrics.register(own.plane.admin);
  return own;
});
