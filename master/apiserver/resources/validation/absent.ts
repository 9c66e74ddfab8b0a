/** Go writes some fields even when they are nil, so a client may send, and a store may hold, null for nothing. */
import { isRawNumber, numberToken } from "#shared/api/codec/number.ts";
import type {
  ResourceDeclaration,
  Strategy,
  SubresourceDeclaration,
  SubresourceUpdate,
} from "../../registry/declaration.ts";

/** Whether there is a null, or a number that JavaScript has no exact form of and that cannot be compared. */
function isOdd(value: unknown): boolean {
  if (value === null) return true;
  if (typeof value !== "object") return false;
  return isRawNumber(value) || (Array.isArray(value) ? value : Object.values(value)).some(isOdd);
}

/** The value without nulls and with plain numbers: itself where it is so, else a copy of what was not. */
function withoutNulls<T>(value: T): T {
  if (typeof value !== "object" || value === null || !isOdd(value)) return value;
  if (isRawNumber(value)) return Number(numberToken(value)) as T;
  if (Array.isArray(value)) return value.map((each) => withoutNulls(each)) as T;
  const entries = Object.entries(value).filter(([, each]) => each !== null);
  return Object.fromEntries(entries.map(([key, each]) => [key, withoutNulls(each)])) as T;
}

function wrapUpdate(update: SubresourceUpdate): SubresourceUpdate {
  return {
    prepare: (draft, old) => update.prepare(draft, old),
    validate: (object, old) => update.validate(withoutNulls(object), withoutNulls(old)),
  };
}

function wrapStrategy(strategy: Strategy): Strategy {
  const { validate, validateUpdate, validateStatusUpdate } = strategy;
  return {
    ...strategy,
    ...(validate && { validate: (object) => validate(withoutNulls(object)) }),
    ...(validateUpdate && { validateUpdate: (object, old) => validateUpdate(withoutNulls(object), withoutNulls(old)) }),
    ...(validateStatusUpdate && {
      validateStatusUpdate: (object, old) => validateStatusUpdate(withoutNulls(object), withoutNulls(old)),
    }),
  };
}

/** A declaration whose validation need not tell null from absent. */
export function toleratingNulls(declaration: ResourceDeclaration): ResourceDeclaration {
  const { strategy, subresources } = declaration;
  const wrapped = Object.entries(subresources ?? {}).map(([name, each]): [string, SubresourceDeclaration] => [
    name,
    each.update ? { ...each, update: wrapUpdate(each.update) } : each,
  ]);
  return {
    ...declaration,
    ...(strategy && { strategy: wrapStrategy(strategy) }),
    ...(subresources && { subresources: Object.fromEntries(wrapped) }),
  };
}
