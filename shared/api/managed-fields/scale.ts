/**
 * Managed fields between a resource and its scale subresource: who owns the replicas of the one owns those of the other
 * (apimachinery managedfields ScaleHandler).
 */
import type { ManagedFieldsEntry } from "../types/meta-v1.generated.ts";
import { fieldsOfEntry, identityOf, type Managers, managersOf, newEntry, sortedEntries } from "./entries.ts";
import { FieldSet } from "./field-set.ts";
import { treeCovers, treeWithout } from "./fields-tree.ts";

/** Where each API version of the resource has its replicas: `{ "apps/v1": ["spec", "replicas"] }`. */
export type ReplicasPaths = Readonly<Record<string, readonly string[] | undefined>>;

const scaleApiVersion = "autoscaling/v1";
const replicasOfScale = FieldSet.ofFields(["spec", "replicas"]);

const replicasOf = (paths: ReplicasPaths, apiVersion: string | undefined): FieldSet | undefined => {
  const path = apiVersion !== undefined && Object.hasOwn(paths, apiVersion) ? paths[apiVersion] : undefined;
  return path && FieldSet.ofFields(path);
};

/** The entries of the Scale of an object: those that own its replicas, each as owning the Scale's. */
export function scaleEntries(
  entries: readonly ManagedFieldsEntry[] | undefined,
  paths: ReplicasPaths,
): ManagedFieldsEntry[] | undefined {
  const managers: Managers = new Map();
  for (const [id, entry] of managersOf(entries ?? [])) {
    const replicas = replicasOf(paths, entry.apiVersion);
    if (replicas === undefined || !treeCovers(fieldsOfEntry(entry), replicas)) continue;
    const identity = { ...identityOf(entry), apiVersion: scaleApiVersion };
    managers.set(id, newEntry(identity, replicasOfScale.toFieldsV1(), entry.time));
  }
  return managers.size === 0 ? undefined : sortedEntries(managers);
}

/**
 * The object's entries after a write of its Scale: whoever no longer owns the Scale's replicas loses the object's. Whoever
 * takes them that way has no time, as upstream's. `apiVersion` is the resource's version whose scale was written.
 */
export function entriesAfterScale(
  entries: readonly ManagedFieldsEntry[] | undefined,
  ofScale: readonly ManagedFieldsEntry[] | undefined,
  apiVersion: string,
  paths: ReplicasPaths,
): ManagedFieldsEntry[] | undefined {
  const managers: Managers = new Map();
  const left = managersOf(ofScale ?? []);
  for (const [id, entry] of managersOf(entries ?? [])) {
    if (!Object.hasOwn(paths, entry.apiVersion ?? "")) continue;
    const replicas = replicasOf(paths, entry.apiVersion);
    const tree = fieldsOfEntry(entry);
    if (replicas === undefined || !treeCovers(tree, replicas) || left.delete(id)) {
      managers.set(id, entry);
      continue;
    }
    const rest = treeWithout(tree, replicas);
    if (Object.keys(rest).length > 0) managers.set(id, { ...entry, fieldsV1: rest });
  }
  const owned = replicasOf(paths, apiVersion);
  const before = managersOf(entries ?? []);
  for (const [idOfScale, entry] of left) {
    if (owned === undefined || !treeCovers(fieldsOfEntry(entry), replicasOfScale)) continue;
    const identity = { ...identityOf(entry), apiVersion };
    // Beside another entry of the same manager, as upstream's: whoever reads both keeps the later one.
    managers.set(`of the scale ${idOfScale}`, newEntry(identity, owned.toFieldsV1(), before.get(idOfScale)?.time));
  }
  return managers.size === 0 ? undefined : sortedEntries(managers);
}
