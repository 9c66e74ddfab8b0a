/**
 * JSON patch (RFC 6902, `application/json-patch+json`) with the reading of evanphx/json-patch v4 that clients of Kubernetes
 * rely on: negative indices count from the end, `replace` of an absent member adds it, `test` for null holds where nothing
 * is. The rfc6902 package is not used: it drops `__proto__` and `constructor` members and loses raw numbers.
 */

import { isShallow, maxDepth } from "../codec/json.ts";
import { numberToken } from "../codec/number.ts";
import { badRequest } from "../errors.ts";
import { goQuote } from "../selector/go-quote.ts";
import { cloneJson, isJsonObject, type JsonObject, member, setMember } from "./json-value.ts";
import { jsonKind, patchDoesNotApply, tooLarge } from "./patch-error.ts";

const operationsMax = 10_000;
/** What all `copy` operations of one patch may add. */
const copiedBytesMax = 3 * 1024 * 1024;

/** Values that all operations of one patch may compare or move: some 100 ms of work, which ordinary patches are far from. */
const effortMax = 5_000_000;

const operationFields = ["op", "path", "from", "value"];
const textFields = new Set(["op", "path", "from"]);

/** Whether a patch is looked through for what does not belong there before it is read (field validation): that has words of its own. */
export type PatchReading = "strict" | "lenient";

type Container = JsonObject | unknown[];
type Operation = JsonObject;

/**
 * The document after all operations; neither argument is changed. Throws BadRequest for what is no list of operations,
 * 413 for too many of them, and 422 when one does not apply.
 */
export function applyJsonPatch(object: JsonObject, patch: unknown, reading: PatchReading = "lenient"): unknown {
  const operations = decode(patch, reading);
  if (operations.length > operationsMax) {
    throw tooLarge(`The allowed maximum operations in a JSON patch is ${operationsMax}, got ${operations.length}`);
  }
  const document = new PatchedDocument(cloneJson(object) as JsonObject);
  for (const operation of operations) document.apply(operation);
  return document.root;
}

/** Paths in the patch of members of operations that no JSON patch has. */
export function unknownJsonPatchFields(patch: unknown): string[] {
  if (!Array.isArray(patch)) return [];
  return patch.flatMap((operation, index) =>
    isJsonObject(operation)
      ? Object.keys(operation)
          .filter((key) => !operationFields.includes(key))
          .map((key) => `[${index}].${key}`)
      : [],
  );
}

function decode(patch: unknown, reading: PatchReading): Operation[] {
  const isStrict = reading === "strict";
  const mistyped = (value: unknown, target: string): Error =>
    badRequest(
      `${isStrict ? "error decoding patch: " : ""}json: cannot unmarshal ${jsonKind(value)} into Go ${target}`,
    );
  if (patch === null) return [];
  if (!Array.isArray(patch))
    throw mistyped(patch, `value of type ${isStrict ? "[]handlers.jsonPatchOp" : "jsonpatch.Patch"}`);
  return patch.map((operation: unknown): Operation => {
    // Go reads null as an operation without members.
    if (operation === null) return {};
    if (!isJsonObject(operation))
      throw mistyped(operation, `value of type ${isStrict ? "handlers.jsonPatchOp" : "jsonpatch.Operation"}`);
    for (const [field, value] of isStrict ? Object.entries(operation) : []) {
      if (textFields.has(field) && typeof value !== "string" && value !== null)
        throw mistyped(value, `struct field jsonPatchOp.${field} of type string`);
    }
    return operation;
  });
}

class PatchedDocument {
  root: Container;
  #copiedBytes = 0;
  #effort = 0;

  constructor(root: Container) {
    this.root = root;
  }

  apply(operation: Operation): void {
    const kind = typeof operation["op"] === "string" ? operation["op"] : "unknown";
    const apply = this.#operations[kind];
    if (apply === undefined) throw patchDoesNotApply(`Unexpected kind: ${kind}`);
    try {
      apply(operation);
    } catch (error) {
      if (error instanceof Misfit) throw patchDoesNotApply(error.message);
      throw error;
    }
  }

  readonly #operations: Readonly<Record<string, (operation: Operation) => void>> = Object.assign(Object.create(null), {
    add: (operation: Operation) => {
      const path = within("add operation failed to decode path", () => pointer(operation, "path"), missing);
      const place = this.#locate(path, `add operation does not apply: doc is missing path: "${path}"`);
      within(`error in add for path: '${path}'`, () => this.#add(place, cloneJson(operation["value"] ?? null)));
    },
    remove: (operation: Operation) => {
      const path = within("remove operation failed to decode path", () => pointer(operation, "path"), missing);
      const place = this.#locate(path, `remove operation does not apply: doc is missing path: "${path}"`);
      within(`error in remove for path: '${path}'`, () => this.#remove(place));
    },
    replace: (operation: Operation) => this.#replace(operation),
    move: (operation: Operation) => {
      const from = within("move operation failed to decode from", () => pointer(operation, "from"));
      const source = this.#locate(from, `move operation does not apply: doc is missing from path: ${from}`);
      const value = within(`error in move for path: '${source.key}'`, () => {
        const found = read(source.container, source.key);
        this.#remove(source);
        return found;
      });
      const path = within("move operation failed to decode path", () => pointer(operation, "path"));
      const place = this.#locate(path, `move operation does not apply: doc is missing destination path: ${path}`);
      within(`error in move for path: '${path}'`, () => this.#add(place, value ?? null));
    },
    copy: (operation: Operation) => this.#copy(operation),
    test: (operation: Operation) => this.#test(operation),
  });

  /** An object that is patched is nested no deeper than one that is sent: nobody could read it any more. */
  #checkDepth(value: unknown, { depth }: Place): void {
    if (!isShallow(value, maxDepth - depth)) throw tooLarge(`The object would be nested deeper than ${maxDepth}`);
  }

  #add(place: Place, value: unknown): void {
    const { container, key } = place;
    this.#checkDepth(value, place);
    if (!Array.isArray(container)) {
      setMember(container, key, value);
    } else if (key === "-") {
      container.push(value);
    } else {
      this.#spend(container.length);
      const not = `value was not a proper array index: '${key}'`;
      const index = within(not, () => integer(key));
      container.splice(arrayIndex(index, container.length + 1), 0, value);
    }
  }

  #remove({ container, key }: Place): void {
    if (Array.isArray(container)) {
      this.#spend(container.length);
      container.splice(arrayIndex(integer(key), container.length), 1);
    } else {
      if (!Object.hasOwn(container, key)) throw new Misfit(`Unable to remove nonexistent key: ${key}: ${missing}`);
      delete container[key];
    }
  }

  #replace(operation: Operation): void {
    const path = within("replace operation failed to decode path", () => pointer(operation, "path"));
    const value = cloneJson(operation["value"] ?? null);
    if (path === "") {
      if (!Array.isArray(value) && !isJsonObject(value)) {
        // Upstream wraps an error here that it has not got.
        throw new Misfit("replace operation value must be object or array: %!w(<nil>)");
      }
      this.root = value;
      return;
    }
    const place = this.#locate(path, `replace operation does not apply: doc is missing path: ${path}`);
    const { container, key } = place;
    const absent = `replace operation does not apply: doc is missing key: ${path}`;
    within(absent, () => read(container, key), missing);
    this.#checkDepth(value, place);
    if (Array.isArray(container)) container[arrayIndex(integer(key), container.length)] = value;
    else setMember(container, key, value);
  }

  #copy(operation: Operation): void {
    const from = within("copy operation failed to decode from", () => pointer(operation, "from"));
    const source = this.#locate(from, `copy operation does not apply: doc is missing from path: ${from}`);
    const found = within(`error in copy for from: '${from}'`, () => read(source.container, source.key));
    const path = within("copy operation failed to decode path", () => pointer(operation, "path"), missing);
    const place = this.#locate(path, `copy operation does not apply: doc is missing destination path: ${path}`);
    const value = found ?? null;
    this.#copiedBytes += JSON.stringify(value).length;
    if (this.#copiedBytes > copiedBytesMax) {
      throw new Misfit(
        `Unable to complete the copy, the accumulated size increase of copy is ${this.#copiedBytes}, exceeding the limit ${copiedBytesMax}`,
      );
    }
    within("error while adding value during copy", () => this.#add(place, cloneJson(value)));
  }

  #test(operation: Operation): void {
    const path = within("test operation failed to decode path", () => pointer(operation, "path"));
    const expected = operation["value"] ?? null;
    let actual: unknown = this.root;
    if (path !== "") {
      const { container, key } = this.#locate(path, `test operation does not apply: is missing path: ${path}`);
      actual = within(`error in test for path: '${path}'`, () => read(container, key)) ?? null;
    }
    if (!this.#sameText(actual, expected)) throw new Misfit(`testing value ${path} failed: test failed`);
  }

  /** Equality of `test`: structural, but numbers by their digits. */
  #sameText(a: unknown, b: unknown): boolean {
    this.#spend(1);
    if (Array.isArray(a)) {
      return Array.isArray(b) && a.length === b.length && a.every((item, i) => this.#sameText(item, b[i]));
    }
    if (isJsonObject(a)) {
      if (!isJsonObject(b)) return false;
      const keys = Object.keys(a);
      return (
        keys.length === Object.keys(b).length &&
        keys.every((key) => Object.hasOwn(b, key) && this.#sameText(a[key], b[key]))
      );
    }
    const digits = numberToken(a);
    return digits === undefined ? a === b : digits === numberToken(b);
  }

  #spend(effort: number): void {
    this.#effort += effort;
    if (this.#effort > effortMax) throw tooLarge("The operations of the JSON patch take too much work");
  }

  /** The container that a pointer's last token selects from. Throws Misfit where there is none. */
  #locate(path: string, otherwise: string): Place {
    const tokens = path.split("/").slice(1).map(unescapeToken);
    const key = tokens.pop();
    if (key === undefined) throw new Misfit(`${otherwise}: ${missing}`);
    let container = this.root;
    for (const token of tokens) {
      const next = within(otherwise, () => read(container, token), missing);
      if (!Array.isArray(next) && !isJsonObject(next)) throw new Misfit(`${otherwise}: ${missing}`);
      container = next;
    }
    return { container, key, depth: tokens.length + 1 };
  }
}

interface Place {
  readonly container: Container;
  readonly key: string;
  readonly depth: number;
}

/** Why an operation does not apply, in the words of upstream's library. */
class Misfit extends Error {
  override readonly name = "Misfit";
}

const missing = "missing value";

/** Runs a part of an operation; what misfits is told behind where it did, or as `reason` alone. */
function within<T>(where: string, run: () => T, reason?: string): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof Misfit) throw new Misfit(`${where}: ${reason ?? error.message}`);
    throw error;
  }
}

const absentPointers = { path: "operation missing path field", from: "operation, missing from field" } as const;

function pointer(operation: Operation, field: "path" | "from"): string {
  const path = operation[field] ?? undefined;
  if (typeof path === "string") return path;
  if (path === undefined) throw new Misfit(`${absentPointers[field]}: ${missing}`);
  throw new Misfit(`json: cannot unmarshal ${jsonKind(path)} into Go value of type string`);
}

const unescapeToken = (token: string): string => token.replaceAll("~1", "/").replaceAll("~0", "~");

function read(container: Container, key: string): unknown {
  return Array.isArray(container) ? container[arrayIndex(integer(key), container.length)] : member(container, key);
}

/** A token as Go's strconv.Atoi reads it. Throws Misfit. */
function integer(token: string): number {
  const parsing = `strconv.Atoi: parsing ${goQuote(token)}`;
  if (!/^[+-]?[0-9]+$/.test(token)) throw new Misfit(`${parsing}: invalid syntax`);
  const value = BigInt(token.replace("+", ""));
  if (BigInt.asIntN(64, value) !== value) throw new Misfit(`${parsing}: value out of range`);
  return Number(value);
}

/** The place in an array of so many places; negative ones count from the end. */
function arrayIndex(index: number, places: number): number {
  if (!(index >= -places && index < places)) {
    throw new Misfit(`Unable to access invalid index: ${index}: invalid index referenced`);
  }
  return index < 0 ? index + places : index + 0;
}
