import type { FieldError } from "#shared/api/errors.ts";

export type Level = "privileged" | "baseline" | "restricted";

/** A level of the Pod Security Standards, as of a minor version of Kubernetes or as of now. */
export interface LevelVersion {
  readonly level: Level;
  /** The minor version; "latest" is what this server knows. */
  readonly version: number | "latest";
}

export interface NamespacePolicy {
  readonly enforce: LevelVersion;
  readonly audit: LevelVersion;
  readonly warn: LevelVersion;
  /** Labels that could not be read. */
  readonly errors: readonly FieldError[];
}

type Labels = Readonly<Record<string, string>>;

const prefix = "pod-security.kubernetes.io/";
export const levelNames = ["privileged", "baseline", "restricted"] as const satisfies readonly Level[];
const levels: readonly string[] = levelNames;
export const privileged: LevelVersion = { level: "privileged", version: "latest" };

export const describeLevel = ({ level, version }: LevelVersion): string =>
  `${level}:${version === "latest" ? version : `v1.${version}`}`;

export const isStricter = (a: Level, b: Level): boolean => levels.indexOf(a) > levels.indexOf(b);

type Levels = Omit<NamespacePolicy, "errors">;

const allPrivileged: Levels = { enforce: privileged, audit: privileged, warn: privileged };

/** The policy that a namespace's labels ask for; `defaults` where they say nothing. What cannot be read enforces the
 *  strictest level, and is passed over for audit and warnings. */
export function policyOf(labels: Labels = {}, defaults: Levels = allPrivileged): NamespacePolicy {
  const errors: FieldError[] = [];
  const read = (mode: "enforce" | "audit" | "warn"): LevelVersion => {
    const level = labels[`${prefix}${mode}`];
    const version = labels[`${prefix}${mode}-version`];
    const isLevel = level === undefined || levels.includes(level);
    const fallback: Level = mode === "enforce" ? "restricted" : "privileged";
    if (!isLevel) errors.push(labelError(mode, level, "must be one of privileged, baseline, restricted"));
    return {
      level: level === undefined ? defaults[mode].level : isLevel ? (level as Level) : fallback,
      version:
        version === undefined ? defaults[mode].version : (parseVersion(version) ?? unreadable(mode, version, errors)),
    };
  };
  const [enforce, audit, warn] = [read("enforce"), read("audit"), read("warn")];
  const saysWarn = labels[`${prefix}warn`] !== undefined;
  const enforces = labels[`${prefix}enforce`] !== undefined && levels.includes(labels[`${prefix}enforce`] ?? "");
  const follows = !saysWarn && enforces && isStricter(enforce.level, warn.level);
  const warnVersion = labels[`${prefix}warn-version`] === undefined ? enforce.version : warn.version;
  return { enforce, audit, warn: follows ? { level: enforce.level, version: warnVersion } : warn, errors };
}

/** `enforce=baseline:latest, …`: what of a policy its labels set themselves, but for what forbids nothing. */
export function describeLabels(policy: Levels, labels: Labels = {}): string {
  const isSet = (mode: string): boolean =>
    [`${prefix}${mode}`, `${prefix}${mode}-version`].some((label) => labels[label] !== undefined);
  return (["enforce", "audit", "warn"] as const)
    .filter((mode) => policy[mode].level !== "privileged" && isSet(mode))
    .map((mode) => `${mode}=${describeLevel(policy[mode])}`)
    .join(", ");
}

export const isFullyPrivileged = ({ enforce, audit, warn }: Levels): boolean =>
  [enforce, audit, warn].every(({ level }) => level === "privileged");

/** `latest`, `v1.35`; undefined for what is neither. */
export function parseVersion(text: string): number | "latest" | undefined {
  if (text === "latest") return text;
  const match = /^v1\.(0|[1-9][0-9]*)$/.exec(text);
  return match ? Number(match[1]) : undefined;
}

function unreadable(mode: string, version: string, errors: FieldError[]): "latest" {
  errors.push(labelError(`${mode}-version`, version, 'must be "latest" or "v1.x"'));
  return "latest";
}

const labelError = (name: string, value: string | undefined, why: string): FieldError => ({
  field: `metadata.labels[${prefix}${name}]`,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
});
