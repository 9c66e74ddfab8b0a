import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Strategy } from "../../../registry/declaration.ts";

export const podStrategy: Strategy<Pod> = {
  hasStatus: true,
  hasGeneration: true,
};
