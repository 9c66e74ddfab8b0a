import type { Container, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import type { Field } from "../../validation/field.ts";

/** Visits init, ordinary and ephemeral containers, each with its place. */
export function eachContainer(spec: PodSpec, field: Field, visit: (container: Container, at: Field) => void): void {
  for (const list of ["initContainers", "containers", "ephemeralContainers"] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) visit(container, field.at(list).index(index));
  }
}
