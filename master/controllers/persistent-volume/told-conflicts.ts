import type { AttachmentStep } from "./attachment-plan.ts";

/** Of which volumes the pods of a node know that another node has them: they are told once, for as long as it is so. */
export class ToldConflicts {
  readonly #volumesOf = new Map<string, ReadonlySet<string>>();

  /** The steps without conflicts that have been told. */
  untold(nodeName: string, steps: readonly AttachmentStep[]): AttachmentStep[] {
    const told = this.#volumesOf.get(nodeName);
    return told ? steps.filter((step) => !conflictsOf([step]).some((volume) => told.has(volume))) : [...steps];
  }

  /** Takes in that the steps have been carried out. */
  note(nodeName: string, steps: readonly AttachmentStep[]): void {
    const volumes = new Set(conflictsOf(steps));
    if (volumes.size > 0) this.#volumesOf.set(nodeName, volumes);
    else this.#volumesOf.delete(nodeName);
  }
}

const conflictsOf = (steps: readonly AttachmentStep[]): string[] =>
  steps.flatMap((step) =>
    step.kind === "refuse" && step.why === "conflict" ? [step.wanted.volume.metadata.name ?? ""] : [],
  );
