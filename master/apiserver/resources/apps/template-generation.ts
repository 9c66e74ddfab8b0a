/** A DaemonSet counts the versions of its template in an annotation, where apps/v1 keeps a field that older versions had. */
import type { DaemonSet } from "#shared/api/types/apps-v1.generated.ts";

const annotation = "deprecated.daemonset.template.generation";

export function templateGeneration({ metadata }: Readonly<DaemonSet>): number {
  const text = metadata.annotations?.[annotation];
  return text !== undefined && /^-?[0-9]+$/.test(text) ? Number(text) : 0;
}

export function setTemplateGeneration(draft: DaemonSet, generation: number): void {
  draft.metadata.annotations = { ...draft.metadata.annotations, [annotation]: String(generation) };
}
