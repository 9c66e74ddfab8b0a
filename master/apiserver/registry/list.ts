/** Lists: which objects, as of which revision, and where a next page goes on (the API's resourceVersion semantics). */
import { decodeJson, JsonSyntaxError } from "#shared/api/codec/json.ts";
import { badRequest, StatusError } from "#shared/api/errors.ts";
import { unclassifiedError } from "#shared/api/patch/patch-error.ts";
import { compareKeys } from "../../store/key-order.ts";
import { CompactedError, FutureRevisionError, type Store } from "../../store/store.ts";
import type { CacheHub } from "../watch-cache/cache-hub.ts";
import type { Entry } from "../watch-cache/entry.ts";
import type { ResourceCache } from "../watch-cache/resource-cache.ts";
import { leaveRevision } from "./left-revision.ts";
import { type ListOptions, readListOptions } from "./list-options.ts";
import type { Selection } from "./selection.ts";
import type { ServedResource } from "./served-resource.ts";
import { assertUnsealed } from "./unreadable.ts";

export type ListParameters = Pick<ListOptions, "limit" | "continueToken" | "resourceVersion" | "match">;

export interface Listed {
  readonly entries: readonly Entry[];
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
}

export interface ListSource {
  readonly hub: CacheHub;
  readonly cache: ResourceCache;
  readonly store: Store;
  readonly resource?: ServedResource | undefined;
  /** The caches lag: the newest objects are read in the store, as of this revision. */
  readonly behind?: number | undefined;
  /** Wall clock in ms since the epoch. */
  now_ms(): number;
}

/** After this a list cannot be gone on with as it was, even if nobody has written since: upstream's compaction takes
 *  what is older than five minutes, and clients must be able to count on either answer. */
const continueFor_ms = 5 * 60_000;

/** Reads the query. Throws Invalid and BadRequest as upstream words them. */
export const listParameters = (query: URLSearchParams): ListParameters => checkedParameters(readListOptions(query));

/** Options that could be read, once the store has looked at them. Throws BadRequest. */
export function checkedParameters(options: ListParameters): ListParameters {
  const { continueToken, resourceVersion } = options;
  if (continueToken !== "") {
    decodeContinue(continueToken, 0);
    if (resourceVersion !== "" && resourceVersion !== "0") {
      throw badRequest("specifying resource version is not allowed when using continue");
    }
  } else if (resourceVersion !== "" && !isRevision(resourceVersion)) {
    throw badRequest(`invalid resource version: ${badRevision(resourceVersion)}`);
  }
  // Whoever takes any revision is served from the cache, which knows no pages.
  return resourceVersion === "0" ? { ...options, limit: 0 } : options;
}

/** A resource version that a client sent, of one object or a watch. Throws upstream's 500 for what is no number. */
export function revisionOf(text: string): number {
  if (!isRevision(text)) throw unclassifiedError(badRevision(text));
  return Number(text);
}

const isRevision = (text: string): boolean => /^\d{1,16}$/.test(text);
const badRevision = (text: string): string =>
  `resourceVersion: Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`;

/** The objects that a selection holds. Throws 410 for a revision that is gone, 504 for one that is yet to come. */
export async function listEntries(
  source: ListSource,
  selection: Selection,
  parameters: ListParameters,
): Promise<Listed> {
  assertUnsealed(source.cache, selection.namespace);
  const from = await startOf(source, parameters);
  const now_ms = source.now_ms();
  if (from.revision !== undefined && now_ms - from.begun_ms > continueFor_ms) {
    await leaveRevision(from.revision, { ...source, now_ms, after_ms: continueFor_ms });
    throw tooOld(from);
  }
  const all = from.revision === undefined ? undefined : await entriesAt(source, selection, from.revision, from);
  const entries = all ?? source.cache.list(selection.namespace);
  // Of this very moment: whoever watches on from a later one would miss what came while the entries were converted.
  const revision = from.revision ?? source.hub.revision;
  // What is selected by fields must be there in the form that has them.
  if (!selection.fields.isEmpty) await source.resource?.ready(entries);
  return pageOf(entries, selection, parameters.limit, { ...from, revision });
}

interface Start {
  /** undefined: as of now. */
  readonly revision: number | undefined;
  readonly after: string | undefined;
  /** When the first page was read. */
  readonly begun_ms: number;
}

async function startOf({ hub, behind, now_ms }: ListSource, parameters: ListParameters): Promise<Start> {
  const begun_ms = now_ms();
  if (parameters.continueToken !== "") return decodeContinue(parameters.continueToken, begun_ms);
  if (parameters.resourceVersion === "" || parameters.resourceVersion === "0") {
    return { revision: behind, after: undefined, begun_ms };
  }
  const revision = revisionOf(parameters.resourceVersion);
  await hub.waitForClient(revision);
  // A limit without a match rule has always meant exactly this revision.
  const exact = parameters.match === "Exact" || (parameters.match === "" && parameters.limit > 0);
  return { revision: exact ? revision : undefined, after: undefined, begun_ms };
}

async function entriesAt(
  { cache, store, hub }: ListSource,
  selection: Selection,
  revision: number,
  start: Start,
): Promise<Entry[]> {
  // What the store has forgotten is gone for all masters and after a start, so it is here and now too.
  const isKept = revision <= hub.revision && revision >= (await store.oldest());
  const inMemory = isKept ? cache.listAt(revision, selection.namespace) : undefined;
  if (inMemory) return inMemory;
  try {
    const prefix = selection.namespace ? `${cache.prefix}${selection.namespace}/` : cache.prefix;
    const { items } = await store.list(prefix, { revision });
    return cache.entriesOf(items);
  } catch (error) {
    if (error instanceof CompactedError || error instanceof FutureRevisionError) throw tooOld(start);
    throw error;
  }
}

function tooOld({ after, begun_ms }: Start): StatusError {
  if (after === undefined) return new StatusError("Expired", "The resourceVersion for the provided list is too old.");
  const message =
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without " +
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. " +
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or " +
    "deleted between the time the first chunk was returned and now may show up in the list.";
  return new StatusError("Expired", message, { listMetadata: { continue: encodeContinue(-1, after, begun_ms) } });
}

function pageOf(
  entries: readonly Entry[],
  selection: Selection,
  limit: number,
  { revision, after, begun_ms }: Start & { readonly revision: number },
): Listed {
  const begun = after === undefined ? entries : entries.slice(firstAfter(entries, after));
  const resourceVersion = String(revision);
  const page: Entry[] = [];
  let read = 0;
  for (; read < begun.length && (limit === 0 || page.length < limit); read += 1) {
    const entry = begun[read] as Entry;
    if (selection.isWhole || selection.matches(entry)) page.push(entry);
  }
  // Whether anything matches among those that are left is for the next page to find out.
  if (read === begun.length) return { entries: page, metadata: { resourceVersion } };
  const next = encodeContinue(revision, page.at(-1)?.key ?? "", begun_ms);
  // How many are left is only said where the selection does not hide any.
  const remaining = selection.isWhole ? { remainingItemCount: begun.length - read } : {};
  return { entries: page, metadata: { resourceVersion, continue: next, ...remaining } };
}

/** Entries are in the order of their keys. */
function firstAfter(entries: readonly Entry[], key: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys((entries[middle] as Entry).key, key) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}

function encodeContinue(revision: number, after: string, begun_ms: number): string {
  const token = { v: "meta.k8s.io/v1", rv: revision, start: `${after}\u0000`, begun_ms };
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

/** Where Go's decoder stops: at what is no digit, or at a digit that is alone at the end. */
function illegalByte(token: string): number {
  const odd = token.search(/[^\w-]/);
  return odd < 0 && token.length % 4 === 1 ? token.length - 1 : odd;
}

function decodeContinue(token: string, now_ms: number): Start {
  const illegal = illegalByte(token);
  if (illegal >= 0) throw badContinue(`continue key is not valid: illegal base64 data at input byte ${illegal}`);
  const { v, rv, start, begun_ms } = continueFields(Buffer.from(token, "base64url").toString("utf8"));
  if (v !== "meta.k8s.io/v1") {
    throw badContinue(`continue key is not valid: server does not recognize this encoded version ${v ?? ""}`);
  }
  if (typeof rv !== "number" || rv === 0 || !Number.isSafeInteger(rv)) {
    throw badContinue(`continue key is not valid: incorrect encoded start resourceVersion (version ${v})`);
  }
  if (typeof start !== "string" || start === "") {
    throw badContinue(`continue key is not valid: encoded start key empty (version ${v})`);
  }
  if (
    start
      .replace(/^\//, "")
      .split("/")
      .some((part) => part === "" || part === "." || part === "..")
  ) {
    throw badContinue(`continue key is not valid: ${start}`);
  }
  const after = start.replace(/\0$/, "");
  // Going on inconsistently is a list of its own, as of now.
  if (rv < 0) return { revision: undefined, after, begun_ms: now_ms };
  return { revision: rv, after, begun_ms: typeof begun_ms === "number" ? begun_ms : now_ms };
}

interface ContinueFields {
  readonly v?: unknown;
  readonly rv?: unknown;
  readonly start?: unknown;
  readonly begun_ms?: unknown;
}

function continueFields(text: string): ContinueFields {
  try {
    return (decodeJson(text).value ?? {}) as ContinueFields;
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw badContinue(`continue key is not valid: ${error.message}`);
  }
}

const badContinue = (why: string): StatusError => badRequest(`invalid continue token: ${why}`);
