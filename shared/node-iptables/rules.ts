import { createHash } from "node:crypto";

/**
 * Netfilter rules as values. A rule is the words after `-A CHAIN`; a chain is replaced as a whole, so the text of a
 * ruleset is a pure function of it and two rulesets can be compared.
 */
export type Rule = readonly string[];

export type Table = "filter" | "nat" | "mangle" | "raw";

/** By chain name. Only user-defined chains: built-in ones get single rules by `Iptables.ensureRule`. */
export type Chains = ReadonlyMap<string, readonly Rule[]>;

export type Ruleset = Readonly<Partial<Record<Table, Chains>>>;

/** One word as iptables-restore reads it: quoted where it holds spaces or quotes. */
export function quoteWord(word: string): string {
  return /^[\w./:,!=@%+-]+$/.test(word) ? word : `"${word.replace(/[\\"]/g, "\\$&")}"`;
}

/** The kernel keeps so much of a comment (XT_MAX_COMMENT_LEN, with the byte that ends it). */
const LONGEST_COMMENT_BYTES = 255;

/** A comment as iptables takes it: one that is longer, or more than a line, fails all rules of its text. */
export function commentText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, LONGEST_COMMENT_BYTES);
}

/** 16 letters and digits for a chain or set that stands for these words, as kube-proxy makes them: SHA-256 in base 32. */
export function nameHash(...parts: readonly string[]): string {
  const digest = createHash("sha256").update(parts.join("")).digest();
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let text = "";
  for (let bit = 0; text.length < 16; bit += 5) {
    const index = bit >> 3;
    const pair = ((digest[index] ?? 0) << 8) | (digest[index + 1] ?? 0);
    text += alphabet[(pair >> (11 - (bit & 7))) & 31];
  }
  return text;
}

export function renderRule(chain: string, rule: Rule): string {
  return `-A ${chain} ${rule.map(quoteWord).join(" ")}`;
}

/**
 * The input of `iptables-restore --noflush` that turns `previous` into `next`: chains that changed are declared (which
 * flushes them) and filled, chains that are gone are flushed and deleted, all in one commit per table. Empty text when
 * nothing differs.
 */
export function renderChanges(previous: Ruleset, next: Ruleset): string {
  return [...changesOf(previous, next)].map(renderWhole).join("");
}

/** Chains in one commit: the time that iptables-nft takes grows with their square. 500 take some 30 ms. */
const largestCommit_chains = 500;

/**
 * As renderChanges, in several texts to be applied one after the other where so many chains change that one would take
 * long. Chains are written in the order of `next`, which therefore names one after those to which it jumps, and what is
 * gone goes last: so each commit leaves rules that work.
 */
export function* renderBatches(
  previous: Ruleset,
  next: Ruleset,
  largest_chains = largestCommit_chains,
): Generator<string> {
  for (const changes of changesOf(previous, next)) {
    const { table, changed, gone } = changes;
    if (changed.size + gone.length <= largest_chains) {
      yield renderWhole(changes);
      continue;
    }
    for (const names of cut([...changed.keys()], largest_chains)) {
      yield renderCommit(table, names, changed, []);
    }
    for (const names of cut(gone, largest_chains)) yield renderCommit(table, names, changed, []);
    for (const names of cut(gone, largest_chains)) yield renderCommit(table, [], changed, names);
  }
}

interface TableChanges {
  readonly table: Table;
  readonly changed: Chains;
  readonly gone: readonly string[];
}

function* changesOf(previous: Ruleset, next: Ruleset): Generator<TableChanges> {
  for (const table of ["raw", "mangle", "nat", "filter"] as const) {
    const before = previous[table] ?? new Map<string, readonly Rule[]>();
    const after = next[table] ?? new Map<string, readonly Rule[]>();
    const changed = new Map([...after].filter(([name, rules]) => !sameRules(before.get(name), rules)));
    const gone = [...before.keys()].filter((name) => !after.has(name));
    if (changed.size + gone.length > 0) yield { table, changed, gone };
  }
}

const renderWhole = ({ table, changed, gone }: TableChanges): string =>
  renderCommit(table, [...changed.keys(), ...gone], changed, gone);

/** Declares chains, fills those that have rules, deletes others. */
function renderCommit(table: Table, declared: readonly string[], rules: Chains, deleted: readonly string[]): string {
  return `${[
    `*${table}`,
    ...declared.map((name) => `:${name} - [0:0]`),
    ...declared.flatMap((name) => (rules.get(name) ?? []).map((rule) => renderRule(name, rule))),
    ...deleted.map((name) => `-X ${name}`),
    "COMMIT",
  ].join("\n")}\n`;
}

function* cut<T>(all: readonly T[], largest: number): Generator<readonly T[]> {
  for (let start = 0; start < all.length; start += largest) yield all.slice(start, start + largest);
}

function sameRules(a: readonly Rule[] | undefined, b: readonly Rule[]): boolean {
  if (a === b) return true;
  if (!a || a.length !== b.length) return false;
  return a.every((rule, index) => sameWords(rule, b[index] ?? []));
}

function sameWords(a: Rule, b: Rule): boolean {
  return a === b || (a.length === b.length && a.every((word, index) => word === b[index]));
}
