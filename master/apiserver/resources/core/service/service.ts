import { services } from "#shared/api/resources.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../../registry/declaration.ts";
import { connect, proxyVerbs, status } from "../../subresources.ts";
import { serviceColumns } from "./columns.ts";
import { serviceStrategy } from "./strategy.ts";

export const service: ResourceDeclaration<Service> = {
  ref: services,
  shortNames: ["svc"],
  categories: ["all"],
  subresources: { proxy: connect("ServiceProxyOptions", proxyVerbs), status },
  columns: serviceColumns,
  selectableFields: {
    "spec.clusterIP": ({ spec }) => spec.clusterIP ?? "",
    "spec.type": ({ spec }) => spec.type ?? "",
  },
  strategy: serviceStrategy,
};
