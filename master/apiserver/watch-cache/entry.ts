import type { KubeObject } from "#shared/api/object.ts";
import type { Labels } from "#shared/api/selector/label-selector.ts";
import { cacheBounds } from "#shared/process/cache-bounds.ts";
import type { CachedObject } from "../request.ts";
import type { Packer, Packing } from "./packed-text.ts";
import { bareText, parseFrozen, servedText } from "./stored-text.ts";

/** What is looked up often and therefore kept beside the text. */
export interface Indexed {
  readonly labels: Labels | undefined;
  /** Selectable fields by name; unset ones are absent. */
  readonly fields: Readonly<Record<string, string>>;
}

/** One object at one revision: text at rest, and a parsed view for a while after somebody has asked for it. */
export class Entry implements CachedObject {
  /** Of the text as stored: how many characters it has. */
  readonly size: number;
  #text: string;
  /** By what the text is packed; undefined while it is as it is. */
  #packing: Packing | undefined;
  #view: KubeObject | undefined;

  constructor(
    /** `namespace/name` or `name`. */
    readonly key: string,
    readonly revision: number,
    stored: string,
    readonly indexed: Indexed,
    view: KubeObject | undefined,
  ) {
    this.size = stored.length;
    this.#text = stored;
    if (view) this.#remember(view);
  }

  /** One for an answer alone, whose view is known: it goes with the answer, and is not among the recent ones. */
  static ofAnswer(key: string, revision: number, stored: string, indexed: Indexed, view: KubeObject): Entry {
    const entry = new Entry(key, revision, stored, indexed, undefined);
    entry.#view = view;
    return entry;
  }

  /** As stored: without resourceVersion. */
  get stored(): string {
    return this.#packing ? this.#packing.unpack(this.#text) : this.#text;
  }

  /** Whether the text as stored begins like this. @param head apiVersion and kind, up to where the metadata begins. */
  hasHead(head: string): boolean {
    return (this.#packing?.head ?? this.#text).startsWith(head);
  }

  /** Packs the text, if that makes it much smaller. */
  pack(packer: Packer): void {
    if (this.#packing) return;
    const packing = packer.packingFor(this.#text);
    const packed = packing.pack(this.#text);
    if (packed === undefined) return;
    this.#text = packed;
    this.#packing = packing;
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
    this.#text += entry.size;
    const { viewedText } = cacheBounds();
    while (this.#text > viewedText && this.#first < this.#entries.length - 1) this.#forgetOldest();
    if (this.#first < 1024 || this.#first < this.#entries.length / 2) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }

  #forgetOldest(): void {
    const oldest = this.#entries[this.#first] as Entry;
    oldest.forgetView();
    this.#text -= oldest.size;
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
