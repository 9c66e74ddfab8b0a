/** A line without axes, for a card. */
export function Spark({ points, label }: { readonly points: readonly number[]; readonly label: string }) {
  if (points.length < 2) return null;
  const most = Math.max(...points, 1e-9);
  const step = points.length > 1 ? 100 / (points.length - 1) : 0;
  const path = points.map(
    (value, index) => `${index === 0 ? "M" : "L"}${(index * step).toFixed(1)} ${(22 - (value / most) * 20).toFixed(1)}`,
  );
  return (
    <svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label={label}>
      <title>{label}</title>
      <path d={path.join("")} />
    </svg>
  );
}
