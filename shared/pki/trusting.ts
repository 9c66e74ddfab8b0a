/**
 * TLS options of a client that trusts these certificates (PEM), whoever issued them. As Go's `x509.VerifyOptions.Roots`, so also
 * a server's own certificate or an intermediate one will do: such stand in many a caBundle. OpenSSL alone asks for the root.
 */
export const trusting = <T extends string | readonly string[]>(
  ca: T,
): { readonly ca: T; readonly allowPartialTrustChain: true } => ({ ca, allowPartialTrustChain: true });
