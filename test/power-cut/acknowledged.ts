/** Stands in notes for a key that is not there. */
export const absent = "-";

/** What may be on a disk by the notes of who wrote to it: `issue KEY STATE`, `ack KEY STATE [REVISION]`, `seen …`. */
export class Acknowledged {
  /** States of a key that may be on the disk: the one that was acknowledged, or any that was asked for since. */
  readonly states = new Map<string, Set<string>>();
  highest = 0;

  constructor(notes: readonly string[]) {
    for (const note of notes) {
      const [kind, key = "", tag = "", revision = "0"] = note.split(" ");
      this.highest = Math.max(this.highest, Number(revision));
      if (kind === "ack") this.states.set(key, new Set([tag]));
      else if (kind === "issue") this.#of(key).add(tag);
      // A state that was seen is one that was acknowledged to whoever looked.
      else if (kind === "seen") this.states.set(key, new Set([tag]));
    }
  }

  #of(key: string): Set<string> {
    const states = this.states.get(key) ?? new Set([absent]);
    this.states.set(key, states);
    return states;
  }
}
