/** The committed changes of a run as something to look states up in. */
import type { KubeObject } from "#shared/api/object.ts";
import { asksFor, goneBy, mayHaveBeenDone } from "./causes.ts";
import { type Call, type Change, type History, tagsOf, versionOf } from "./history.ts";

/** Where the revision that a call was served at must lie, both ends included. */
export interface Window {
  readonly least: number;
  readonly most: number;
}

export class Timeline {
  readonly changes: readonly Change[];
  readonly #byKey = new Map<string, Change[]>();
  readonly #previous = new Map<number, Change>();
  /** By the uid of what is gone. */
  readonly #deletions = new Map<string, Change>();
  /** By a tag: the changes that brought it into an object. */
  readonly #byTag = new Map<string, Change[]>();
  readonly #shown: { readonly at: number; readonly revision: number }[];
  readonly #begun: { readonly at: number; readonly revision: number }[];

  constructor({ changes, calls, watches }: History) {
    this.changes = changes;
    for (const change of changes) this.#note(change);
    const told = [
      ...calls.map((call) => ({ at: call.answered, revision: this.#shownBy(call) })),
      ...watches.flatMap(({ frames }) =>
        frames
          .filter(({ type }) => type !== "ERROR")
          .map(({ object, seen }) => ({ at: seen, revision: versionOf(object) || 0 })),
      ),
    ];
    this.#shown = runningExtreme(told, (one, other) => one.at - other.at, Math.max);
    this.#begun = runningExtreme(
      [...calls.flatMap((call) => this.#beginningsOf(call)), ...this.#beginningsOfDeletions(calls)],
      (one, other) => other.at - one.at,
      Math.min,
    );
  }

  #note(change: Change): void {
    const line = this.#byKey.get(change.key) ?? [];
    this.#byKey.set(change.key, line);
    const previous = line.at(-1);
    if (previous) this.#previous.set(change.revision, previous);
    const uid = previous?.object?.metadata.uid;
    if (!change.object && uid !== undefined) this.#deletions.set(uid, change);
    line.push(change);
    const before = previous?.object ? new Set(tagsOf(previous.object)) : new Set<string>();
    for (const tag of new Set(tagsOf(change.object))) {
      if (before.has(tag)) continue;
      const of = this.#byTag.get(tag) ?? [];
      this.#byTag.set(tag, of);
      of.push(change);
    }
  }

  /** The newest revision that an answer shows to have been committed. */
  #shownBy(call: Call): number {
    const { answer } = call;
    if (answer.kind === "lost" || answer.code >= 300) return 0;
    const { metadata } = answer.body as { metadata?: { resourceVersion?: string } };
    const gone = goneBy(call);
    const deletion = gone === undefined ? 0 : (this.#deletions.get(gone)?.revision ?? 0);
    return Math.max(Number(metadata?.resourceVersion ?? 0) || 0, deletion);
  }

  #beginningsOf({ tag, invoked }: Call): Mark[] {
    return this.changesOf(tag).map(({ revision }) => ({ at: invoked, revision }));
  }

  /** A deletion has no tag: it began no earlier than the first call that may have asked for it. */
  #beginningsOfDeletions(calls: readonly Call[]): Mark[] {
    const done = calls.filter(mayHaveBeenDone);
    return [...this.#deletions].flatMap(([uid, deletion]) => {
      const asking = done.filter((call) => asksFor(call, deletion, uid));
      const at = Math.min(...asking.map(({ invoked }) => invoked));
      return asking.length === 0 ? [] : [{ at, revision: deletion.revision }];
    });
  }

  /** What a write with this tag changed: one change at most, when all is well. */
  changesOf(tag: string): readonly Change[] {
    return this.#byTag.get(tag) ?? [];
  }

  /** The object that the change replaced or deleted. */
  before(change: Change): KubeObject | undefined {
    return this.#previous.get(change.revision)?.object;
  }

  /** The last change of the key up to the revision. */
  at(key: string, revision: number): Change | undefined {
    return this.#byKey.get(key)?.findLast((change) => change.revision <= revision);
  }

  /** The key's states within the window: the one that it began with, and all that came. */
  within(key: string, { least, most }: Window): readonly (Change | undefined)[] {
    const line = this.#byKey.get(key) ?? [];
    return [this.at(key, least), ...line.filter(({ revision }) => revision > least && revision <= most)];
  }

  line(key: string): readonly Change[] {
    return this.#byKey.get(key) ?? [];
  }

  /** Present objects whose keys begin so, in order of their keys. */
  state(prefix: string, revision: number): Change[] {
    return [...this.#byKey.keys()]
      .filter((key) => key.startsWith(prefix))
      .sort(byBytes)
      .flatMap((key) => this.at(key, revision) ?? [])
      .filter(({ object }) => object !== undefined);
  }

  changesUnder(prefix: string, after: number): Change[] {
    return this.changes.filter(({ key, revision }) => revision > after && key.startsWith(prefix));
  }

  /**
   * Whatever was shown to anyone before the call began was committed before it; whatever was written by a call that
   * began after its answer was committed later.
   */
  windowOf({ invoked, answered, answer }: Pick<Call, "invoked" | "answered" | "answer">): Window {
    const begun = answer.kind === "lost" ? undefined : this.#begun.findLast(({ at }) => at > answered);
    return { least: this.shownBefore(invoked), most: begun ? begun.revision - 1 : Number.POSITIVE_INFINITY };
  }

  /** The newest revision that anyone had been told of before this moment. */
  shownBefore(moment: number): number {
    return this.#shown.findLast(({ at }) => at < moment)?.revision ?? 0;
  }
}

const byBytes = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

interface Mark {
  readonly at: number;
  readonly revision: number;
}

/** Sorted, each with the extreme of itself and all before it. */
function runningExtreme(
  marks: readonly Mark[],
  order: (one: Mark, other: Mark) => number,
  extreme: (...numbers: number[]) => number,
): Mark[] {
  let present: number | undefined;
  return [...marks].sort(order).map(({ at, revision }) => {
    present = present === undefined ? revision : extreme(present, revision);
    return { at, revision: present };
  });
}
