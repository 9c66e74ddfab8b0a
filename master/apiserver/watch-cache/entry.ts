import type { KubeObject } from "#shared/api/object.ts";
import type { Labels } from "#shared/api/selector/label-selector.ts";
import { cacheBounds } from "#shared/process/cache-bounds.ts";
import type { CachedObject } from "../request.ts";
import { bareText, parseFrozen, servedText } from "./stored-text.ts";

/** What is looked up often and therefore kept beside the text. */
export interface Indexed {
  readonly labels: Labels | undefined;
  /** Selectable fields by name; unset ones are absent. */
  readonly fields: Readonly<Record<string, string>>;
}

/** One object at one revision: text at rest, and a parsed view for a while after somebody has asked for it. */
export class Entry implements CachedObject {
  #view: KubeObject | undefined;

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

  bareText(): string {
    return bareText(this.stored, this.revision);
  }

  view(): KubeObject {
    if (this.#view) return this.#view;
    const view = parseFrozen(this.text());
    this.#remember(view);
    return view;
  }

  #remember(view: KubeObject): void {
    this.#view = view;
    recentViews.add(this);
  }

  /** The next who asks gets a view of their own. */
  forgetView(): void {
    this.#view = undefined;
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

/** Which entries have a parsed view, oldest first, so that what is read again and again is parsed once. Strong and
 *  bounded: weak references would keep every view that a long loop parses until the loop ends. */
class RecentViews {
  #entries: Entry[] = [];
  #first = 0;
  #text = 0;

  add(entry: Entry): void {
    this.#entries.push(entry);
    this.#text += entry.stored.length;
    const { viewedText } = cacheBounds();
    while (this.#text > viewedText && this.#first < this.#entries.length - 1) this.#forgetOldest();
    if (this.#first < 1024 || this.#first < this.#entries.length / 2) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }

  #forgetOldest(): void {
    const oldest = this.#entries[this.#first] as Entry;
    oldest.forgetView();
    this.#text -= oldest.stored.length;
    this.#first += 1;
  }

  clear(): void {
    for (let index = this.#first; index < this.#entries.length; index += 1) this.#entries[index]?.forgetView();
    this.#entries = [];
    this.#first = 0;
    this.#text = 0;
  }
}
const recentViews = new RecentViews();

/** For a quiet hour: what is read again is parsed again. */
export const forgetRecentViews = (): void => recentViews.clear();
