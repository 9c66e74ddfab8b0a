/** etcd's v3 messages, as far as the store speaks them (api/etcdserverpb/rpc.proto, api/mvccpb/kv.proto). */
import { WireReader, WireWriter, wireBytes, wireVarint } from "#shared/api/codec/wire.ts";

export const paths = {
  range: "/etcdserverpb.KV/Range",
  txn: "/etcdserverpb.KV/Txn",
  compact: "/etcdserverpb.KV/Compact",
  watch: "/etcdserverpb.Watch/Watch",
} as const;

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
}

export interface RangeRequest {
  readonly key: string;
  /** Exclusive; absent for the one key. */
  readonly end?: string | undefined;
  readonly limit?: number | undefined;
  readonly revision?: number | undefined;
  readonly countOnly?: boolean;
}

export interface RangeResponse {
  readonly revision: number;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
}

export function encodeRange({ key, end, limit, revision, countOnly }: RangeRequest): Buffer {
  const writer = new WireWriter();
  text(writer, 1, key);
  if (end !== undefined) text(writer, 2, end);
  if (limit !== undefined) number(writer, 3, limit);
  if (revision !== undefined) number(writer, 4, revision);
  if (countOnly) number(writer, 9, 1);
  return writer.finish();
}

export function decodeRange(buffer: Buffer | WireReader): RangeResponse {
  const kvs: KeyValue[] = [];
  let revision = 0;
  let more = false;
  eachField(readerOf(buffer), (field, reader) => {
    if (field === 1) revision = decodeHeader(reader.message());
    else if (field === 2) kvs.push(decodeKeyValue(reader.message()));
    else if (field === 3) more = Number(reader.integer()) !== 0;
    else return false;
    return true;
  });
  return { revision, kvs, more };
}

/** Writes when the key's last change is at `expected` (0: when there is no such key); tells what is there otherwise. */
export interface GuardedWrite {
  readonly key: string;
  readonly expected: number;
  /** undefined: deletes. */
  readonly value: string | undefined;
}

export interface GuardedResult {
  readonly succeeded: boolean;
  readonly revision: number;
  /** Where the comparison failed and the key is there. */
  readonly present: KeyValue | undefined;
}

const compareEqual = 0;
const compareModRevision = 2;

export function encodeGuardedWrite({ key, expected, value }: GuardedWrite): Buffer {
  const compare = new WireWriter(64 + key.length);
  number(compare, 1, compareEqual);
  number(compare, 2, compareModRevision);
  text(compare, 3, key);
  // A member of a oneof is written also when it is zero.
  compare.tag(6, wireVarint);
  compare.integer(expected);
  const change = new WireWriter(64 + key.length + (value?.length ?? 0));
  text(change, 1, key);
  if (value !== undefined) text(change, 2, value);
  const success = new WireWriter(32);
  message(success, value === undefined ? 3 : 2, change);
  const failure = new WireWriter(64 + key.length);
  failure.tag(1, wireBytes);
  failure.bytes(encodeRange({ key }));
  const writer = new WireWriter(256 + (value?.length ?? 0));
  message(writer, 1, compare);
  message(writer, 2, success);
  message(writer, 3, failure);
  return writer.finish();
}

export function decodeGuardedResult(buffer: Buffer): GuardedResult {
  let succeeded = false;
  let revision = 0;
  let present: KeyValue | undefined;
  eachField(readerOf(buffer), (field, reader) => {
    if (field === 1) revision = decodeHeader(reader.message());
    else if (field === 2) succeeded = Number(reader.integer()) !== 0;
    else if (field === 3) {
      eachField(reader.message(), (kind, inner) => {
        if (kind !== 1) return false;
        present = decodeRange(inner.message()).kvs[0];
        return true;
      });
    } else return false;
    return true;
  });
  return { succeeded, revision, present };
}

/** @param isPhysical the answer comes when the space is free for others, not when the revisions are out of reach. */
export function encodeCompact(revision: number, isPhysical = false): Buffer {
  const writer = new WireWriter();
  number(writer, 1, revision);
  number(writer, 2, isPhysical ? 1 : 0);
  return writer.finish();
}

export interface WatchCreation {
  readonly key: string;
  readonly end?: string | undefined;
  readonly startRevision: number;
}

/** Asks for one watch, its large answers in fragments. */
export function encodeWatchCreation({ key, end, startRevision }: WatchCreation): Buffer {
  const creation = new WireWriter();
  text(creation, 1, key);
  if (end !== undefined) text(creation, 2, end);
  number(creation, 3, startRevision);
  number(creation, 8, 1);
  const writer = new WireWriter();
  message(writer, 1, creation);
  return writer.finish();
}

export interface WatchEvent {
  readonly deleted: boolean;
  /** Of a deletion: the key and the deletion's revision. */
  readonly kv: KeyValue;
}

export interface WatchResponse {
  readonly revision: number;
  readonly created: boolean;
  readonly canceled: boolean;
  /** Not 0: the watch began before this revision, which is the oldest that is left. */
  readonly compactRevision: number;
  readonly cancelReason: string;
  /** True: more of the same revisions follows. */
  readonly fragment: boolean;
  readonly events: readonly WatchEvent[];
}

export function decodeWatch(buffer: Buffer): WatchResponse {
  const events: WatchEvent[] = [];
  let [revision, compactRevision, cancelReason] = [0, 0, ""];
  let [created, canceled, fragment] = [false, false, false];
  eachField(readerOf(buffer), (field, reader) => {
    if (field === 1) revision = decodeHeader(reader.message());
    else if (field === 3) created = Number(reader.integer()) !== 0;
    else if (field === 4) canceled = Number(reader.integer()) !== 0;
    else if (field === 5) compactRevision = Number(reader.integer());
    else if (field === 6) cancelReason = reader.string();
    else if (field === 7) fragment = Number(reader.integer()) !== 0;
    else if (field === 11) events.push(decodeEvent(reader.message()));
    else return false;
    return true;
  });
  return { revision, created, canceled, compactRevision, cancelReason, fragment, events };
}

function decodeEvent(reader: WireReader): WatchEvent {
  let deleted = false;
  let kv: KeyValue = { key: "", value: "", createRevision: 0, modRevision: 0 };
  eachField(reader, (field, inner) => {
    if (field === 1) deleted = Number(inner.integer()) === 1;
    else if (field === 2) kv = decodeKeyValue(inner.message());
    else return false;
    return true;
  });
  return { deleted, kv };
}

function decodeKeyValue(reader: WireReader): KeyValue {
  let [key, value] = ["", ""];
  let [createRevision, modRevision] = [0, 0];
  eachField(reader, (field, inner) => {
    if (field === 1) key = inner.string();
    else if (field === 2) createRevision = Number(inner.integer());
    else if (field === 3) modRevision = Number(inner.integer());
    else if (field === 5) value = inner.string();
    else return false;
    return true;
  });
  return { key, value, createRevision, modRevision };
}

function decodeHeader(reader: WireReader): number {
  let revision = 0;
  eachField(reader, (field, inner) => {
    if (field !== 3) return false;
    revision = Number(inner.integer());
    return true;
  });
  if (!Number.isSafeInteger(revision))
    throw new Error(`etcd's revision ${revision} is beyond what can be counted exactly`);
  return revision;
}

/** Calls `take` for each field; what it does not take (false) is skipped. */
function eachField(reader: WireReader, take: (field: number, reader: WireReader) => boolean): void {
  while (!reader.done) {
    const { number: field, wireType } = reader.tag();
    if (!take(field, reader)) reader.skip(wireType);
  }
}

const readerOf = (source: Buffer | WireReader): WireReader =>
  source instanceof WireReader ? source : new WireReader(source);

function text(writer: WireWriter, field: number, value: string): void {
  writer.tag(field, wireBytes);
  writer.string(value);
}

function number(writer: WireWriter, field: number, value: number): void {
  if (value === 0) return;
  writer.tag(field, wireVarint);
  writer.integer(value);
}

function message(writer: WireWriter, field: number, inner: WireWriter): void {
  writer.tag(field, wireBytes);
  writer.bytes(inner.finish());
}
