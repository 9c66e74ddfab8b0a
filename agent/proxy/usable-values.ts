import { canonicalAddress, canonicalNetwork } from "#shared/board/cidr.ts";
import { familyOf, type IpFamily } from "#shared/net/ip-family.ts";

export type Protocol = "TCP" | "UDP" | "SCTP";

export const isPortNumber = (port: number): boolean => Number.isInteger(port) && port > 0 && port < 65_536;

/** undefined for what is none of those that the kernel translates. */
export function protocolOf(text = "TCP"): Protocol | undefined {
  return text === "TCP" || text === "UDP" || text === "SCTP" ? text : undefined;
}

/** Of what is left out, so much is told. */
const MOST_TOLD = 5;

/**
 * Values of a Service, or of whatever becomes rules, in the form in which rules have them. API servers refuse others, but an older one
 * or a hand in the store may have let one in: one of these in a text of rules would fail the rules of everybody. It is left out,
 * and remembered to be told.
 */
export class UsableValues {
  readonly #leftOut = new Set<string>();

  constructor(readonly family: IpFamily) {}

  /** The address in its one form; undefined if it is none of this family. */
  address(text: string, what: string): string | undefined {
    return this.#ofFamily(text, canonicalAddress(text), what);
  }

  addresses(texts: readonly string[], what: string): string[] {
    return [...new Set(texts.flatMap((text) => this.address(text, what) ?? []))];
  }

  networks(texts: readonly string[], what: string): string[] {
    return [...new Set(texts.flatMap((text) => this.network(text, what) ?? []))];
  }

  /** The network in its one form; undefined if it is none of this family. */
  network(text: string, what: string): string | undefined {
    return this.#ofFamily(text, canonicalNetwork(text.trim()), what);
  }

  leaveOut(what: string): void {
    this.#leftOut.add(what);
  }

  /** What was left out, in words; "" when nothing was. */
  leftOut(): string {
    const told = [...this.#leftOut].sort();
    const more = told.length - MOST_TOLD;
    return told.slice(0, MOST_TOLD).join(", ") + (more > 0 ? ` and ${more} more` : "");
  }

  #ofFamily(text: string, canonical: string | undefined, what: string): string | undefined {
    const isOfFamily = (address: string): boolean => familyOf(address) === this.family;
    if (canonical !== undefined) return isOfFamily(canonical) ? canonical : undefined;
    // What cannot be read belongs to that family of which it looks to be: it is told once.
    if (isOfFamily(text)) this.leaveOut(`${what} ${JSON.stringify(text)}`);
    return undefined;
  }
}
