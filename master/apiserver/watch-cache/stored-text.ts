/**
 * The text of an object as it rests: JSON that begins with apiVersion, kind and metadata, without resourceVersion. What
 * a client is served is this text with the resource version, and where asked another apiVersion, spliced in.
 */
import { decodeJson } from "#shared/api/codec/json.ts";
import { fieldsOf, type KubeObject } from "#shared/api/object.ts";
import { tooLarge } from "#shared/api/patch/patch-error.ts";

/** Numbers that JSON.parse would change: long ones, `1.0`, exponents. May also match text, which only costs time. */
const lossy = /(?:":|[,[])-?\d+(?:\d{15}|\.\d*0(?!\d)|\.?\d*[eE])/;

/** An object as it is stored: a link that was sent is not kept. A dry run answers with it all the same. */
export function atRest(object: KubeObject): KubeObject {
  if (object.metadata.selfLink === undefined) return object;
  const { selfLink: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** Canonical text to be stored. */
export function toStoredText(object: KubeObject): string {
  const { apiVersion, kind, metadata, ...rest } = fieldsOf(object) as Record<string, unknown> & KubeObject;
  const { resourceVersion: _, ...kept } = metadata;
  return JSON.stringify({ apiVersion, kind, metadata: kept, ...rest });
}

/** What an object may be at rest, in bytes: of a custom resource as much as etcd takes, whose clients expect no more; others lie in
 *  etcd as protobuf, which is about half as long. */
const MOST_BYTES = { custom: 1.5 * 1024 * 1024, builtIn: 3 * 1024 * 1024 } as const;
/** Of one UTF-16 unit. */
const MOST_UTF8_BYTES = 3;

/**
 * Throws 413 for text that is too long to be stored: patches could make an object grow without end, and everybody who lists or
 * watches it would have to take it. One that was too long before may become shorter.
 */
export function assertStorable(text: string, custom: boolean, before = ""): void {
  const most_bytes = custom ? MOST_BYTES.custom : MOST_BYTES.builtIn;
  if (text.length * MOST_UTF8_BYTES <= most_bytes || text.length < before.length) return;
  if (Buffer.byteLength(text) > most_bytes) throw tooLarge(`limit is ${most_bytes}`);
}

/** The text of an object that is not stored, as it is answered: a resourceVersion that was sent is sent back. */
export function toUnstoredText(object: KubeObject): string {
  const { apiVersion, kind, metadata, ...rest } = fieldsOf(object) as Record<string, unknown> & KubeObject;
  return JSON.stringify({ apiVersion, kind, metadata, ...rest });
}

const metadataMark = '"metadata":{';

/** Whether a text is as one that this server wrote: what is spliced in finds its place. A hand in the store may have written another. */
export function isAtRest(text: string, { apiVersion, kind, metadata }: KubeObject): boolean {
  const head = `{"apiVersion":${JSON.stringify(apiVersion)},"kind":${JSON.stringify(kind)},${metadataMark}`;
  return metadata.resourceVersion === undefined && text.startsWith(head);
}

/** Where the first field of metadata begins. */
function metadataStart(stored: string): number {
  return stored.indexOf(metadataMark) + metadataMark.length;
}

/** The served text; revision 0 has never been stored and is not shown. `head` replaces apiVersion and kind when it is given:
 *  `{"apiVersion":"v1","kind":"Pod",`. */
export function servedText(stored: string, revision: number, head?: string): string {
  if (revision === 0 && head === undefined) return stored;
  const at = metadataStart(stored);
  const before = head === undefined ? stored.slice(0, at) : head + metadataMark;
  const spliced = revision === 0 ? "" : `"resourceVersion":"${revision}",`;
  return `${before}${spliced}${stored.slice(at)}`;
}

/** The served text without apiVersion and kind. */
export const bareText = (stored: string, revision: number): string => servedText(stored, revision, "{");

/** An object without apiVersion and kind, as a member of a list that says them. */
export function bareObject({ apiVersion: _, kind: __, ...rest }: KubeObject): object {
  return rest;
}

/** Parses without loss and freezes. */
export function parseFrozen(text: string): KubeObject {
  return deepFreeze(parseLossless(text) as KubeObject);
}

/** Parses JSON without loss. */
export const parseLossless = (text: string): unknown => (lossy.test(text) ? decodeJson(text).value : JSON.parse(text));

/** Freezes a value and what it holds; parts that are frozen already are taken to be so to the bottom. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) freezeDown(value);
  return value;
}

/** Loops without copies of keys: every object that is parsed comes through here. */
function freezeDown(value: object): void {
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) deepFreeze(value[index]);
  } else {
    for (const key in value) deepFreeze((value as Record<string, unknown>)[key]);
  }
  Object.freeze(value);
}
