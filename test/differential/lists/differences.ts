/** Requests that Bramble answers otherwise than upstream, on purpose. */
export interface Difference {
  readonly reason: string;
  readonly names: RegExp;
}

export const differences: readonly Difference[] = [
  {
    reason: "an empty list, of which neither server would store anything, is left out before the object is judged",
    names: /^list deployment EphemeralContainer\.(ports|resizePolicy|restartPolicyRules) empty$/,
  },
];
