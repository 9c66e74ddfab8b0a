/**
 * JSON patch (RFC 6902, `application/json-patch+json`) with the reading of evanphx/json-patch v4 that clients of Kubernetes
 * rely on: negative indices count from the end, `replace` of an absent member adds it, `test` for null holds where nothing
 * is. The rfc6902 package is not used: it drops `__proto__` and `constructor` members and loses raw numbers.
 */

import { isShallow, maxDepth } from "../codec/json.ts";
import { numberToken } from "../codec/number.ts";
import { badRequest } from "../errors.ts";
import { cloneJson, isJsonObject, type JsonObject, member, setMember } from "./json-value.ts";
import { jsonKind, patchDoesNotApply, tooLarge } from "./patch-error.ts";

const operationsMax = 10_000;
/** What all `copy` operations of one patch may add. */
const copiedBytesMax = 3 * 1024 * 1024;

/** Values that all operations of one patch may compare or move: some 100 ms of work, which ordinary patches are far from. */
const effortMax = 5_000_000;

const operationFields = ["op", "path", "from", "value"];

type Container = JsonObject | unknown[];
type Operation = JsonObject;

/**
 * The document after all operations; neither argument is changed. Throws BadRequest for what is no list of operations,
 * 413 for too many of them, and 422 when one does not apply.
 */
export function applyJsonPatch(object: JsonObject, patch: unknown): unknown {
  const operations = decode(patch);
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

function decode(patch: unknown): Operation[] {
  const target = "[]handlers.jsonPatchOp";
  if (patch === null) return [];
  if (!Array.isArray(patch)) {
    throw badRequest(`error decoding patch: json: cannot unmarshal ${jsonKind(patch)} into Go value of type ${target}`);
  }
  return patch.map((operation: unknown): Operation => {
    if (isJsonObject(operation)) return operation;
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${jsonKind(operation)} into Go value of type handlers.jsonPatchOp`,
    );
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
    const apply = this.#operations[String(operation["op"] ?? "unknown")];
    if (apply === undefined) throw patchDoesNotApply(`Unexpected kind: ${String(operation["op"] ?? "unknown")}`);
    apply(operation);
  }

  readonly #operations: Readonly<Record<string, (operation: Operation) => void>> = Object.assign(Object.create(null), {
    add: (operation: Operation) => this.#add(pointer(operation, "path"), cloneJson(operation["value"] ?? null)),
    remove: (operation: Operation) => {
      const { container, key } = this.#locate(pointer(operation, "path"));
      if (Array.isArray(container)) this.#spend(container.length);
      remove(container, key);
    },
    replace: (operation: Operation) => this.#replace(operation),
    move: (operation: Operation) => {
      const { container, key } = this.#locate(pointer(operation, "from"));
      const value = read(container, key);
      remove(container, key);
      this.#add(pointer(operation, "path"), value ?? null);
    },
    copy: (operation: Operation) => this.#copy(operation),
    test: (operation: Operation) => this.#test(operation),
  });

  #add(path: string, value: unknown): void {
    const { container, key } = this.#placeOf(path, value);
    if (!Array.isArray(container)) {
      setMember(container, key, value);
    } else if (key === "-") {
      container.push(value);
    } else {
      this.#spend(container.length);
      container.splice(arrayIndex(key, container.length + 1), 0, value);
    }
  }

  #replace(operation: Operation): void {
    const path = pointer(operation, "path");
    const value = cloneJson(operation["value"] ?? null);
    if (path === "") {
      if (!Array.isArray(value) && !isJsonObject(value)) {
        throw patchDoesNotApply("replace operation value must be object or array");
      }
      this.root = value;
      return;
    }
    const { container, key } = this.#placeOf(path, value);
    if (Array.isArray(container)) container[arrayIndex(key, container.length)] = value;
    else setMember(container, key, value);
  }

  /** Where a value is put. An object that is patched is nested no deeper than one that is sent: nobody could read it any more. */
  #placeOf(path: string, value: unknown): { container: Container; key: string } {
    const place = this.#locate(path);
    if (!isShallow(value, maxDepth - place.depth)) throw tooLarge(`The object would be nested deeper than ${maxDepth}`);
    return place;
  }

  #copy(operation: Operation): void {
    const { container, key } = this.#locate(pointer(operation, "from"));
    const value = read(container, key) ?? null;
    this.#copiedBytes += JSON.stringify(value).length;
    if (this.#copiedBytes > copiedBytesMax) {
      throw patchDoesNotApply(
        `Unable to complete the copy, the accumulated size increase of copy is ${this.#copiedBytes}, exceeding the limit ${copiedBytesMax}`,
      );
    }
    this.#add(pointer(operation, "path"), cloneJson(value));
  }

  #test(operation: Operation): void {
    const path = pointer(operation, "path");
    const expected = operation["value"] ?? null;
    let actual: unknown = this.root;
    if (path !== "") {
      const { container, key } = this.#locate(path);
      actual = read(container, key) ?? null;
    }
    if (!this.#sameText(actual, expected)) throw patchDoesNotApply(`testing value ${path} failed: test failed`);
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

  /** The container that a pointer's last token selects from. */
  #locate(path: string): { container: Container; key: string; depth: number } {
    const tokens = path.split("/").slice(1).map(unescapeToken);
    const key = tokens.pop();
    if (key === undefined) throw patchDoesNotApply(`doc is missing path: "${path}": missing value`);
    let container = this.root;
    for (const token of tokens) {
      const next = read(container, token);
      if (!Array.isArray(next) && !isJsonObject(next)) {
        throw patchDoesNotApply(`doc is missing path: "${path}": missing value`);
      }
      container = next;
    }
    return { container, key, depth: tokens.length + 1 };
  }
}

function pointer(operation: Operation, field: "path" | "from"): string {
  const path = operation[field];
  if (typeof path !== "string") throw patchDoesNotApply(`operation missing ${field} field: missing value`);
  return path;
}

const unescapeToken = (token: string): string => token.replaceAll("~1", "/").replaceAll("~0", "~");

function read(container: Container, key: string): unknown {
  return Array.isArray(container) ? container[arrayIndex(key, container.length)] : member(container, key);
}

function remove(container: Container, key: string): void {
  if (Array.isArray(container)) {
    container.splice(arrayIndex(key, container.length), 1);
  } else {
    if (!Object.hasOwn(container, key)) throw patchDoesNotApply(`Unable to remove nonexistent key: ${key}`);
    delete container[key];
  }
}

/** The place that a token names in an array of so many places; negative ones count from the end. */
function arrayIndex(token: string, places: number): number {
  const index = /^[+-]?[0-9]+$/.test(token) ? Number(token) : Number.NaN;
  if (!(index >= -places && index < places)) {
    throw patchDoesNotApply(`Unable to access invalid index: ${token}: invalid index referenced`);
  }
  return index < 0 ? index + places : index + 0;
}
