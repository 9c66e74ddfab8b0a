import type { Node } from "./types/core-v1.generated.ts";
import type { Ingress, IngressClass } from "./types/networking-v1.generated.ts";

/** `spec.controller` of IngressClasses that boards serve. */
export const ingressControllerName = "bramble.dev/ingress";
/** The class that every cluster has. */
export const ingressClassName = "bramble";
/** Boards cannot set labels of this domain on themselves. Where one has it, only those that have it as "true" serve. */
const ingressBoardLabel = "bramble.node-restriction.kubernetes.io/ingress";
const legacyClassAnnotation = "kubernetes.io/ingress.class";

/** Is the Ingress of a class that boards serve? */
export function isServedIngress(ingress: Ingress, classes: readonly IngressClass[]): boolean {
  if (ingress.metadata.deletionTimestamp) return false;
  const name = ingress.spec.ingressClassName ?? ingress.metadata.annotations?.[legacyClassAnnotation];
  return classes.some(({ metadata, spec }) => metadata.name === name && spec?.controller === ingressControllerName);
}

export function servesIngress(nodeName: string, nodes: readonly Node[]): boolean {
  const labelled = nodes.filter(({ metadata }) => metadata.labels?.[ingressBoardLabel] !== undefined);
  if (labelled.length === 0) return true;
  return labelled.some(({ metadata }) => metadata.name === nodeName && metadata.labels?.[ingressBoardLabel] === "true");
}
