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
  const tables: Table[] = ["raw", "mangle", "nat", "filter"];
  return tables.map((table) => renderTable(table, previous[table] ?? new Map(), next[table] ?? new Map())).join("");
}

function renderTable(table: Table, previous: Chains, next: Chains): string {
  const changed = [...next].filter(([name, rules]) => !sameRules(previous.get(name), rules));
  const gone = [...previous.keys()].filter((name) => !next.has(name));
  if (changed.length === 0 && gone.length === 0) return "";
  return `${[
    `*${table}`,
    ...[...changed.map(([name]) => name), ...gone].map((name) => `:${name} - [0:0]`),
    ...changed.flatMap(([name, rules]) => rules.map((rule) => renderRule(name, rule))),
    ...gone.map((name) => `-X ${name}`),
    "COMMIT",
  ].join("\n")}\n`;
}

function sameRules(a: readonly Rule[] | undefined, b: readonly Rule[]): boolean {
  if (a === b) return true;
  if (!a || a.length !== b.length) return false;
  return a.every((rule, index) => {
    const other = b[index] ?? [];
    return rule.length === other.length && rule.every((word, position) => word === other[position]);
  });
}
