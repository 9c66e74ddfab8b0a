/** The value of a number-or-percentage field (`3`, `"25%"`) of a total, rounded as asked; absent or malformed counts as
 *  0, which validation has refused long before. Spec: apimachinery util/intstr. */
export function scaledValue(value: number | string | undefined, total: number, round: "up" | "down"): number {
  if (value === undefined) return 0;
  if (typeof value === "number") return value;
  const percent = /^(-?\d+)%$/.exec(value);
  if (!percent) return 0;
  const scaled = (Number(percent[1]) * total) / 100;
  return round === "up" ? Math.ceil(scaled) : Math.floor(scaled);
}
