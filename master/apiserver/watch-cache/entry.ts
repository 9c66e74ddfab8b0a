import type { KubeObject } from "#shared/api/object.ts";
import type { Labels } from "#shared/api/selector/label-selector.ts";
import type { CachedObject } from "../request.ts";
import { parseFrozen, servedText } from "./stored-text.ts";

/** What is looked up often and therefore kept beside the text. */
export interface Indexed {
  readonly labels: Labels | undefined;
  /** Selectable fields by name; unset ones are absent. */
  readonly fields: Readonly<Record<string, string>>;
}

/** One object at one revision: text at rest, a view as long as somebody holds it. */
export class Entry implements CachedObject {
  #view: WeakRef<KubeObject> | undefined;

  constructor(
    /** `namespace/name` or `name`. */
    readonly key: string,
    readonly revision: number,
    /** As stored: without resourceVersion. */
    readonly stored: string,
    readonly indexed: Indexed,
    view: KubeObject | undefined,
  ) {
    if (view) this.#remember(view);
  }

  text(): string {
    return servedText(this.stored, this.revision);
  }

  view(): KubeObject {
    const alive = this.#view?.deref();
    if (alive) return alive;
    const view = parseFrozen(this.text());
    this.#remember(view);
    return view;
  }

  #remember(view: KubeObject): void {
    this.#view = new WeakRef(view);
    recentViews.add(view);
  }

  /** The same object under another revision: what a deletion shows. */
  at(revision: number): Entry {
    return new Entry(this.key, revision, this.stored, this.indexed, undefined);
  }

  get namespace(): string {
    const slash = this.key.indexOf("/");
    return slash < 0 ? "" : this.key.slice(0, slash);
  }

  get name(): string {
    return this.key.slice(this.key.indexOf("/") + 1);
  }
}

/** Keeps the last parsed views alive, so that what is read again and again is parsed once. */
class RecentViews {
  readonly #ring: (KubeObject | undefined)[] = new Array<KubeObject | undefined>(512).fill(undefined);
  #next = 0;

  add(view: KubeObject): void {
    this.#ring[this.#next] = view;
    this.#next = (this.#next + 1) % this.#ring.length;
  }

  clear(): void {
    this.#ring.fill(undefined);
  }
}
const recentViews = new RecentViews();

/** For a quiet hour: what is read again is parsed again. */
export const forgetRecentViews = (): void => recentViews.clear();
