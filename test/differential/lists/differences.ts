/** Requests that Bramble answers otherwise than upstream: on purpose, or where it is said still to be mended. */
export interface Difference {
  readonly reason: string;
  readonly names: RegExp;
}

export const differences: readonly Difference[] = [
  {
    reason: "to be mended: upstream refuses an empty list there, Bramble leaves it out before the object is judged",
    names: /^list deployment EphemeralContainer\.(ports|resizePolicy|restartPolicyRules) empty$/,
  },
];
