/** Who has a name: the serial of the board, and since when (ms since 1970). */
export interface Claim {
  readonly boardSerial: string;
  readonly claimed_ms: number;
}

export interface NameQuestion {
  readonly hostName: string;
  readonly boardSerial: string;
  readonly claims: Readonly<Record<string, Claim>>;
  /** Whether a Node of that name exists. */
  readonly nodeExists: (name: string) => boolean;
  /** By which clients know an API server that is no board itself: no board gets a certificate for them. */
  readonly masterNames?: readonly string[] | undefined;
  readonly now_ms: number;
}

/** A name whose board never became a Node, or whose Node was deleted, is free again after this. */
export const claimWithoutNode_ms = 3_600_000;
/** Names that every API server's certificate has. */
const everyMastersNames = ["kubernetes", "localhost"];
const longestName = 63;
const suffixSteps = [4, 8, 12, 16];

/**
 * The name that a board gets: its host name, unless that belongs to another board; then with the end of its serial, as
 * long as is needed to be the only one (`raspberrypi`, `raspberrypi-4f2a`). The same board always gets the same name
 * again, also from a new card. undefined when no suffix helps, which takes two boards of one serial.
 */
export function chooseNodeName(question: NameQuestion): string | undefined {
  const base = nodeNameFrom(question.hostName);
  const serial = question.boardSerial.toLowerCase().replace(/[^a-z0-9]/g, "");
  const suffixed = suffixSteps.flatMap((length) =>
    serial.length === 0 ? [] : [`${base.slice(0, longestName - length - 1)}-${serial.slice(-length)}`],
  );
  const candidates = [...new Set([base, ...suffixed])];
  const own = candidates.find((name) => question.claims[name]?.boardSerial === question.boardSerial);
  return own ?? candidates.find((name) => isFree(name, question));
}

function isFree(name: string, { claims, nodeExists, masterNames = [], now_ms }: NameQuestion): boolean {
  if (nodeExists(name) || everyMastersNames.includes(name) || masterNames.includes(name)) return false;
  const claim = claims[name];
  return claim === undefined || now_ms - claim.claimed_ms > claimWithoutNode_ms;
}

/** A host name as a DNS label: lower case, without what a label may not hold and without its domain. */
export function nodeNameFrom(hostName: string): string {
  const [first = ""] = hostName.toLowerCase().split(".");
  const label = first
    .replace(/[^a-z0-9-]+/g, "-")
    .slice(0, longestName)
    .replace(/^-+|-+$/g, "");
  return label || "board";
}
