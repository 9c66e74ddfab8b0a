/** Objects of one kind as a hand in the store may leave them, one field at a time, in the form in which API servers hand them out. */
import { type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import { fillRequired } from "#shared/api/schema/decoded-form.ts";
import { DecodeError, normalizeObject } from "#shared/api/schema/normalize-object.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface OddVariant<T> {
  /** `spec.ports[0].port = -1` */
  readonly how: string;
  readonly object: T;
}

const gone = Symbol("gone");

/** What stands in the place of a value. */
function oddOnes(value: Json): readonly (Json | typeof gone)[] {
  if (typeof value === "string") return [gone, "", "Odd[ *é\nx", "../../odd", "-1", "9".repeat(300), "fd00::0:1"];
  if (typeof value === "number") return [gone, -1, 0, 65_536, 2_147_483_647];
  if (typeof value === "boolean") return [gone, !value];
  if (Array.isArray(value)) return [gone, null, [], [null], [...value, ...value]];
  return [gone, null, {}];
}

/**
 * Each field of the object made odd in turn; those that no decoder takes are left out.
 * @param kept paths of fields that stay, for without them the object would be another one
 */
export function* oddVariants<T extends KubeObject>(object: T, kept: RegExp): Generator<OddVariant<T>> {
  const schema = schemaFor({ ...parseApiVersion(object.apiVersion), kind: object.kind });
  if (!schema) throw new Error(`${object.kind} is no built-in kind`);
  for (const path of pathsOf(object as unknown as Json)) {
    const name = nameOf(path);
    if (kept.test(name)) continue;
    for (const odd of oddOnes(at(object as unknown as Json, path))) {
      const how = `${name} = ${odd === gone ? "gone" : JSON.stringify(odd).slice(0, 80)}`;
      for (const form of ["as upstream's server", "as Bramble's server"] as const) {
        try {
          const decoded = normalizeObject(schema, withChange(object as unknown as Json, path, odd)).object;
          if (form === "as Bramble's server") fillRequired(schema, decoded);
          const { apiVersion, kind } = object;
          yield { how: `${how}, ${form}`, object: { ...decoded, apiVersion, kind } as unknown as T };
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
        }
      }
    }
  }
}

type Path = readonly (string | number)[];

function* pathsOf(value: Json, path: Path = []): Generator<Path> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    const inner = [...path, Array.isArray(value) ? Number(key) : key];
    yield inner;
    yield* pathsOf(item, inner);
  }
}

const at = (value: Json, path: Path): Json =>
  path.reduce<Json>((inner, key) => (inner as { [key: string]: Json })[key] ?? null, value);

function withChange(value: Json, path: Path, odd: Json | typeof gone): Json {
  const copy = structuredClone(value);
  const last = path.at(-1) ?? "";
  const parent = at(copy, path.slice(0, -1)) as { [key: string]: Json };
  if (odd !== gone) parent[last] = odd;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return copy;
}

const nameOf = (path: Path): string =>
  path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${key}`))
    .join("")
    .slice(1);
