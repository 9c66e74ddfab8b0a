/** How the API server serves requests, and what it tells browsers: upstream's flags. */
import { decimal, duration, integer, type Option, optionalInteger, text, texts, under } from "./option.ts";
import { tlsOptions } from "./tls-options.ts";

const count = { min: 0, max: 2_147_483_647 };

/** Each whole, with the commas in it. */
function pairs(name: string, placeholder: string, description: string): Option<readonly string[]> {
  const list = texts(name, placeholder, description);
  return { ...list, parse: (value) => (Array.isArray(value) ? value : [value]).map(String) };
}

export const requestOptions = under("How requests are served:", {
  ...tlsOptions,
  tlsSniCertKey: pairs(
    "tls-sni-cert-key",
    "CERT,KEY[:NAME,…]",
    "a further certificate and its key, for clients that ask for one of these names (default: its own names); repeatable",
  ),
  externalHostname: text("external-hostname", "HOST", "name of this API server in addresses that others are told", ""),
  requestTimeout: duration("request-timeout", "how long a request may take that does not last", "1m"),
  minRequestTimeout: integer(
    "min-request-timeout",
    "SECONDS",
    "how long a watch lasts at least whose client does not say, and at most twice that",
    1800,
    { min: 0, max: 1_000_000_000 },
  ),
  maxRequestsInflight: optionalInteger(
    "max-requests-inflight",
    "N",
    "requests that are served at a time, together with the next (Kubernetes: 400 and 200; default: 128 in all)",
    count,
  ),
  maxMutatingRequestsInflight: optionalInteger("max-mutating-requests-inflight", "N", "see there", count),
  goawayChance: decimal(
    "goaway-chance",
    "CHANCE",
    "how often an HTTP/2 client is asked to connect anew, so that it may come to another API server",
    0,
    { min: 0, max: 0.02 },
  ),
  corsAllowedOrigins: texts("cors-allowed-origins", "REGEX", "origins whose pages may read answers"),
  strictTransportSecurityDirectives: texts(
    "strict-transport-security-directives",
    "DIRECTIVE",
    "what browsers are told of TLS: max-age=SECONDS, includeSubDomains, preload",
  ),
  shutdownDelayDuration: duration(
    "shutdown-delay-duration",
    "how long it goes on serving after it was told to end, no longer ready",
    "0s",
  ),
  eventTtl: duration("event-ttl", "how long Events are kept", "1h"),
} as const);
