/** Where Bramble means to answer otherwise than upstream, and why. */
export const differences: Readonly<Record<string, string>> = {
  "custom-any": "upstream cannot read a map in a map that an expression has written",
  "bytes-value": "upstream has no JSON for bytes in a configuration, as it has in a patch",
  "timestamp-value": "upstream has no JSON for times in a configuration, as it has in a patch",
};
