import { type Field, nonNegative } from "../validation/field.ts";

interface ReplicaStatus {
  readonly replicas?: number | undefined;
  readonly fullyLabeledReplicas?: number | undefined;
  readonly readyReplicas?: number | undefined;
  readonly availableReplicas?: number | undefined;
  readonly terminatingReplicas?: number | undefined;
  readonly observedGeneration?: number | undefined;
}

/** Counts of a ReplicaSet or ReplicationController, which must go together. */
export function validateReplicaStatus(status: ReplicaStatus | undefined, field: Field): void {
  const { replicas = 0, readyReplicas = 0, availableReplicas = 0 } = status ?? {};
  const counts = [
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "terminatingReplicas",
    "observedGeneration",
  ] as const;
  for (const key of counts) nonNegative(status?.[key], field.at(key));
  for (const key of ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"] as const) {
    const count = status?.[key] ?? 0;
    if (count > replicas) field.at(key).invalid(count, "cannot be greater than status.replicas");
  }
  if (availableReplicas > readyReplicas) {
    field.at("availableReplicas").invalid(availableReplicas, "cannot be greater than readyReplicas");
  }
}
