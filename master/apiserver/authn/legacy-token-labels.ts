/** How long-lived tokens in Secrets are tracked (KEP-2799): since when, when each was last used, and which are invalid. */
export const legacyTokens = {
  tracking: { namespace: "kube-system", name: "kube-apiserver-legacy-service-account-token-tracking" },
  lastUsedLabel: "kubernetes.io/legacy-token-last-used",
  invalidSinceLabel: "kubernetes.io/legacy-token-invalid-since",
} as const;
