/**
 * The text of a long list in parts, each encoded once for all who are sent the same list at the same time: many clients that
 * begin together, or one after the other while a list is under way, ask for the same objects.
 */
import { cacheBounds } from "#shared/process/cache-bounds.ts";
import type { CachedObject } from "../request.ts";
import type { TextOfMember } from "./list-pieces.ts";
import { type Encoded, plainBytes, storedBlocks } from "./stored-gzip.ts";

/** Answers smaller than this are not compressed, as upstream has it. */
export const COMPRESS_FROM = 128 * 1024;

/** How the parts travel: as they are, or in gzip's framing. */
export type PartForm = "plain" | "stored";

/** Characters of a part, and of the first one. One that is stored lies, with the object that ends it, mostly in one block. */
const partChars: Readonly<Record<PartForm, number>> = { plain: 256 * 1024, stored: 60 * 1024 };
const firstPartChars: Readonly<Record<PartForm, number>> = { plain: 256 * 1024, stored: COMPRESS_FROM };

export interface ListPart extends Encoded {
  /** Index of the item after its last. */
  readonly next: number;
}

export interface Members {
  readonly items: readonly CachedObject[];
  readonly isBare: boolean;
  readonly textOf: TextOfMember;
}

/** A text of members with commas between them. */
export interface MemberText {
  readonly text: string;
  readonly next: number;
}

/** Members from `from` on until there are so many characters, or no more of them. */
function textFrom({ items, textOf }: Members, from: number, chars: number): MemberText {
  const texts: string[] = [];
  let size = 0;
  let next = from;
  while (next < items.length && size < chars) {
    const text = textOf(items[next] as CachedObject);
    texts.push(text);
    size += text.length + 1;
    next += 1;
  }
  return { text: (from === 0 ? "" : ",") + texts.join(","), next };
}

/** How the list begins; the whole of a short one. */
export const firstText = (members: Members, form: PartForm): MemberText => textFrom(members, 0, firstPartChars[form]);

/** What all lists keep together. */
interface Kept {
  bytes: number;
}

/** One list that is being sent to one client or several. */
export class ListParts {
  readonly members: Members;
  readonly form: PartForm;
  /** Clients that it is being sent to. */
  users = 1;
  readonly #parts = new Map<number, ListPart>();
  readonly #kept: Kept;

  constructor(members: Members, form: PartForm, kept: Kept) {
    this.members = members;
    this.form = form;
    this.#kept = kept;
  }

  /** The part that begins with the item `from`, made if need be. */
  partAt(from: number): ListPart {
    const known = this.#parts.get(from);
    if (known) return known;
    const { members, form } = this;
    const part = this.make(from === 0 ? firstText(members, form) : textFrom(members, from, partChars[form]));
    // Who is alone needs no part twice.
    if (this.users > 1) this.#keep(from, part);
    return part;
  }

  /** A part of text that is there already. */
  make({ text, next }: MemberText): ListPart {
    const encoded = this.form === "stored" ? storedBlocks(text) : plainBytes(text);
    return { ...encoded, next };
  }

  /** Where there is no room for all, those parts go first that were made first: others are mostly past them. */
  #keep(from: number, part: ListPart): void {
    this.#parts.set(from, part);
    this.#kept.bytes += part.bytes.length;
    const { sharedLists_bytes } = cacheBounds();
    for (const oldest of this.#parts.keys()) {
      if (this.#kept.bytes <= sharedLists_bytes) return;
      this.#forget(oldest);
    }
  }

  #forget(from: number): void {
    this.#kept.bytes -= this.#parts.get(from)?.bytes.length ?? 0;
    this.#parts.delete(from);
  }

  forgetAll(): void {
    for (const from of this.#parts.keys()) this.#forget(from);
  }

  holds({ items, isBare }: Members, form: PartForm): boolean {
    const own = this.members;
    return form === this.form && isBare === own.isBare && areSame(items, own.items);
  }
}

function areSame(some: readonly CachedObject[], others: readonly CachedObject[]): boolean {
  if (some.length !== others.length) return false;
  for (let index = 0; index < some.length; index += 1) if (some[index] !== others[index]) return false;
  return true;
}

/** Lists that are being sent now; what was made of them goes with the last client. */
export class ListsUnderWay {
  readonly #lists = new Set<ListParts>();
  readonly #kept: Kept = { bytes: 0 };

  /** A list of the same members that somebody is being sent already. Whoever gets one leaves it in the end. */
  join(members: Members, form: PartForm): ListParts | undefined {
    for (const list of this.#lists) {
      if (!list.holds(members, form)) continue;
      list.users += 1;
      return list;
    }
    return undefined;
  }

  /** A list of which there is none yet. Whoever begins one leaves it in the end. */
  begin(members: Members, form: PartForm): ListParts {
    const list = new ListParts(members, form, this.#kept);
    this.#lists.add(list);
    return list;
  }

  leave(list: ListParts): void {
    list.users -= 1;
    if (list.users > 0) return;
    this.#lists.delete(list);
    list.forgetAll();
  }
}
