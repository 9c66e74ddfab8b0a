/**
 * Objects that rest in the store though nobody could create them now (an older version wrote them, or they were there before a
 * rule), and what becomes of writes to them. What cannot be created, upstream says; the objects are put into either store raw.
 */

import { statuses } from "../updates/statuses.ts";
import { absentOf, type Path, placesOf, withValue, wrongsOf } from "../wire/places.ts";
import type { Json, WireRequest } from "../wire/request.ts";
import { type Held, held } from "../wire/world.ts";
import { changes } from "./changes.ts";
import { olderOf } from "./older.ts";

const dryRun = "?dryRun=All";

export interface StoredCase {
  readonly name: string;
  /** Whether a new object may look so. */
  readonly create: WireRequest;
  /** Of the object in the store. */
  readonly objectName: string;
  /** Written whether or not a new one may look so. */
  readonly isOlder: boolean;
  readonly alter: (live: Json) => Json;
  /** Sent once the object is there. */
  readonly writes: readonly WireRequest[];
}

/** Their names say what they are about, or controllers in upstream's API server act on them. */
const unasked = new Set([
  "apiService",
  "customResourceDefinition",
  "flowSchema",
  "ipAddress",
  "priorityLevelConfiguration",
  "eventV1",
]);

export const kinds: readonly Held[] = held.filter(({ sample }) => !unasked.has(sample));

interface Variant {
  readonly what: string;
  readonly path: Path;
  readonly value: unknown;
  readonly isOlder?: boolean;
}

const place = (path: Path): string => path.join(".");

/** The server's own, which nobody can have got wrong. */
const isServers = (path: Path): boolean =>
  path[0] === "metadata" && /^(undefined|name|namespace|uid|selfLink|generation|managedFields)$/.test(`${path[1]}`);

/** No server has ever written an object without a struct of its kind, or a list with nulls in it. */
const isNeverWritten = (before: unknown, value: unknown): boolean =>
  ((value ?? undefined) === undefined && before !== null && typeof before === "object" && !Array.isArray(before)) ||
  (Array.isArray(value) && value.includes(null));

function variantsOf(object: Json): Variant[] {
  const wrong = placesOf(object).flatMap(({ path, value, schema }) =>
    wrongsOf({ path, value, schema })
      .filter((each) => !isNeverWritten(value, each.value))
      .map(({ what, value: other }) => ({ what: `${place(path)} ${what}`, path, value: other })),
  );
  const absent = absentOf(object).map(({ path, value }) => ({
    what: `${place(path)} ${JSON.stringify(value)}`,
    path,
    value,
  }));
  return [...wrong, ...absent].filter(({ path }) => !isServers(path));
}

const olderVariants = (sample: string): Variant[] =>
  olderOf(sample).map(([path, value]) => ({
    what: `${place(path)} once ${JSON.stringify(value)}`,
    path,
    value,
    isOlder: true,
  }));

export function casesOf({ sample, object, collection }: Held): StoredCase[] {
  return [...variantsOf(object), ...olderVariants(sample)].map(({ what, path, value, isOlder = false }) => {
    const name = `stored ${sample} ${what}`;
    const objectName = `stored-${sample.toLowerCase()}-${Bun.hash.crc32(what).toString(16)}`;
    const address = `${collection}/${objectName}`;
    const put = (how: string, below: string, body: (live: Json) => Json): WireRequest => ({
      name: `${name} ${how}`,
      method: "PUT",
      path: address + below + dryRun,
      body,
    });
    const [changedPath, changedValue] = changes[sample] ?? [];
    const status = statuses[sample];
    return {
      name,
      create: {
        name: `${name} created`,
        method: "POST",
        path: collection + dryRun,
        body: isOlder ? object : withValue(withValue(object, ["metadata", "name"], objectName), path, value),
      },
      objectName,
      isOlder,
      alter: (live) => (isOlder ? withPlace(live, path, value) : withLive(live, object, path, value)),
      writes: [
        put("relabelled", "", (live) => withLabel(live)),
        ...(changedPath ? [put("changed", "", (live) => withLive(live, object, changedPath, changedValue))] : []),
        ...(status ? [put("status", "/status", (live) => ({ ...live, status }))] : []),
      ],
    };
  });
}

function withLabel(live: Json): Json {
  const { labels, ...metadata } = live["metadata"] as Json;
  return { ...live, metadata: { ...metadata, labels: { ...(labels as Json), touched: "yes" } } };
}

/** The live object with another value; where it has lost the place, the one that was posted. */
function withLive(live: Json, posted: Json, path: Path, value: unknown): Json {
  try {
    return withValue(live, path, value);
  } catch {
    return { ...withValue(posted, path, value), metadata: live["metadata"] };
  }
}

/** With what leads to the place, if need be. */
function withPlace<T>(value: T, [key, ...rest]: Path, last: unknown): T {
  if (key === undefined) return last as T;
  const inner = withPlace((value as Record<string | number, unknown> | undefined)?.[key], rest, last);
  return Array.isArray(value) ? (value.with(Number(key), inner) as T) : { ...value, [key]: inner };
}
