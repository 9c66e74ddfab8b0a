/** The list in metadata.managedFields: who an entry belongs to, its checks, its order and its bound. */
import { equalJson, isJsonObject, type JsonObject } from "../patch/json-value.ts";
import { compareBytes, goQuote } from "../selector/go-quote.ts";
import type { ManagedFieldsEntry } from "../types/meta-v1.generated.ts";
import { FieldSet } from "./field-set.ts";
import type { FieldsTree } from "./fields-tree.ts";

export type Operation = "Apply" | "Update";

/** What tells managers apart: an applier keeps its entry over API versions, an updater has one for each. */
export interface ManagerIdentity {
  readonly manager: string;
  readonly operation: Operation;
  readonly apiVersion: string;
  readonly subresource: string;
}

/** Entries by their manager's identifier. */
export type Managers = Map<string, ManagedFieldsEntry>;

/** An entry that no server would have written; what it says is why. */
export class MalformedManagedFields extends Error {
  override readonly name = "MalformedManagedFields";
}

/** The identifier of a manager: JSON as upstream spells it, so that its order is upstream's. */
export function managerIdentifier({ manager, operation, apiVersion, subresource }: ManagerIdentity): string {
  return JSON.stringify({
    ...(manager === "" ? {} : { manager }),
    operation,
    ...(operation === "Update" ? { apiVersion } : {}),
    ...(subresource === "" ? {} : { subresource }),
  });
}

export function identityOf(entry: ManagedFieldsEntry): ManagerIdentity {
  return {
    manager: entry.manager ?? "",
    operation: entry.operation === "Apply" ? "Apply" : "Update",
    apiVersion: entry.apiVersion ?? "",
    subresource: entry.subresource ?? "",
  };
}

export const fieldsOfEntry = (entry: ManagedFieldsEntry): FieldsTree => entry.fieldsV1 ?? noFields;
const noFields: FieldsTree = Object.freeze({});

/** Entries by manager, as they were stored: their paths are canonical. */
export function managersOf(entries: readonly ManagedFieldsEntry[]): Managers {
  return new Map(entries.map((entry) => [managerIdentifier(identityOf(entry)), entry]));
}

/** Checks entries that a client wrote and makes their paths canonical; throws MalformedManagedFields. */
export function readEntries(entries: readonly unknown[]): ManagedFieldsEntry[] {
  return entries.map((entry, index) => {
    if (!isJsonObject(entry)) throw new MalformedManagedFields(`managed fields entry ${index} is not an object`);
    const { operation, apiVersion, fieldsType, fieldsV1 } = entry as ManagedFieldsEntry;
    if (operation !== "Apply" && operation !== "Update") {
      throw new MalformedManagedFields("operation must be `Apply` or `Update`");
    }
    if (!apiVersion) throw new MalformedManagedFields("apiVersion must not be empty");
    if (!fieldsType) throw new MalformedManagedFields(`missing fieldsType in managed fields entry ${index}`);
    if (fieldsType !== "FieldsV1") {
      throw new MalformedManagedFields(`invalid fieldsType ${goQuote(fieldsType)} in managed fields entry ${index}`);
    }
    try {
      if (isJsonObject(fieldsV1)) checkTree(fieldsV1);
      const tree = isJsonObject(fieldsV1) ? FieldSet.fromFieldsV1(fieldsV1).toFieldsV1() : {};
      return { ...(entry as ManagedFieldsEntry), fieldsV1: tree };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new MalformedManagedFields(`error decoding set: ${error.message}`);
    }
  });
}

/** Paths hold paths and nothing else. */
function checkTree(tree: JsonObject): void {
  for (const [key, below] of Object.entries(tree)) {
    if (!isJsonObject(below)) throw new SyntaxError(`${goQuote(key)}: expected an object`);
    checkTree(below);
  }
}

/**
 * The entries that a write starts from: those in the request when it changes them, none when it resets them (`[]` or
 * `[{}]`), else the live object's. A subresource cannot change them.
 */
export function startingEntries(
  live: readonly ManagedFieldsEntry[] | undefined,
  requested: readonly ManagedFieldsEntry[] | null | undefined,
  subresource: string | undefined,
): readonly ManagedFieldsEntry[] {
  const fallback = live ?? [];
  if (subresource || requested === null || requested === undefined || requested === live) return fallback;
  const [first] = requested;
  if (first === undefined || (requested.length === 1 && isEmptyEntry(first))) return [];
  if (equalJson(requested, fallback)) return fallback;
  try {
    return readEntries(requested);
  } catch (error) {
    // Clients that do not understand managed fields must not lose them for everyone.
    if (error instanceof MalformedManagedFields) return fallback;
    throw error;
  }
}

const isEmptyEntry = (entry: ManagedFieldsEntry): boolean =>
  isJsonObject(entry) && Object.values(entry).every((value) => value === undefined || value === null || value === "");

/** In stored order: appliers first, then by time, manager, version and subresource. */
export function sortedEntries(managers: Managers): ManagedFieldsEntry[] {
  return [...managers.values()].sort(
    (a, b) =>
      compareBytes(a.operation ?? "", b.operation ?? "") ||
      seconds(a.time) - seconds(b.time) ||
      compareBytes(a.manager ?? "", b.manager ?? "") ||
      compareBytes(a.apiVersion ?? "", b.apiVersion ?? "") ||
      compareBytes(a.subresource ?? "", b.subresource ?? ""),
  );
}

const seconds = (time: string | null | undefined): number => (time ? Math.floor(Date.parse(time) / 1000) || 0 : 0);

const updateManagersMax = 10;
const bucketName = "ancient-changes";

/** Merges the oldest updaters of each API version into one entry until no more than ten updaters are left. */
export function capUpdateManagers(managers: Managers): void {
  if (managers.size <= updateManagersMax) return;
  const updaters = [...managers].filter(([, entry]) => entry.operation === "Update");
  let left = updaters.length;
  if (left <= updateManagersMax) return;
  updaters.sort(([aId, a], [bId, b]) => seconds(a.time) - seconds(b.time) || compareBytes(aId, bId));
  const firstOfVersion = new Map<string, string>();
  const buckets = new Map<string, Bucket>();
  for (const [id, entry] of updaters) {
    if (left <= updateManagersMax) break;
    const apiVersion = entry.apiVersion ?? "";
    const first = firstOfVersion.get(apiVersion);
    if (first === undefined) {
      firstOfVersion.set(apiVersion, id);
      continue;
    }
    const bucket = buckets.get(apiVersion) ?? bucketOf(apiVersion, managers, first);
    buckets.set(apiVersion, bucket);
    bucket.entries.push(entry);
    managers.delete(id);
    left--;
  }
  for (const { identity, entries } of buckets.values()) {
    const fields = FieldSet.unionOf(entries.map((entry) => FieldSet.fromFieldsV1(fieldsOfEntry(entry))));
    managers.set(managerIdentifier(identity), newEntry(identity, fields.toFieldsV1(), entries.at(-1)?.time));
  }
}

interface Bucket {
  readonly identity: ManagerIdentity;
  readonly entries: ManagedFieldsEntry[];
}

/** The entry that gathers a version's: the one that is there, else the first updater's becomes it. */
function bucketOf(apiVersion: string, managers: Managers, first: string): Bucket {
  const identity: ManagerIdentity = { manager: bucketName, operation: "Update", apiVersion, subresource: "" };
  const id = managerIdentifier(identity);
  const gathered = managers.get(id) ?? managers.get(first);
  if (!managers.has(id)) managers.delete(first);
  return { identity, entries: gathered ? [gathered] : [] };
}

/** An entry with its members in the order in which upstream writes them. */
export function newEntry(identity: ManagerIdentity, fields: FieldsTree, time: string | undefined): ManagedFieldsEntry {
  return {
    manager: identity.manager,
    operation: identity.operation,
    apiVersion: identity.apiVersion,
    ...(time ? { time } : {}),
    fieldsType: "FieldsV1",
    fieldsV1: fields,
    ...(identity.subresource === "" ? {} : { subresource: identity.subresource }),
  };
}
