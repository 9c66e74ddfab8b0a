/** Configuration files of upstream's components, as the settings that their fields stand for. */
import { configurationText, readDocument } from "./document.ts";
import { withDropIns } from "./drop-ins.ts";
import type { Field } from "./field.ts";

/** Settings by option name, and fields that have no effect here. */
export interface ComponentConfiguration {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly withoutEffect: readonly string[];
}

export interface ComponentForm {
  readonly kind: string;
  readonly apiVersion: string;
  /** Fields that are read; the reader gives settings for one, none when the field says nothing. */
  readonly fields: Readonly<Record<string, (field: Field) => Record<string, unknown>>>;
  /** What upstream knows besides; those that say nothing (empty, zero) are not worth a word. */
  readonly others: string;
}

/**
 * Throws ConfigError that names everything that is wrong in the file.
 * @param path undefined: all is in the drop-ins
 * @param dropIns folder of files that change some of its fields
 */
export function readComponentConfiguration(
  path: string | undefined,
  form: ComponentForm,
  dropIns?: string,
): ComponentConfiguration {
  const content = dropIns === undefined ? configurationText(path ?? "") : withDropIns(path, dropIns, form);
  const where = [path, dropIns].filter((each) => each !== undefined).join(" with ");
  return readDocument(content, where, form.kind, (root) => decode(root, form));
}

function decode(root: Field, form: ComponentForm): ComponentConfiguration {
  const others = form.others.split(" ");
  const found = root.fields(["apiVersion", "kind", ...Object.keys(form.fields), ...others]);
  found["kind"]?.choice(form.kind, [form.kind]);
  found["apiVersion"]?.choice(form.apiVersion, [form.apiVersion]);
  const settings: Record<string, unknown> = {};
  for (const [name, read] of Object.entries(form.fields)) {
    const field = found[name];
    if (field && !field.isAbsent) Object.assign(settings, read(field));
  }
  return { settings, withoutEffect: others.filter((name) => found[name] && saysSomething(found[name])) };
}

const zero = /^0+(\.0*)?(ns|us|µs|ms|s|m|h)?$/;

/** Whoever writes all fields out leaves zero values in most of them. */
const saysSomething = ({ value }: Field): boolean => isSet(value);

function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false) return false;
  if (typeof value === "object") return Object.values(value).some(isSet);
  return !zero.test(String(value));
}

/* Readers of fields: each gives the option that a field stands for, or none when it says nothing. */

/** An empty text says nothing: upstream's defaults take its place. */
export const textTo = (option: string) => (field: Field) => {
  const text = field.text();
  return text === "" ? {} : { [option]: text };
};
/** What a field says, if it says anything. */
export const given = (field: Field, read: (field: Field) => Record<string, unknown>): Record<string, unknown> =>
  field.isAbsent ? {} : read(field);
export const booleanTo = (option: string) => (field: Field) => ({ [option]: field.boolean(false) });
export const integerTo =
  (option: string, min: number, max = Number.MAX_SAFE_INTEGER) =>
  (field: Field) => ({
    [option]: field.integer(min, { min, max }),
  });
export const portTo = (option: string) => (field: Field) => ({ [option]: field.integer(0, { min: 0, max: 65_535 }) });
/** A duration of zero says nothing: upstream's defaults take its place. */
export const durationTo = (option: string) => (field: Field) => {
  const text = field.text();
  return isSet(text) ? { [option]: text } : {};
};
export const textsTo = (option: string) => (field: Field) => ({ [option]: field.items().map((item) => item.text()) });

/** A mapping of names to texts, as the flag writes it. */
export function pairsTo(option: string, separator: "=" | "<" = "=") {
  return (field: Field): Record<string, unknown> => {
    const value = field.value;
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return { [option]: Object.entries(value).map(([name, text]) => `${name}${separator}${String(text)}`) };
    field.complain("expected a mapping");
    return {};
  };
}

/** Zero says nothing there: upstream's default takes its place. */
export const unlessZero = (read: (field: Field) => Record<string, unknown>) => (field: Field) =>
  field.value === 0 ? {} : read(field);

/** What stands in a file that asks for something else than is done here is said, rather than not done. */
export function only<V>(field: Field, isDone: (value: V) => boolean, why: string): void {
  if (!field.isAbsent && !isDone(field.value as V)) field.complain(why);
}
