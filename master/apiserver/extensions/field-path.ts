/** Paths to declared fields, as rules' fieldPath and selectable fields are written (apiextensions' cel.ValidFieldPath). */
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { commonEscapes } from "#shared/cel/lexer.ts";

/** What is wrong with a path. */
export class FieldPathError extends Error {
  override readonly name = "FieldPathError";
}

export interface FieldPath {
  /** As errors name the field: `spec.a`, `spec.map[key]`. */
  readonly text: string;
  readonly schema: JSONSchemaProps;
}

/** Reads `.a.b` and, where brackets are allowed, `['a']`. Throws FieldPathError. */
export function fieldPathOf(
  path: string,
  schema: JSONSchemaProps,
  { allowsBrackets = true }: { readonly allowsBrackets?: boolean } = {},
): FieldPath {
  const tokens = path.match(/'(?:[^'\\]|\\.)*'|[.[\]]|[^.[\]]+/g) ?? [];
  let place: FieldPath = { text: "", schema };
  let index = 0;
  const next = (): string => {
    const token = tokens[index];
    if (token === undefined) throw new FieldPathError("unexpected end of JSON path");
    index += 1;
    return token;
  };
  while (index < tokens.length) {
    const token = next();
    if (token === ".") place = within(place, next());
    else if (token === "[") {
      if (!allowsBrackets) throw new FieldPathError("array notation is not allowed");
      const quoted = next();
      if (!/^'.*'$/s.test(quoted)) throw new FieldPathError(`expected single quoted string but got ${quoted}`);
      place = within(place, unescaped(quoted.slice(1, -1)));
      const close = next();
      if (close !== "]") throw new FieldPathError(`expected ] but got ${close}`);
    } else throw new FieldPathError(`expected [ or . but got: ${token}`);
  }
  return place;
}

function within({ text, schema }: FieldPath, name: string): FieldPath {
  const { properties, additionalProperties } = schema;
  const named = properties !== undefined && Object.keys(properties).length > 0;
  const found = named
    ? Object.hasOwn(properties, name)
      ? properties[name]
      : undefined
    : typeof additionalProperties === "object"
      ? additionalProperties
      : undefined;
  if (found === undefined) throw new FieldPathError("does not refer to a valid field");
  if (!named) return { text: `${text}[${name}]`, schema: found };
  return { text: text === "" ? name : `${text}.${name}`, schema: found };
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, (whole, directive: string) => {
    const character = commonEscapes[directive];
    if (character === undefined) throw new FieldPathError(`invalid string literal: invalid escape char ${whole}`);
    return character;
  });
}
