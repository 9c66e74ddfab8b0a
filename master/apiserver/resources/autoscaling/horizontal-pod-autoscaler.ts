import { horizontalPodAutoscalers } from "#shared/api/resources.ts";
import type { HorizontalPodAutoscaler } from "#shared/api/types/autoscaling-v2.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { status } from "../subresources.ts";
import { autoscalerColumns } from "./columns.ts";
import { applyAutoscalerDefaults } from "./defaults.ts";
import { validateAutoscaler, validateAutoscalerStatus } from "./rules.ts";
import { autoscalerFromV1, autoscalerToV1 } from "./v1.ts";

export const horizontalPodAutoscaler: ResourceDeclaration<HorizontalPodAutoscaler> = {
  ref: horizontalPodAutoscalers,
  shortNames: ["hpa"],
  categories: ["all"],
  versions: [{ version: "v1", served: true, convert: { fromStored: autoscalerToV1, toStored: autoscalerFromV1 } }],
  subresources: { status },
  columns: autoscalerColumns,
  strategy: {
    hasStatus: true,
    applyDefaults: applyAutoscalerDefaults,
    validate: (autoscaler) => validateAutoscaler(autoscaler),
    validateUpdate: validateAutoscaler,
    validateStatusUpdate: validateAutoscalerStatus,
  },
};
