/** `[sample, path, value]`: the path is keys and indexes with dots; `null` deletes. */
export type Change = readonly [sample: string, path: string, value: unknown];

/** Gives a copy of an object with one place changed; `null` deletes. */
export function changed<T extends object>(object: T, path: string, value: unknown): T {
  const copy = structuredClone(object);
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  let at = copy as Record<string, unknown>;
  for (const key of keys) {
    at[key] ??= {};
    at = at[key] as Record<string, unknown>;
  }
  if (value === null) delete at[last];
  else at[last] = value;
  return copy;
}
