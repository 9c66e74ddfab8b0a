import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  type Quantity,
  quantityOf,
  subtractQuantities,
  zeroQuantity,
} from "#shared/api/quantity.ts";

/** Amounts by the names that ResourceQuotas use: `requests.cpu`, `pods`, `count/secrets`. */
export type QuotaAmounts = ReadonlyMap<string, Quantity>;
type ResourceList = Readonly<Record<string, string | number>>;

export const one: Quantity = quantityOf(1);

export const amountsIn = (list: ResourceList | undefined): QuotaAmounts =>
  new Map(Object.entries(list ?? {}).map(([name, value]) => [name, parseQuantity(value)]));

export const listOf = (amounts: QuotaAmounts): Record<string, string> =>
  Object.fromEntries([...amounts].map(([name, quantity]) => [name, formatQuantity(quantity)]));

export function sum(a: QuotaAmounts, b: QuotaAmounts): QuotaAmounts {
  const total = new Map(a);
  for (const [name, quantity] of b) total.set(name, addQuantities(total.get(name) ?? zeroQuantity, quantity));
  return total;
}

/** a - b; what would be less than nothing is nothing. */
export function growth(a: QuotaAmounts, b: QuotaAmounts): QuotaAmounts {
  return new Map(
    [...a].map(([name, quantity]) => {
      const difference = subtractQuantities(quantity, b.get(name) ?? zeroQuantity);
      return [name, difference.unscaled < 0n ? zeroQuantity : difference];
    }),
  );
}

export const only = (amounts: QuotaAmounts, names: Iterable<string>): QuotaAmounts => {
  const wanted = new Set(names);
  return new Map([...amounts].filter(([name]) => wanted.has(name)));
};

export const withoutZeros = (amounts: QuotaAmounts): QuotaAmounts =>
  new Map([...amounts].filter(([, quantity]) => quantity.unscaled !== 0n));

/** Names of which there is more than `limit` allows; what it does not name is not limited. */
export const namesAbove = (amounts: QuotaAmounts, limit: QuotaAmounts): string[] =>
  [...amounts].flatMap(([name, quantity]) => {
    const most = limit.get(name);
    return most !== undefined && compareQuantities(quantity, most) > 0 ? [name] : [];
  });

export const negativeNames = (amounts: QuotaAmounts): string[] =>
  [...amounts].flatMap(([name, quantity]) => (quantity.unscaled < 0n ? [name] : []));

/** `cpu=1,memory=1Gi`, in the order of names. */
export const describeAmounts = (amounts: QuotaAmounts): string =>
  [...amounts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, quantity]) => `${name}=${formatQuantity(quantity)}`)
    .join(",");
