interface Condition {
  readonly type: string;
}

/** The part of a strategic merge patch that puts one condition in its place among those that are there: where the present
 *  one of its type stands, or last. Without the order, servers put what is new first. */
export function conditionChange<C extends Condition>(
  present: readonly Condition[] | undefined,
  condition: C,
): { readonly conditions: readonly [C]; readonly "$setElementOrder/conditions": readonly Condition[] } {
  const types = new Set([...(present ?? []).map(({ type }) => type), condition.type]);
  return { conditions: [condition], "$setElementOrder/conditions": [...types].map((type) => ({ type })) };
}
