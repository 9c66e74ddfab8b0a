/** CEL's `semver`: versions as https://semver.org orders them. */
import { type Implementation, type Overload, overload } from "./functions.ts";
import { CelError, type Opaque } from "./values.ts";

class Version implements Opaque {
  readonly opaqueType = "kubernetes.Semver";
  constructor(
    readonly numbers: readonly [bigint, bigint, bigint],
    readonly prerelease: readonly string[],
  ) {}
  equals(other: Opaque): boolean {
    return other instanceof Version && compareVersions(this, other) === 0;
  }
}

const identifiers = "(?:0|[1-9]\\d*|\\d*[A-Za-z-][0-9A-Za-z-]*)";
const semver = new RegExp(
  `^(0|[1-9]\\d*)\\.(0|[1-9]\\d*)\\.(0|[1-9]\\d*)(?:-(${identifiers}(?:\\.${identifiers})*))?(?:\\+[0-9A-Za-z-.]+)?$`,
);

function versionFrom(text: string, isLenient = false): Version | undefined {
  const match = semver.exec(isLenient ? lenient(text) : text);
  if (!match) return undefined;
  const [, major = "0", minor = "0", patch = "0", prerelease = ""] = match;
  return new Version([BigInt(major), BigInt(minor), BigInt(patch)], prerelease === "" ? [] : prerelease.split("."));
}

/** `v1.2` as `1.2.0`, leading zeros dropped. */
function lenient(text: string): string {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)$/.exec(text);
  if (!match) return text;
  const [, major = "0", minor = "0", patch = "0", rest = ""] = match;
  return `${Number(major)}.${Number(minor)}.${Number(patch)}${rest}`;
}

/** A version as a value. Throws CelError for a text that is none. */
export function version(text: string, isLenient = false): Version {
  const parsed = versionFrom(text, isLenient);
  if (!parsed) throw new CelError("No Major.Minor.Patch elements found");
  return parsed;
}

function compareVersions(a: Version, b: Version): number {
  for (const [index, number] of a.numbers.entries()) {
    const other = b.numbers[index] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0)
    return Math.sign(b.prerelease.length - a.prerelease.length);
  for (const [index, part] of a.prerelease.entries()) {
    const other = b.prerelease[index];
    if (other === undefined) return 1;
    const order = comparePart(part, other);
    if (order !== 0) return order;
  }
  return a.prerelease.length < b.prerelease.length ? -1 : 0;
}

function comparePart(a: string, b: string): number {
  const [left, right] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (left && right) return Math.sign(Number(a) - Number(b));
  if (left !== right) return left ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

export const versionLibrary: readonly Overload[] = [
  overload("semver(string) -> kubernetes.Semver", (text: string) => version(text)),
  overload("semver(string, bool) -> kubernetes.Semver", version as Implementation),
  overload("isSemver(string) -> bool", (text: string) => versionFrom(text) !== undefined),
  overload(
    "isSemver(string, bool) -> bool",
    (text: string, isLenient: boolean) => versionFrom(text, isLenient) !== undefined,
  ),
  overload("kubernetes.Semver.major() -> int", ({ numbers }: Version) => numbers[0]),
  overload("kubernetes.Semver.minor() -> int", ({ numbers }: Version) => numbers[1]),
  overload("kubernetes.Semver.patch() -> int", ({ numbers }: Version) => numbers[2]),
  overload(
    "kubernetes.Semver.isLessThan(kubernetes.Semver) -> bool",
    (a: Version, b: Version) => compareVersions(a, b) < 0,
  ),
  overload(
    "kubernetes.Semver.isGreaterThan(kubernetes.Semver) -> bool",
    (a: Version, b: Version) => compareVersions(a, b) > 0,
  ),
  overload("kubernetes.Semver.compareTo(kubernetes.Semver) -> int", (a: Version, b: Version) =>
    BigInt(compareVersions(a, b)),
  ),
];
