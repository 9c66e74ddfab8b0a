import { apiServices } from "#shared/api/resources.ts";
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { unprintedStatus as status } from "../subresources.ts";
import { isPathSegment } from "../validation/names.ts";
import { applyServiceDefaults, markLocal, validateAPIService, validateAPIServiceStatus } from "./rules.ts";

function available({ status: seen }: APIService): string {
  const condition = seen?.conditions?.find(({ type }) => type === "Available");
  if (condition === undefined) return "Unknown";
  return condition.status === "True" ? "True" : `${condition.status} (${condition.reason ?? ""})`;
}

export const apiService: ResourceDeclaration<APIService> = {
  ref: apiServices,
  categories: ["api-extensions"],
  subresources: { status },
  columns: [
    nameColumn,
    column("Service", ({ spec: { service } }) =>
      service === undefined ? "Local" : `${service.namespace ?? ""}/${service.name ?? ""}`,
    ),
    column("Available", available),
    ageColumn,
  ],
  strategy: {
    judgesNameOnUpdate: true,
    hasStatus: true,
    statusResets: [["metadata"]],
    allowUnconditionalUpdate: false,
    validateName: isPathSegment,
    metadataRules: "names",
    applyDefaults: applyServiceDefaults,
    prepareForCreate: markLocal,
    validate: validateAPIService,
    validateUpdate: validateAPIService,
    validateStatusUpdate: validateAPIServiceStatus,
  },
};
