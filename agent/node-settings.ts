import { join } from "node:path";
import type { Taint } from "#shared/api/types/core-v1.generated.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { AgentSettings } from "#shared/config/settings.ts";

/** Where the board's static pods are. */
export const staticPodsFolder = ({
  podManifestDir,
  dataDir,
}: Pick<AgentSettings, "podManifestDir" | "dataDir">): string => podManifestDir || join(dataDir, "static-pods");

/** The path in `unix:///path`, or the path itself. Throws ConfigError. */
export function socketPath(endpoint: string): string {
  const path = endpoint.startsWith("unix://") ? endpoint.slice("unix://".length) : endpoint;
  if (!path.startsWith("/"))
    throw new ConfigError(`container-runtime-endpoint: expected unix:///path/of/docker.sock, got ${endpoint}`);
  return path;
}

/** Labels from `KEY=VALUE` texts. Throws ConfigError. */
export function parseLabels(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf("=");
      if (equals <= 0) throw new ConfigError(`node-label: expected KEY=VALUE, got ${text}`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

/** A taint from `KEY[=VALUE]:EFFECT`. Throws ConfigError. */
export function parseTaint(text: string): Taint {
  const [, key, value, effect] = /^([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(text) ?? [];
  if (key === undefined || effect === undefined)
    throw new ConfigError(`node-taint: expected KEY=VALUE:EFFECT, got ${text}`);
  return { key, ...(value ? { value } : {}), effect };
}
