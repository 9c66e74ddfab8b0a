/** The first of the items of each key. Lists that users send may be long: nothing looks along one for each item of another. */
export function firstByKey<K, T>(items: readonly T[], keyOf: (item: T) => K): Map<K, T> {
  const found = new Map<K, T>();
  for (const item of items) {
    const key = keyOf(item);
    if (!found.has(key)) found.set(key, item);
  }
  return found;
}
