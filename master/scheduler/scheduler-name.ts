import type { Pod } from "#shared/api/types/core-v1.generated.ts";

export const defaultSchedulerName = "default-scheduler";

/** Which scheduler, or which of its profiles, is to find the pod a node. */
export const schedulerNameOf = ({ spec }: Pod): string => spec?.schedulerName ?? defaultSchedulerName;
