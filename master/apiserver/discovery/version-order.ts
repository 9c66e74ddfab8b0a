/** Which of two versions of a group Kubernetes prefers. */

const pattern = /^v(\d+)(?:(alpha|beta)(\d+))?$/;
const stability = { alpha: 0, beta: 1 } as const;

/** v2 before v1 before v1beta1 before v1alpha1 before anything else (apimachinery's CompareKubeAwareVersionStrings). */
export function compareVersions(a: string, b: string): number {
  const [rankA, rankB] = [rankOf(a), rankOf(b)];
  if (!rankA || !rankB) return rankA ? -1 : rankB ? 1 : a < b ? -1 : a > b ? 1 : 0;
  for (const [index, value] of rankA.entries()) {
    const other = rankB[index] ?? 0;
    if (value !== other) return other - value;
  }
  return 0;
}

function rankOf(version: string): [stable: number, major: number, minor: number] | undefined {
  const match = pattern.exec(version);
  if (!match) return undefined;
  const kind = match[2];
  const stable = kind === "alpha" || kind === "beta" ? stability[kind] : 2;
  return [stable, Number(match[1]), Number(match[3] ?? 0)];
}
