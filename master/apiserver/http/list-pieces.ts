/** Lists whose members are made one by one: Tables, metadata alone, and what is indented for a person. */
import { nextTurn } from "#shared/process/turn.ts";
import type { ApiResponse, CachedObject } from "../request.ts";
import { bareObject } from "../watch-cache/stored-text.ts";

export type ListAnswer = Extract<ApiResponse, { kind: "list" }>;

/** One member, as it is answered. */
function memberOf({ shape, isBare }: ListAnswer, item: CachedObject): object {
  if (shape) return shape.member(item);
  return isBare ? bareObject(item.view()) : item.view();
}

/** The JSON of a list's members in the objects' own form. */
export const memberText =
  ({ isBare }: ListAnswer): TextOfMember =>
  (item) =>
    isBare ? item.bareText() : item.text();

export type TextOfMember = (item: CachedObject) => string;

/** The whole list as a value: for forms that cannot be written in pieces. */
export function listValue(answer: ListAnswer): object {
  return { ...headOf(answer), [nameOf(answer)]: answer.items.map((item) => memberOf(answer, item)) };
}

const nameOf = ({ shape }: ListAnswer): string => shape?.name ?? "items";

function headOf({ shape, listKind, apiVersion, metadata }: ListAnswer): object {
  return shape ? shape.head : { kind: listKind, apiVersion, metadata };
}

/** The list's JSON: its head, a piece for each member, its end; together what `valueText` of the whole would give. */
export function* jsonPieces(answer: ListAnswer, form: "compact" | "indented"): Generator<string> {
  const space = form === "indented" ? 2 : undefined;
  const empty = JSON.stringify({ ...headOf(answer), [nameOf(answer)]: [] }, undefined, space);
  const end = empty.lastIndexOf("]");
  yield empty.slice(0, end);
  const [before, between, after] = space === undefined ? ["", ",", ""] : ["\n    ", ",\n    ", "\n  "];
  for (const [index, item] of answer.items.entries()) {
    const text = JSON.stringify(memberOf(answer, item), undefined, space);
    yield (index === 0 ? before : between) + (space === undefined ? text : text.replaceAll("\n", "\n    "));
  }
  yield `${answer.items.length > 0 ? after : ""}${empty.slice(end)}${space === undefined ? "\n" : ""}`;
}

const chunkChars = 256 * 1024;
const turn_ms = 10;

/** Joins pieces into chunks worth a write, each made in a turn that holds nobody up. */
export async function* inTurns(pieces: Iterable<string>): AsyncGenerator<string> {
  let parts: string[] = [];
  let size = 0;
  let until_ms = performance.now() + turn_ms;
  for (const piece of pieces) {
    parts.push(piece);
    size += piece.length;
    const isLate = performance.now() >= until_ms;
    if (size < chunkChars && !isLate) continue;
    if (size >= chunkChars) {
      yield parts.join("");
      parts = [];
      size = 0;
    }
    await nextTurn();
    until_ms = performance.now() + turn_ms;
  }
  if (size > 0) yield parts.join("");
}
