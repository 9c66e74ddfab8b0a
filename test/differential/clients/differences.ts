/** Requests of clients that Bramble answers otherwise on purpose. */
export const differences: readonly { readonly reason: string; readonly names: RegExp }[] = [
  {
    reason: "Objects rest as JSON, and go out so to whoever takes that beside protobuf, whichever is named first.",
    names: /^client (go (typed|of metadata) |protobuf \w+ made in JSON$)/,
  },
  {
    reason: "Of a deprecated version Bramble warns where something is served.",
    names: /^client protobuf endpoints as a table$/,
  },
  {
    reason: "Each was asked by somebody else, whose name stands in the request for a certificate.",
    names: /^client protobuf certificateSigningRequest made/,
  },
  {
    reason: "Upstream fails to make metadata of a log.",
    names: /^client rust of metadata log$/,
  },
];
