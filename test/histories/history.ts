/**
 * What a run is judged by: what clients asked and were told, what watches told, and what the store had committed.
 * Moments are numbered in the order in which the one process of the clients saw them: no clock is asked.
 */
import type { KubeObject } from "#shared/api/object.ts";
import type { Operation } from "./operations.ts";
import type { Plural } from "./resources.ts";

export interface History {
  /** What the store committed, in order of revision, read from the store itself. */
  readonly changes: readonly Change[];
  readonly calls: readonly Call[];
  readonly watches: readonly WatchRun[];
}

/** One committed change of one key. */
export interface Change {
  readonly revision: number;
  readonly key: string;
  /** As it rests, without resourceVersion; undefined for a deletion. */
  readonly object: KubeObject | undefined;
}

/** What the server made of a request, as far as its client knows. */
export type Answer =
  | { readonly kind: "answered"; readonly code: number; readonly body: unknown }
  /** The connection broke: the request may have been served, or may be later. */
  | { readonly kind: "lost" };

/** One request of a client. */
export interface Call {
  /** The text by which a write is known in what it wrote. */
  readonly tag: string;
  readonly server: number;
  readonly operation: Operation;
  /** The resourceVersion that the request named, as it was sent; a version to read at, or a condition of a write. */
  readonly version: string | undefined;
  /** The uid that the request had as a condition. */
  readonly uid: string | undefined;
  /** Moments. */
  readonly invoked: number;
  readonly answered: number;
  readonly answer: Answer;
}

export interface Frame {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: KubeObject;
  /** The moment at which it came. */
  readonly seen: number;
}

export interface WatchSelection {
  readonly plural: Plural;
  readonly namespace: string | undefined;
  /** Of the label `group`. */
  readonly group: string | undefined;
  /** Of the field metadata.name. */
  readonly name: string | undefined;
}

/** One watch from its request to its end. */
export interface WatchRun {
  readonly server: number;
  readonly selection: WatchSelection;
  readonly mode: "from" | "any" | "newest" | "list";
  /** The resourceVersion that was asked for; empty for none. */
  readonly version: string;
  readonly invoked: number;
  readonly frames: readonly Frame[];
  /** The code of a refusal before any frame. */
  readonly refused: number | undefined;
}

export interface Violation {
  /** The promise that was broken. */
  readonly promise: string;
  readonly what: string;
}

export const versionOf = (object: KubeObject): number => Number(object.metadata.resourceVersion);

/** The label by which selectors of these runs choose. */
export const groupOf = (object: KubeObject): string | undefined => object.metadata.labels?.["group"];

/** Tags that stand in an object: of who wrote it last, and of who wrote its status last. */
export function tagsOf(object: KubeObject | undefined): string[] {
  const { status } = (object ?? {}) as { status?: { message?: string; tag?: string } };
  const tags = [object?.metadata.annotations?.["tag"], status?.message, status?.tag];
  return tags.filter((tag) => tag !== undefined && /^c\d+-\d+$/.test(tag)) as string[];
}

/** An object's contents apart from its version and type, which lists may leave out. */
export function contentsOf(object: KubeObject): object {
  const { apiVersion: _, kind: __, ...rest } = object;
  const { resourceVersion: ___, ...metadata } = object.metadata;
  return { ...rest, metadata };
}
