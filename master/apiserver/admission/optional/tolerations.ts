/** Tolerations as plugins add and compare them (pkg/util/tolerations, pkg/apis/core/helper of upstream). */
import type { Toleration } from "#shared/api/types/core-v1.generated.ts";

/** All of them; one that another one covers is left out. */
export function mergeTolerations(first: readonly Toleration[], second: readonly Toleration[]): Toleration[] {
  const all = [...first, ...second];
  const merged: Toleration[] = [];
  for (const [index, one] of all.entries()) {
    const isCovered =
      merged.some((other) => covers(other, one)) ||
      all.slice(index + 1).some((other) => !isSame(other, one) && covers(other, one));
    if (!isCovered) merged.push(one);
  }
  return merged;
}

/** Whether each is covered by one that is allowed; none allowed stands for any. */
export const areAllowed = (tolerations: readonly Toleration[], allowed: readonly Toleration[]): boolean =>
  allowed.length === 0 || tolerations.every((one) => allowed.some((other) => covers(other, one)));

function covers(wide: Toleration, narrow: Toleration): boolean {
  if (isSame(wide, narrow)) return true;
  const operator = wide.operator || "Equal";
  const [wideKey, narrowKey] = [wide.key ?? "", narrow.key ?? ""];
  if (wideKey !== narrowKey && (wideKey !== "" || operator !== "Exists")) return false;
  if (wide.effect && wide.effect !== narrow.effect) return false;
  if (wide.effect === "NoExecute" && wide.tolerationSeconds !== undefined) {
    if (narrow.tolerationSeconds === undefined || narrow.tolerationSeconds > wide.tolerationSeconds) return false;
  }
  if (operator === "Exists") return true;
  return operator === "Equal" && narrow.operator === "Equal" && (wide.value ?? "") === (narrow.value ?? "");
}

const textsOf = ({ key = "", operator = "", value = "", effect = "" }: Toleration) => [key, operator, value, effect];

const isSame = (a: Toleration, b: Toleration): boolean =>
  Bun.deepEquals(textsOf(a), textsOf(b)) && a.tolerationSeconds === b.tolerationSeconds;

/** With this one in the place of one of the same key, effect, operator and value, or behind all others. */
export function withToleration(tolerations: readonly Toleration[], added: Toleration): Toleration[] {
  const isMatch = (one: Toleration): boolean => Bun.deepEquals(textsOf(one), textsOf(added));
  if (!tolerations.some(isMatch)) return [...tolerations, added];
  return tolerations.map((one) => (isMatch(one) ? added : one));
}
