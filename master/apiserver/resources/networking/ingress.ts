import { ingressClasses, ingresses } from "#shared/api/resources.ts";
import type { Ingress, IngressClass } from "#shared/api/types/networking-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { loadBalancerText } from "../core/service/columns.ts";
import { status } from "../subresources.ts";
import {
  validateIngress,
  validateIngressClass,
  validateIngressClassUpdate,
  validateIngressStatus,
  validateIngressUpdate,
} from "./ingress-rules.ts";

function hosts({ spec: { rules = [] } }: Ingress): string {
  const shown: string[] = [];
  for (const { host } of rules) {
    if (shown.length === 3) return `${shown.join(",")} + ${rules.length - 3} more...`;
    if (host) shown.push(host);
  }
  return shown.length === 0 ? "*" : shown.join(",");
}

const classAnnotation = "kubernetes.io/ingress.class";

export const ingress: ResourceDeclaration<Ingress> = {
  ref: ingresses,
  shortNames: ["ing"],
  subresources: { status },
  columns: [
    nameColumn,
    column("Class", ({ spec }) => spec.ingressClassName ?? "<none>"),
    column("Hosts", hosts),
    column("Address", (object) => loadBalancerText(object.status?.loadBalancer)),
    column("Ports", ({ spec }) => (spec.tls?.length ? "80, 443" : "80")),
    ageColumn,
  ],
  strategy: {
    judgesNameOnUpdate: true,
    hasStatus: true,
    hasGeneration: true,
    // On its creation alone.
    warnings: ({ metadata }, old) =>
      old === undefined && metadata.annotations?.[classAnnotation] !== undefined
        ? [`annotation ${JSON.stringify(classAnnotation)} is deprecated, please use 'spec.ingressClassName' instead`]
        : [],
    validate: validateIngress,
    validateUpdate: validateIngressUpdate,
    validateStatusUpdate: validateIngressStatus,
  },
};

export const ingressClass: ResourceDeclaration<IngressClass> = {
  ref: ingressClasses,
  columns: [
    nameColumn,
    column("Controller", ({ spec }) => spec.controller ?? ""),
    column("Parameters", ({ spec: { parameters } }) => {
      if (parameters === undefined) return "<none>";
      const { kind, apiGroup, name } = parameters;
      return apiGroup === undefined ? `${kind}/${name}` : `${kind}.${apiGroup}/${name}`;
    }),
    ageColumn,
  ],
  strategy: {
    judgesNameOnUpdate: true,
    hasGeneration: true,
    applyDefaults: ({ spec }) => {
      if (spec.parameters) spec.parameters.scope ??= "Cluster";
    },
    validate: validateIngressClass,
    validateUpdate: validateIngressClassUpdate,
  },
};
