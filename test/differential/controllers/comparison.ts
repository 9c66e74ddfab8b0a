import type { Snapshot } from "./snapshot.ts";

/** What only one of two snapshots has; objects of one kind and name are told apart field by field. */
export function differencesOf(upstream: Snapshot, ours: Snapshot): string[] {
  const onlyUpstream = without(upstream, ours);
  const onlyOurs = without(ours, upstream);
  const found: string[] = [];
  for (const text of onlyUpstream) {
    const name = nameOf(text);
    const fieldsTo = (other: string): string[] => fieldsOf(JSON.parse(text), JSON.parse(other));
    // Several may have one name but for what is by chance.
    const alike = onlyOurs.filter((other) => name !== undefined && nameOf(other) === name);
    const [nearest] = alike.toSorted((a, b) => fieldsTo(a).length - fieldsTo(b).length);
    if (nearest === undefined) found.push(`only upstream: ${text}`);
    else {
      onlyOurs.splice(onlyOurs.indexOf(nearest), 1);
      found.push(...fieldsTo(nearest).map((field) => `${name}${field}`));
    }
  }
  return [...found, ...onlyOurs.map((text) => `only ours: ${text}`)];
}

function without(texts: Snapshot, others: Snapshot): string[] {
  const left = [...others];
  return texts.filter((text) => {
    const at = left.indexOf(text);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function nameOf(text: string): string | undefined {
  const { kind, metadata } = JSON.parse(text) as { kind?: string; metadata?: { name?: string } };
  return kind && `${kind} ${metadata?.name}`;
}

function fieldsOf(upstream: unknown, ours: unknown, path = ""): string[] {
  if (Bun.deepEquals(upstream, ours)) return [];
  const bothAre = (is: (value: unknown) => boolean): boolean => is(upstream) && is(ours);
  const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
  if (!bothAre(isObject) || Array.isArray(upstream) !== Array.isArray(ours))
    return [`${path}: upstream ${JSON.stringify(upstream)}, ours ${JSON.stringify(ours)}`];
  const [a, b] = [upstream as Record<string, unknown>, ours as Record<string, unknown>];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) =>
    fieldsOf(a[key], b[key], `${path}.${key}`),
  );
}
