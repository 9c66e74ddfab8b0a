/** What operations are called, and what they are gathered under. */

interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

/** Words of a group in tags and identifiers: what is neither letter, digit nor underscore parts them. */
export function groupWords(group: string): string[] {
  return group === "" ? ["core"] : group.replace(/\.k8s\.io$/, "").split(/[^A-Za-z0-9_]+/);
}

/** `RbacAuthorizationV1`, `CoreV1`, `StableExampleComV1`: a group version within an operation's identifier. */
export function identifierOf({ group, version }: GroupVersion): string {
  return [...groupWords(group), version].map(capitalized).join("");
}

/** Tag of a group's operations, `rbacAuthorization`. */
export function groupTag(group: string): string {
  const [first = "", ...further] = groupWords(group);
  return [first, ...further.map(capitalized)].join("");
}

/** Tag of a group version's operations, `rbacAuthorization_v1`. */
export function tagOf({ group, version }: GroupVersion): string {
  return `${groupTag(group)}_${version}`;
}

export function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
