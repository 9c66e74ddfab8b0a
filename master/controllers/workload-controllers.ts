import type { ControllerDefinition } from "#shared/client/controller.ts";
import { cronJobController } from "./cronjob/cronjob.ts";
import { daemonSetController } from "./daemonset/daemonset.ts";
import { deploymentController } from "./deployment/deployment.ts";
import { disruptionController } from "./disruption/disruption.ts";
import type { AutoscalingSettings } from "./horizontal-pod-autoscaler/autoscaling-settings.ts";
import { horizontalPodAutoscalerController } from "./horizontal-pod-autoscaler/horizontal-pod-autoscaler.ts";
import { jobController } from "./job/job.ts";
import { replicaSetController } from "./replicaset/replicaset.ts";
import { replicationControllerController } from "./replication-controller/replication-controller.ts";
import { statefulSetController } from "./statefulset/statefulset.ts";

/** The controllers that make pods of what people deploy, size it and guard it from disruption. */
export const workloadControllers = (autoscaling?: AutoscalingSettings): ControllerDefinition[] => [
  replicationControllerController,
  replicaSetController,
  deploymentController,
  daemonSetController(),
  statefulSetController,
  jobController(),
  cronJobController(),
  disruptionController(),
  horizontalPodAutoscalerController(autoscaling),
];
