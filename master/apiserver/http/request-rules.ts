/** How requests are served and what browsers are told, as the settings have it. */
import { RE2JS } from "re2js";
import { longestTimer_ms } from "#shared/client/clock.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { Arrival } from "./arrival.ts";

export interface RequestRules {
  /** For every request that does not last. */
  readonly longest_ms: number;
  /** Asks the client to connect anew, so often. */
  readonly goawayChance: number;
  /** Puts into the answer what browsers are told; true: that was all that was asked. */
  readonly tellBrowser?: ((arrival: Arrival) => boolean) | undefined;
}

export const usualRequestRules: RequestRules = { longest_ms: 60_000, goawayChance: 0 };

type Settings = Pick<
  MasterSettings,
  "requestTimeout" | "goawayChance" | "corsAllowedOrigins" | "strictTransportSecurityDirectives"
>;

/** Throws ConfigError, worded as upstream. */
export function requestRulesOf(settings: Settings): RequestRules {
  const { corsAllowedOrigins: origins, strictTransportSecurityDirectives: directives } = settings;
  const isAllowed = originsOf(origins);
  for (const directive of directives)
    if (!/^(max-age=\d+|includeSubDomains|preload)$/.test(directive))
      throw new ConfigError(
        "--strict-transport-security-directives invalid, allowed values: max-age=expireTime, includeSubDomains, preload. see https://tools.ietf.org/html/rfc6797#section-6.1 for more information",
      );
  const security = directives.join("; ");
  const tellBrowser = ({ request, response }: Arrival): boolean => {
    if (security !== "") response.setHeader("strict-transport-security", security);
    const { origin = "" } = request.headers;
    if (!isAllowed || origin === "" || !isAllowed(origin)) return false;
    for (const [name, value] of Object.entries({ "access-control-allow-origin": origin, ...shared }))
      response.setHeader(name, value);
    if (request.method !== "OPTIONS") return false;
    response.writeHead(204);
    response.end();
    return true;
  };
  return {
    longest_ms: Math.min(settings.requestTimeout || usualRequestRules.longest_ms, longestTimer_ms),
    goawayChance: settings.goawayChance,
    tellBrowser: isAllowed || security !== "" ? tellBrowser : undefined,
  };
}

const shared = {
  "access-control-allow-methods": "POST, GET, OPTIONS, PUT, DELETE, PATCH",
  "access-control-allow-headers":
    "Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since",
  "access-control-expose-headers": "Date",
  "access-control-allow-credentials": "true",
} as const;

function originsOf(patterns: readonly string[]): ((origin: string) => boolean) | undefined {
  if (patterns.length === 0) return undefined;
  const compiled = patterns.map((pattern) => {
    // Else it would match in the midst of a stranger's name.
    if (!/^(\^|\/\/)|(\$|:)$/.test(pattern))
      throw new ConfigError(
        `regular expression has no start or end anchor - ${pattern}, at least one is required. --cors-allowed-origins has: [${patterns.join(" ")}]`,
      );
    try {
      return RE2JS.compile(pattern);
    } catch (error) {
      throw new ConfigError(`--cors-allowed-origins has an invalid regular expression: ${(error as Error).message}`);
    }
  });
  return (origin) => compiled.some((pattern) => pattern.matcher(origin).find());
}
