/** Of one tag with all of its attributes. Scripts may look like tags for a while; so it is more than any tag needs. */
const MOST_TAG_BYTES = 256 * 1024;
/** Each may stay open to the end of the page: so many take some 30 MB. */
const MOST_TAGS = 100_000;

const [lessThan, greaterThan, equals] = [0x3c, 0x3e, 0x3d];
const isQuote = (byte: number): boolean => byte === 0x22 || byte === 0x27;
const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
const isName = (byte: number): boolean => byte === 0x2f || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a);

/**
 * How much whoever rewrites a page has to keep in memory: a tag until its end has come, and which elements are open. Never less than it
 * is: what stands in scripts and comments counts as well (the HTML standard's tokenization, 13.2.5, as far as it tells where tags end).
 */
export class PageMeasure {
  #state: "text" | "opened" | "tag" | "quoted" = "text";
  #quote = 0;
  /** The last byte in the tag that is no space. */
  #last = 0;
  #tag_bytes = 0;
  #tags = 0;

  /** Whether it is too much with this part of the page. */
  exceeds(chunk: Buffer): boolean {
    let at = 0;
    while (at < chunk.length) {
      const from = at;
      at = this.#step(chunk, at);
      this.#tag_bytes = this.#state === "text" ? 0 : this.#tag_bytes + at - from;
      if (this.#tag_bytes > MOST_TAG_BYTES || this.#tags > MOST_TAGS) return true;
    }
    return false;
  }

  /** The place after what was read. */
  #step(chunk: Buffer, at: number): number {
    const byte = chunk[at] ?? 0;
    switch (this.#state) {
      case "text": {
        const next = chunk.indexOf(lessThan, at);
        if (next < 0) return chunk.length;
        this.#state = "opened";
        return next + 1;
      }
      case "opened":
        this.#state = isName(byte) ? "tag" : "text";
        if (this.#state === "text") return at;
        this.#tags += 1;
        this.#last = byte;
        return at + 1;
      case "tag":
        if (byte === greaterThan) this.#state = "text";
        else if (isQuote(byte) && this.#last === equals) {
          this.#state = "quoted";
          this.#quote = byte;
        }
        if (!isSpace(byte)) this.#last = byte;
        return at + 1;
      case "quoted": {
        const end = chunk.indexOf(this.#quote, at);
        if (end < 0) return chunk.length;
        this.#state = "tag";
        return end + 1;
      }
    }
  }
}
