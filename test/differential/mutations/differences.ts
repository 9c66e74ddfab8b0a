/** Where Bramble means to answer otherwise than upstream, and why. */
export const differences: Readonly<Record<string, string>> = {
  "custom-any": "upstream cannot read a map in a map that an expression has written",
};
