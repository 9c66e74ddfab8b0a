import { services } from "#shared/api/resources.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../../registry/declaration.ts";
import { proxy, status } from "../../subresources.ts";
import { serviceColumns } from "./columns.ts";
import { serviceStrategy } from "./strategy.ts";

export const service: ResourceDeclaration<Service> = {
  ref: services,
  shortNames: ["svc"],
  categories: ["all"],
  subresources: { proxy: proxy("ServiceProxyOptions"), status },
  columns: serviceColumns,
  selectableFields: {
    "spec.clusterIP": ({ spec }) => spec.clusterIP ?? "",
    "spec.type": ({ spec }) => spec.type ?? "",
  },
  strategy: serviceStrategy,
};
