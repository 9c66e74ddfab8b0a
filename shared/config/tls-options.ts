/** Which TLS the servers of a process speak: upstream's flags, the same for each of its components. */
import { choice, texts } from "./option.ts";

export const tlsOptions = {
  tlsMinVersion: choice(
    "tls-min-version",
    "oldest version of TLS that is spoken; older ones are not safe, and never are",
    ["VersionTLS12", "VersionTLS13"],
    "VersionTLS12",
  ),
  tlsCipherSuites: texts(
    "tls-cipher-suites",
    "SUITE",
    "what TLS 1.2 may encrypt with, by Go's names (default: the usual ones)",
  ),
} as const;
