/** What strict decoding finds wrong with a patch, and with what the patch makes of an object. */
import type { DecodedDocument, DuplicateField } from "#shared/api/codec/json.ts";
import { unknownJsonPatchFields } from "#shared/api/patch/json-patch.ts";
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import type { PatchRequest } from "./patch.ts";

/**
 * The document that a patch has made, with what is wrong with the patch itself ahead of what is wrong with the document.
 * A JSON patch puts its values in as they are written: keys that one has twice are there twice afterwards, too.
 */
export function patchedDocument({ type, document }: PatchRequest, value: unknown): DecodedDocument {
  const { duplicates, positionOf } = document;
  if (type !== "json") {
    return { value, duplicates: [], positionOf, ahead: duplicates.map(({ message }) => message) };
  }
  const written = writtenValues(document.value, value);
  return {
    value,
    duplicates: written.flatMap((each, index) => duplicatesIn(each, duplicates, index)),
    positionOf: (path) => positionIn(written, path, positionOf),
    ahead: faultsOf(document),
  };
}

function faultsOf({ value, duplicates, positionOf }: DecodedDocument): readonly string[] {
  const unknown = unknownJsonPatchFields(value);
  const odd = unknown.map((path) => ({
    message: `json patch unknown field ${JSON.stringify(path)}`,
    position: positionOf(path),
  }));
  const repeated = duplicates
    .filter(({ path }) => !unknown.some((each) => isBelow(path, each)))
    .map(({ message, position }) => ({ message: `json patch ${message}`, position }));
  return [...odd, ...repeated].sort((a, b) => a.position - b.position).map(({ message }) => message);
}

/** A value of an operation that is in the patched document as it was written. */
interface WrittenValue {
  readonly pointer: string;
  /** In the patched document: `spec.ports[0]`. */
  readonly path: string;
  /** In the patch: `[0].value`. */
  readonly source: string;
}

/** In the order in which the document has them: keys that were reached on the way are written sorted. */
function writtenValues(patch: unknown, result: unknown): readonly WrittenValue[] {
  let written: { pointer: string; source: string }[] = [];
  for (const [index, operation] of (Array.isArray(patch) ? patch : []).entries()) {
    if (!isJsonObject(operation)) continue;
    const { op, path, from } = operation;
    if (typeof path !== "string") continue;
    const moved = written.find(({ pointer }) => pointer === from);
    const reached = op === "move" || op === "copy" ? [path, String(from)] : [path];
    // What was looked into has been read, and one that was taken out is gone.
    written = written.filter(
      ({ pointer }) =>
        !reached.some((each) => each.startsWith(`${pointer}/`)) &&
        !(op !== "test" && `${path}/`.startsWith(`${pointer}/`)) &&
        !(op === "move" && pointer === from),
    );
    if (op === "add" || op === "replace") written.push({ pointer: path, source: `[${index}].value` });
    else if ((op === "copy" || op === "move") && moved) written.push({ pointer: path, source: moved.source });
  }
  return written
    .map((each) => ({ ...each, path: pathTo(each.pointer, result) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

function pathTo(pointer: string, result: unknown): string {
  let path = "";
  let at = result;
  for (const token of pointer.split("/").slice(1)) {
    const key = token.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(at)) {
      const index = key === "-" ? at.length - 1 : Number(key);
      path += `[${index}]`;
      at = at[index];
    } else {
      path += path === "" ? key : `.${key}`;
      at = isJsonObject(at) && Object.hasOwn(at, key) ? at[key] : undefined;
    }
  }
  return path;
}

const isBelow = (path: string, place: string): boolean => path.startsWith(`${place}.`) || path.startsWith(`${place}[`);

/** More than any body has bytes: one value's positions lie behind those of the value before. */
const APART = 2 ** 32;

function duplicatesIn(
  { path, source }: WrittenValue,
  duplicates: readonly DuplicateField[],
  index: number,
): readonly DuplicateField[] {
  return duplicates
    .filter((each) => isBelow(each.path, source))
    .map((each) => {
      const place = path + each.path.slice(source.length);
      const message = `duplicate field ${JSON.stringify(place)}`;
      return { path: place, message, position: index * APART + each.position };
    });
}

function positionIn(written: readonly WrittenValue[], path: string, positionOf: DecodedDocument["positionOf"]): number {
  const index = written.findIndex((each) => isBelow(path, each.path));
  const found = written[index];
  if (!found) return Number.POSITIVE_INFINITY;
  return index * APART + positionOf(found.source + path.slice(found.path.length));
}
