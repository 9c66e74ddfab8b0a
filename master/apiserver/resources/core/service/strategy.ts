import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { Strategy } from "../../../registry/declaration.ts";

export const serviceStrategy: Strategy<Service> = {
  hasStatus: true,
  allowCreateOnUpdate: true,
};
