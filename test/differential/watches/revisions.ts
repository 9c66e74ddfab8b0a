/** Revisions differ between servers; by which step each was made does not. */

/** Where a step that wrote had come when it was done. */
interface Bound {
  readonly label: string;
  readonly revision: number;
}

export class Revisions {
  readonly #bounds: Bound[] = [];
  readonly #compactions: Bound[] = [];
  /** Of objects, which tell when they were written. */
  readonly #exact = new Set<number>();

  done(label: string, revision: number): void {
    this.#bounds.push({ label, revision });
  }

  /** The store was compacted, which one server writes down and another does not. */
  compacted(label: string, revision: number): void {
    this.#compactions.push({ label, revision });
  }

  after(label: string): number {
    const found = [...this.#bounds, ...this.#compactions].find((bound) => bound.label === label);
    if (!found) throw new Error(`${label} wrote nothing`);
    return found.revision;
  }

  sawObject(revision: number): void {
    this.#exact.add(revision);
  }

  /** Of an object: the step that wrote it, with a number where that one wrote several. */
  ofObject(revision: number): string {
    const index = this.#bounds.findIndex((bound) => revision <= bound.revision);
    const bound = this.#bounds[index];
    if (!bound) return "later";
    const before = this.#bounds[index - 1]?.revision;
    if (before === undefined) return "before";
    const within = [...this.#exact].filter((each) => each > before && each <= bound.revision).sort((a, b) => a - b);
    return within.length === 1 ? bound.label : `${bound.label} ${within.indexOf(revision) + 1}`;
  }

  /** Of a moment, when others may have written too: the last step that had been done. */
  ofMoment(revision: number): string {
    return `since ${this.#bounds.findLast((bound) => bound.revision <= revision)?.label ?? "the beginning"}`;
  }
}
