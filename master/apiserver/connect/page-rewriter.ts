/** Of one tag with all of its attributes. Scripts may look like tags for a while; so it is more than any tag needs. */
const MOST_TAG_CHARACTERS = 256 * 1024;

/** Elements whose content is text to their own end tag, whatever it looks like. */
const rawElements = new Set(["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"]);

/** Gives the value that an attribute is to have instead; undefined where it stays. Names are in small letters, values as written. */
export type AttributeChange = (element: string, attribute: string, value: string) => string | undefined;

interface Attribute {
  readonly name: string;
  readonly value: string;
  /** Where the value stands, with its quotes. */
  readonly from: number;
  readonly to: number;
}

/** Text that holds no tags. */
interface Stretch {
  /** What ends it, or begins another one. */
  readonly end: RegExp;
  /** What comes then, and how much of what was found does not belong to that any more. Without a next one it is read as a page is. */
  readonly after: (found: string) => { readonly own: number; readonly next?: Stretch | undefined };
}

const endingWith = (text: string): Stretch => ({
  end: new RegExp(RegExp.escape(text)),
  after: () => ({ own: text.length }),
});

/** Content of an element that an end tag ends, which is read as any other. */
const contentOf = (element: string): Stretch =>
  element === "script"
    ? scriptData
    : { end: new RegExp(`</${element}[\\t\\n\\f\\r />]`, "i"), after: () => ({ own: 0 }) };

const isCommentEnd = (found: string): boolean => found === "-->";
const isEndTag = (found: string): boolean => found.startsWith("</");

/** A script's text is three things by turns (13.2.5.4, 13.2.5.20, 13.2.5.27). */
const scriptData: Stretch = {
  end: /<!--|<\/script[\t\n\f\r />]/i,
  // The dashes that begin a comment may end it as well.
  after: (found) => (isEndTag(found) ? { own: 0 } : { own: "<!".length, next: scriptInComment }),
};

const scriptInComment: Stretch = {
  end: /-->|<\/?script[\t\n\f\r />]/i,
  after(found) {
    if (isCommentEnd(found)) return { own: found.length, next: scriptData };
    return isEndTag(found) ? { own: 0 } : { own: found.length, next: scriptInScript };
  },
};

/** The end tag in here is that of the script in the comment. */
const scriptInScript: Stretch = {
  end: /-->|<\/script[\t\n\f\r />]/i,
  after: (found) => ({ own: found.length, next: isCommentEnd(found) ? scriptData : scriptInComment }),
};

const isLetter = (character: string): boolean => /^[A-Za-z]$/.test(character);

/**
 * Changes attributes of start tags on an HTML page and nothing else, as the page comes by (the HTML standard's tokenization, 13.2.5).
 * Which elements are open it need not know, so each character costs the same, and in memory there is one tag at most: from one on
 * that is longer than any tag may be, the page stays as it is. The page is given in pieces of Latin-1, a byte a character.
 */
export class PageRewriter {
  readonly #change: AttributeChange;
  #pending = "";
  #stretch: Stretch | undefined;
  #tag: TagScan | undefined;
  #isGivenUp = false;

  constructor(change: AttributeChange) {
    this.#change = change;
  }

  /** What can be given on of the page so far. */
  push(piece: string): string {
    if (this.#isGivenUp) return piece;
    this.#pending += piece;
    let out = "";
    for (let given = this.#next(); given !== undefined; given = this.#next()) out += given;
    return out;
  }

  /** What is left when the page has ended. */
  end(): string {
    const rest = this.#pending;
    this.#pending = "";
    return rest;
  }

  /** Takes the next stretch off what is pending; undefined where it takes more of the page to know what it is. */
  #next(): string | undefined {
    if (this.#pending === "") return undefined;
    if (this.#isGivenUp) return this.#take(this.#pending.length);
    if (this.#tag) return this.#tagOf(this.#tag);
    if (this.#stretch) return this.#plain(this.#stretch);
    return this.#text();
  }

  #take(length: number): string {
    const taken = this.#pending.slice(0, length);
    this.#pending = this.#pending.slice(length);
    return taken;
  }

  #text(): string | undefined {
    const begin = this.#pending.indexOf("<");
    if (begin !== 0) return this.#take(begin < 0 ? this.#pending.length : begin);
    const [, second = "", third = ""] = this.#pending;
    if (second === "" || (second === "/" && third === "")) return undefined;
    if (isLetter(second) || (second === "/" && isLetter(third))) {
      this.#tag = new TagScan();
      return "";
    }
    if (second === "!" && "<!--".startsWith(this.#pending.slice(0, 4))) {
      if (this.#pending.length < 4) return undefined;
      this.#stretch = endingWith("-->");
      // The comment `<!-->` is one.
      return this.#take(2);
    }
    if (second === "!" || second === "?" || second === "/") this.#stretch = endingWith(">");
    return this.#take(1);
  }

  /** Text up to what ends it; but for its last characters, which may be the begin of that. */
  #plain({ end, after }: Stretch): string | undefined {
    const match = end.exec(this.#pending);
    if (!match) {
      const sure = this.#pending.length - longestEnd;
      return sure > 0 ? this.#take(sure) : undefined;
    }
    const { own, next } = after(match[0]);
    this.#stretch = next;
    return this.#take(match.index + own);
  }

  #tagOf(scan: TagScan): string | undefined {
    const length = scan.read(this.#pending);
    if (length === undefined) {
      this.#isGivenUp = this.#pending.length > MOST_TAG_CHARACTERS;
      return this.#isGivenUp ? "" : undefined;
    }
    this.#tag = undefined;
    const tag = this.#take(length);
    if (tag[1] === "/") return tag;
    const element = scan.name(tag);
    if (element === "plaintext") this.#isGivenUp = true;
    if (rawElements.has(element)) this.#stretch = contentOf(element);
    return this.#changed(tag, element, scan.attributes(tag));
  }

  #changed(tag: string, element: string, attributes: readonly Attribute[]): string {
    let out = "";
    let at = 0;
    for (const { name, value, from, to } of attributes) {
      const changed = this.#change(element, name, value);
      if (changed === undefined || changed === value) continue;
      const quote = tag[from] === "'" ? "'" : '"';
      out += tag.slice(at, from) + quote + changed.replaceAll(quote, quote === "'" ? "&#39;" : "&quot;") + quote;
      at = to;
    }
    return out + tag.slice(at);
  }
}

/** More than what ends a stretch of text takes. */
const longestEnd = "</textarea ".length;

type TagState = "tag name" | "before name" | "name" | "after name" | "before value" | "quoted" | "unquoted";

const isSpace = (character: string): boolean => /^[\t\n\f\r ]$/.test(character);

/** Finds the end of a tag that comes in pieces, and where its attributes stand. */
class TagScan {
  #state: TagState = "tag name";
  #quote = "";
  /** Behind the `<`. */
  #at = 1;
  #nameEnd = 0;
  readonly #spans: { readonly nameFrom: number; nameTo: number; from: number; to: number }[] = [];

  /** The tag's length; undefined where it has not come to its end. @param text what there is from its begin on; grows from call to
   *  call. */
  read(text: string): number | undefined {
    for (; this.#at < text.length; this.#at += 1) {
      const character = text[this.#at] as string;
      if (character === ">" && this.#state !== "quoted") {
        this.#leave();
        return this.#at + 1;
      }
      this.#step(character);
    }
    return undefined;
  }

  name(tag: string): string {
    return tag.slice(1, this.#nameEnd).toLowerCase();
  }

  /** The first of each name, of those that have a value. */
  attributes(tag: string): Attribute[] {
    const seen = new Set<string>();
    return this.#spans.flatMap(({ nameFrom, nameTo, from, to }) => {
      const name = tag.slice(nameFrom, nameTo).toLowerCase();
      if (seen.has(name)) return [];
      seen.add(name);
      if (to === 0) return [];
      const isQuoted = tag[from] === '"' || tag[from] === "'";
      return [{ name, from, to, value: isQuoted ? tag.slice(from + 1, to - 1) : tag.slice(from, to) }];
    });
  }

  #step(character: string): void {
    switch (this.#state) {
      case "tag name":
        if (isSpace(character) || character === "/") this.#leaveFor(character, "before name");
        return;
      case "before name":
        if (!isSpace(character) && character !== "/") this.#begin();
        return;
      case "name":
        if (isSpace(character)) this.#leaveFor(character, "after name");
        else if (character === "/") this.#leaveFor(character, "before name");
        else if (character === "=") this.#leaveFor(character, "before value");
        return;
      case "after name":
        if (character === "/") this.#state = "before name";
        else if (character === "=") this.#state = "before value";
        else if (!isSpace(character)) this.#begin();
        return;
      case "before value":
        if (!isSpace(character)) this.#beginValue(character);
        return;
      case "quoted":
        if (character !== this.#quote) return;
        this.#last().to = this.#at + 1;
        this.#state = "before name";
        return;
      case "unquoted":
        if (isSpace(character)) this.#leaveFor(character, "before name");
        return;
    }
  }

  #begin(): void {
    this.#spans.push({ nameFrom: this.#at, nameTo: 0, from: 0, to: 0 });
    this.#state = "name";
  }

  #beginValue(character: string): void {
    this.#last().from = this.#at;
    this.#quote = character;
    this.#state = character === '"' || character === "'" ? "quoted" : "unquoted";
  }

  #leaveFor(character: string, state: TagState): void {
    // The slash in front of an end tag's name.
    if (this.#state === "tag name" && character === "/" && this.#at === 1) return;
    this.#leave();
    this.#state = state;
  }

  /** What is being read ends before the present character. */
  #leave(): void {
    if (this.#state === "tag name") this.#nameEnd = this.#at;
    else if (this.#state === "name") this.#last().nameTo = this.#at;
    else if (this.#state === "unquoted") this.#last().to = this.#at;
  }

  #last(): { nameTo: number; from: number; to: number } {
    return this.#spans.at(-1) as { nameTo: number; from: number; to: number };
  }
}
