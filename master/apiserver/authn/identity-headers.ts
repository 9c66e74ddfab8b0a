/** The headers by which a proxy in front of an API server says whose request it brings. */
import type { User } from "../request.ts";

/** By what each part of a user is named; of several, the first that has a value. Case does not matter. */
export interface IdentityHeaderNames {
  readonly username: readonly string[];
  readonly uid: readonly string[];
  /** All values of all of them. */
  readonly group: readonly string[];
  /** Before a key of the user's extra, which is percent-encoded. */
  readonly extraPrefix: readonly string[];
}

/** What this API server's own aggregator sends, and upstream's. */
export const standardIdentityHeaders: IdentityHeaderNames = {
  username: ["X-Remote-User"],
  uid: ["X-Remote-Uid"],
  group: ["X-Remote-Group"],
  extraPrefix: ["X-Remote-Extra-"],
};

export class IdentityHeaders {
  readonly #names: IdentityHeaderNames;
  /** Whoever sends them, those behind must not see them: they would take them for this server's word. */
  readonly #all: ReadonlySet<string>;
  readonly #prefixes: readonly string[];

  constructor(names: IdentityHeaderNames = standardIdentityHeaders) {
    const { username, uid, group, extraPrefix } = lowered(names);
    this.#names = { username, uid, group, extraPrefix };
    const standard = lowered(standardIdentityHeaders);
    this.#all = new Set([standard, this.#names].flatMap((each) => [...each.username, ...each.uid, ...each.group]));
    this.#prefixes = [...new Set([...standard.extraPrefix, ...extraPrefix])];
  }

  /** @param name in lower case. */
  has(name: string): boolean {
    return this.#all.has(name) || this.#prefixes.some((prefix) => name.startsWith(prefix));
  }

  /** @param rawHeaders name, value, name, value … undefined: they name nobody. */
  userIn(rawHeaders: readonly string[]): User | undefined {
    const { username, uid, group, extraPrefix } = this.#names;
    const sent = valuesByName(rawHeaders);
    const firstOf = (names: readonly string[]): string =>
      names.map((name) => sent.get(name)?.[0] ?? "").find((value) => value !== "") ?? "";
    const name = firstOf(username);
    if (name === "") return undefined;
    const extra = extraIn(sent, extraPrefix);
    return {
      name,
      uid: firstOf(uid) || undefined,
      groups: group.flatMap((each) => (sent.get(each) ?? []).filter((value) => value !== "")),
      ...(Object.keys(extra).length > 0 ? { extra } : {}),
    };
  }
}

function extraIn(
  sent: ReadonlyMap<string, readonly string[]>,
  prefixes: readonly string[],
): Record<string, readonly string[]> {
  const extra = new Map<string, readonly string[]>();
  for (const prefix of prefixes) {
    for (const [name, values] of sent) {
      if (!name.startsWith(prefix)) continue;
      const key = unescapedKey(name.slice(prefix.length));
      extra.set(key, [...(extra.get(key) ?? []), ...values]);
    }
  }
  return Object.fromEntries(extra);
}

/** Names in lower case. */
function valuesByName(rawHeaders: readonly string[]): Map<string, string[]> {
  const byName = new Map<string, string[]>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? "").toLowerCase();
    const value = headerText(rawHeaders[index + 1] ?? "");
    const known = byName.get(name);
    if (known) known.push(value);
    else byName.set(name, [value]);
  }
  return byName;
}

/** What a header's bytes, which HTTP gives as Latin-1, say as UTF-8. */
export const headerText = (value: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what lies beyond ASCII is looked for.
  /[^\u0000-\u007f]/.test(value) ? Buffer.from(value, "latin1").toString("utf8") : value;

/** A key of a user's extra as a header's name carries it, percent-encoded; what is wrongly encoded stays as it is. */
export function unescapedKey(key: string): string {
  if (!key.includes("%") || /%(?![0-9a-f]{2})/i.test(key)) return key;
  const bytes = key.replace(/%([0-9a-f]{2})/gi, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return headerText(bytes);
}

const lowered = ({ username, uid, group, extraPrefix }: IdentityHeaderNames): IdentityHeaderNames => ({
  username: username.map(lower),
  uid: uid.map(lower),
  group: group.map(lower),
  extraPrefix: extraPrefix.map(lower),
});

const lower = (name: string): string => name.trim().toLowerCase();
