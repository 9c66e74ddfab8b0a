import type { ControllerDefinition } from "#shared/client/controller.ts";
import { replicaSetController } from "./replicaset/replicaset.ts";
import { replicationControllerController } from "./replication-controller/replication-controller.ts";

/** The controllers that make pods of what people deploy. */
export const workloadControllers: readonly ControllerDefinition[] = [
  replicaSetController,
  replicationControllerController,
];
